//! What the bus in memory holds: streams, consumers, deadlines and jars, behind one lock.
//!
//! In: what a [`super::MemoryBus`] is asked for. Out: what the real bus would answer. Moments are tokio's,
//! so that a paused clock moves it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use ferry_events::{
    Digest, Service,
    subject::{self, AUDIT, DEAD, LOGS, STREAM, TIMERS},
};
use tokio::time::Instant;

use super::{
    asks::Open,
    consumer::Cursor,
    stream::{Stream, matches_any},
};
use crate::{BusError, CommitError, KEEP_DEAD, Keep, Source, StreamLimits, Write, permissions};

/// What a bus in memory held at a moment, as a copy of the server's folder would; see
/// [`super::MemoryBus::save`].
#[derive(Clone, Debug)]
pub struct Saved {
    streams: [Stream; 5],
    cursors: BTreeMap<(Service, bool), Cursor>,
    schedules: BTreeMap<String, (DateTime<Utc>, String)>,
}

pub(super) struct World {
    started: Instant,
    start: DateTime<Utc>,
    pub ferry: Stream,
    pub timers: Stream,
    pub logs: Stream,
    pub dead: Stream,
    pub audit: Stream,
    /// What it takes from `FERRY`.
    kept: Vec<String>,
    cursors: BTreeMap<(Service, bool), Cursor>,
    /// By the subject under which they are set: moment and target.
    schedules: BTreeMap<String, (DateTime<Utc>, String)>,
    pub jars: BTreeMap<Digest, Bytes>,
    pub questions: BTreeMap<Service, VecDeque<Open>>,
    pub connected: bool,
    /// Answers to the next commits that get lost after the batch is stored.
    pub lose_answers: usize,
    /// Whether commits wait for their answers.
    pub hold_answers: bool,
}

impl World {
    pub fn new(start: DateTime<Utc>, limits: &StreamLimits) -> Self {
        let bytes = |bytes: i64| usize::try_from(bytes).ok();
        let window = limits.dedupe_window;
        let mut cursors = BTreeMap::new();
        for service in Service::ALL {
            let work = permissions::work_filters(service);
            if !work.is_empty() {
                cursors.insert((service, true), Cursor::new(work, limits.ack_wait));
            }
            cursors.insert(
                (service, false),
                Cursor::new(vec![subject::timers_due(service)], limits.ack_wait),
            );
        }
        Self {
            started: Instant::now(),
            start,
            ferry: Stream::new(
                STREAM,
                limits.keep_events,
                window,
                bytes(limits.event_bytes),
            ),
            timers: Stream::new(TIMERS, limits.keep_events, window, None),
            logs: Stream::new(LOGS, limits.keep_logs, window, None),
            dead: Stream::new(DEAD, KEEP_DEAD, window, None),
            audit: Stream::new(AUDIT, Duration::MAX, window, None),
            kept: subject::kept(),
            cursors,
            schedules: BTreeMap::new(),
            jars: BTreeMap::new(),
            questions: BTreeMap::new(),
            connected: true,
            lose_answers: 0,
            hold_answers: false,
        }
    }

    /// The bus's clock: where it started, and what tokio's clock has moved since.
    pub fn now(&self) -> DateTime<Utc> {
        let elapsed = TimeDelta::from_std(self.started.elapsed()).unwrap_or(TimeDelta::MAX);
        self.start + elapsed
    }

