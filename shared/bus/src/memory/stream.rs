//! One stream of the bus in memory: messages, roll-ups, ages and the dedupe window.
//!
//! In: batches and moments. Out: what a stream of the real bus would do. No clock of its own.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use crate::{BusError, CommitError, Keep, Start, Write};

/// A message as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub subject: String,
    pub payload: Bytes,
    pub at: DateTime<Utc>,
    expires: Option<DateTime<Utc>>,
}

#[derive(Clone, Debug)]
pub(super) struct Stream {
    name: &'static str,
    messages: BTreeMap<u64, Stored>,
    by_subject: BTreeMap<String, Vec<u64>>,
    /// What is forgotten next comes first.
    expiries: BTreeSet<(DateTime<Utc>, u64)>,
    last: u64,
    bytes: usize,
    ids: BTreeMap<String, DateTime<Utc>>,
    id_order: VecDeque<(DateTime<Utc>, String)>,
    max_age: Duration,
    window: Duration,
    /// None: no limit.
    max_bytes: Option<usize>,
}

fn after(at: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(time)
        .ok()
        .and_then(|time| at.checked_add_signed(time))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl Stream {
    pub fn new(
        name: &'static str,
        max_age: Duration,
        window: Duration,
        max_bytes: Option<usize>,
    ) -> Self {
        Self {
            name,
            messages: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            expiries: BTreeSet::new(),
            last: 0,
            bytes: 0,
            ids: BTreeMap::new(),
            id_order: VecDeque::new(),
            max_age,
            window,
            max_bytes,
        }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The sequence of the newest message.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Forgets what is too old.
    pub fn expire(&mut self, now: DateTime<Utc>) {
        while let Some((expires, sequence)) = self.expiries.first().copied() {
            if expires > now {
                break;
            }
            self.remove(sequence);
        }
        while self
            .id_order
            .front()
            .is_some_and(|(at, _)| after(*at, self.window) <= now)
        {
            if let Some((_, id)) = self.id_order.pop_front() {
                self.ids.remove(&id);
            }
        }
    }

    /// Stores a batch, whole or not at all.
    pub fn commit(
        &mut self,
        writes: &[Write],
        now: DateTime<Utc>,
    ) -> Result<Vec<u64>, CommitError> {
        self.check(writes)?;
        Ok(writes.iter().map(|write| self.store(write, now)).collect())
    }

    fn check(&self, writes: &[Write]) -> Result<(), CommitError> {
        let mut seen: Vec<&str> = Vec::new();
        for write in writes {
            let known = write
                .id
                .as_ref()
                .is_some_and(|id| self.ids.contains_key(id) || seen.contains(&id.as_str()));
            seen.extend(write.id.as_deref());
            let last = self
                .last_of(&write.subject)
                .map_or(0, |(sequence, _)| sequence);
            let stale = write.expected.is_some_and(|expected| expected != last);
            // As the server does: alone, the guard is looked at first; in a batch, the id.
            match (known, stale) {
                (false, false) => {}
                (true, true) if writes.len() == 1 => return Err(CommitError::Conflict),
                (true, _) => return Err(CommitError::Duplicate),
                (false, true) => return Err(CommitError::Conflict),
            }
        }
        let added: usize = writes.iter().map(|write| write.payload.len()).sum();
        if self.max_bytes.is_some_and(|max| self.bytes + added > max) {
            return Err(
                BusError::Full(format!("stream {}: maximum bytes exceeded", self.name)).into(),
            );
        }
        Ok(())
    }

    fn store(&mut self, write: &Write, now: DateTime<Utc>) -> u64 {
        if write.replaces {
            for sequence in self
                .by_subject
                .get(&write.subject)
                .cloned()
                .unwrap_or_default()
            {
                self.remove(sequence);
            }
        }
        if let Some(id) = &write.id {
            self.ids.insert(id.clone(), now);
            self.id_order.push_back((now, id.clone()));
        }
        let expires = match write.keep {
            Keep::Forever => None,
            Keep::Stream => Some(after(now, self.max_age)),
            Keep::For(time) => Some(after(now, time.max(Duration::from_secs(1)))),
        };
        self.last += 1;
        self.bytes += write.payload.len();
        self.by_subject
            .entry(write.subject.clone())
            .or_default()
            .push(self.last);
        let stored = Stored {
            subject: write.subject.clone(),
            payload: write.payload.clone(),
            at: now,
            expires,
        };
        if let Some(expires) = stored.expires {
            self.expiries.insert((expires, self.last));
        }
        self.messages.insert(self.last, stored);
        self.last
    }

    fn remove(&mut self, sequence: u64) {
        let Some(message) = self.messages.remove(&sequence) else {
            return;
        };
        if let Some(expires) = message.expires {
            self.expiries.remove(&(expires, sequence));
        }
        self.bytes -= message.payload.len();
        if let Some(sequences) = self.by_subject.get_mut(&message.subject) {
            sequences.retain(|one| *one != sequence);
            if sequences.is_empty() {
                self.by_subject.remove(&message.subject);
            }
        }
    }

    pub fn get(&self, sequence: u64) -> Option<&Stored> {
        self.messages.get(&sequence)
    }

    /// The last message on a subject, or on any that it names with `*` or `>`.
    pub fn last_of(&self, subject: &str) -> Option<(u64, &Stored)> {
        let sequence = if subject.contains(['*', '>']) {
            let named = self
                .by_subject
                .iter()
                .filter(|(one, _)| matches(subject, one));
            *named.filter_map(|(_, sequences)| sequences.last()).max()?
        } else {
            *self.by_subject.get(subject)?.last()?
        };
        Some((sequence, &self.messages[&sequence]))
    }

    /// The last message of each subject that a filter names, sorted by subject.
    pub fn last_per_subject(&self, filters: &[String]) -> Vec<(u64, &Stored)> {
        self.by_subject
            .keys()
            .filter(|subject| matches_any(filters, subject))
            .filter_map(|subject| self.last_of(subject))
            .collect()
    }

    /// The sequence from which on a watch sees messages.
    pub fn begin(&self, start: Start) -> u64 {
        match start {
            Start::First | Start::LastPerSubject => 1,
            Start::At(sequence) => sequence,
            Start::Since(at) => {
                let mut messages = self.messages.iter();
                let first = messages.find(|(_, message)| message.at >= at);
                first.map_or(self.last + 1, |(sequence, _)| *sequence)
            }
            Start::New => self.last + 1,
        }
    }

    /// Messages from a sequence on that a filter names, in order.
    pub fn from<'a>(
        &'a self,
        first: u64,
        filters: &'a [String],
    ) -> impl Iterator<Item = (u64, &'a Stored)> {
        self.messages
            .range(first..)
            .filter(|(_, message)| matches_any(filters, &message.subject))
            .map(|(sequence, message)| (*sequence, message))
    }
}

pub(super) fn matches_any(filters: &[String], subject: &str) -> bool {
    filters.iter().any(|filter| matches(filter, subject))
}

/// Whether a subject is one that a filter names: `*` is one token, `>` is one or more at the end.
pub(super) fn matches(filter: &str, subject: &str) -> bool {
    let (mut filter, mut subject) = (filter.split('.'), subject.split('.'));
    loop {
        match (filter.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(expected), Some(token)) if expected == "*" || expected == token => {}
            _ => return false,
        }
    }
}