    /// Does what is due: forgets what is too old, fires deadlines.
    pub fn advance(&mut self) {
        let now = self.now();
        for stream in [
            &mut self.ferry,
            &mut self.timers,
            &mut self.logs,
            &mut self.dead,
            &mut self.audit,
        ] {
            stream.expire(now);
        }
        let mut due: Vec<(DateTime<Utc>, String)> = self
            .schedules
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(subject, (at, _))| (*at, subject.clone()))
            .collect();
        due.sort();
        for (_, subject) in due {
            let Some((_, target)) = self.schedules.remove(&subject) else {
                continue;
            };
            let write = Write {
                subject: target,
                payload: Bytes::new(),
                expected: None,
                replaces: true,
                keep: Keep::Stream,
                id: None,
            };
            // Nothing is expected, named or limited here.
            let _ = self.timers.commit(&[write], now);
        }
    }

    /// Stores a batch in `FERRY`, and in `FERRY_AUDIT` what is kept of it, as the server does by itself.
    pub fn commit(&mut self, writes: &[Write]) -> Result<Vec<u64>, CommitError> {
        let now = self.now();
        let sequences = self.ferry.commit(writes, now)?;
        for write in writes
            .iter()
            .filter(|write| matches_any(&self.kept, &write.subject))
        {
            // One that it holds already is not stored twice.
            let _ = self.audit.commit(std::slice::from_ref(write), now);
        }
        Ok(sequences)
    }

    pub fn schedule(&mut self, service: Service, key: &str, at: DateTime<Utc>) {
        self.schedules.insert(
            subject::timer(service, key),
            (at, subject::timer_due(service, key)),
        );
    }

    pub fn stream(&self, name: &str) -> Result<&Stream, BusError> {
        match name {
            STREAM => Ok(&self.ferry),
            TIMERS => Ok(&self.timers),
            LOGS => Ok(&self.logs),
            DEAD => Ok(&self.dead),
            AUDIT => Ok(&self.audit),
            other => Err(BusError::Missing(format!("stream {other}"))),
        }
    }

    /// A service's consumer, with the stream that it reads.
    pub fn cursor(
        &mut self,
        service: Service,
        source: Source,
    ) -> Result<(&mut Cursor, &Stream), BusError> {
        let (stream, work) = match source {
            Source::Work => (&self.ferry, true),
            Source::Timers => (&self.timers, false),
        };
        self.cursors
            .get_mut(&(service, work))
            .map(|cursor| (cursor, stream))
            .ok_or_else(|| BusError::Missing(format!("consumer {service} of {source:?}")))
    }

    pub fn recreate(&mut self, service: Service, source: Source) -> Result<(), BusError> {
        self.cursors
            .get_mut(&(service, source == Source::Work))
            .map(Cursor::begin_again)
            .ok_or_else(|| BusError::Missing(format!("consumer {service} of {source:?}")))
    }

    /// When something happens by itself next, as far as this consumer is concerned.
    pub fn wakes(&self, service: Service, source: Source) -> Option<Instant> {
        let cursor = self
            .cursors
            .get(&(service, source == Source::Work))
            .and_then(Cursor::wakes);
        let schedule = self.schedules.values().map(|(at, _)| *at).min().map(|at| {
            let from_start = (at - self.start).to_std().unwrap_or_default();
            self.started + from_start
        });
        cursor.into_iter().chain(schedule).min()
    }

    pub fn save(&self) -> Saved {
        Saved {
            streams: [
                self.ferry.clone(),
                self.timers.clone(),
                self.logs.clone(),
                self.dead.clone(),
                self.audit.clone(),
            ],
            cursors: self.cursors.clone(),
            schedules: self.schedules.clone(),
        }
    }

    /// Puts a stream back to what it was, and its consumers with it.
    pub fn restore(&mut self, saved: &Saved, name: &str) -> Result<(), BusError> {
        let [ferry, timers, logs, dead, audit] = &saved.streams;
        match name {
            STREAM => self.ferry = ferry.clone(),
            TIMERS => {
                self.timers = timers.clone();
                self.schedules = saved.schedules.clone();
            }
            LOGS => self.logs = logs.clone(),
            DEAD => self.dead = dead.clone(),
            AUDIT => self.audit = audit.clone(),
            other => return Err(BusError::Missing(format!("stream {other}"))),
        }
        let work = match name {
            STREAM => true,
            TIMERS => false,
            _ => return Ok(()),
        };
        for (key, cursor) in &saved.cursors {
            if key.1 == work {
                self.cursors.insert(*key, cursor.clone());
            }
        }
        Ok(())
    }
}
