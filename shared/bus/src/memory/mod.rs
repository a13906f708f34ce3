//! The bus in memory: the semantics of the real one, without a server.
//!
//! In: batches, deadlines, jars. Out: deliveries, in the same order every time. Its time is tokio's, so
//! that `tokio::time::pause` and `advance` move dedupe windows, ages, delays and deadlines.

mod asks;
mod consumer;
mod handles;
mod stream;
mod world;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use ferry_events::{
    Digest, RunId, Service,
    question::Question,
    subject::{self, ARTIFACTS, STREAM},
};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::{Notify, watch};

pub use self::world::Saved;
use self::{
    handles::{MemoryConsumer, Watcher},
    stream::{Stored, matches},
    world::World,
};
use crate::{
    Asked, Batch, Bus, BusError, CommitError, Committed, Consumer, DeadLetter, Keep, LogLine,
    Message, Record, Source, Start, StreamLimits, User, Write, permissions,
};

/// A bus in memory. Clones are connections to the same bus.
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
    /// Whose permissions it has: who, and what may be published; none: everything.
    user: Option<Arc<(User, Vec<String>)>>,
}

struct Shared {
    world: Mutex<World>,
    /// Moves with each change.
    /// Wakes whoever waits, in the order in which they began to: a watch channel would take another order
    /// each time, and no replay would be the same.
    changes: Notify,
    connected: watch::Sender<bool>,
}

impl Default for MemoryBus {
    /// With the default limits, and a clock that begins at [`MemoryBus::START`].
    fn default() -> Self {
        Self::new(Self::START, &StreamLimits::default())
    }
}

impl MemoryBus {
    /// Where its clock begins unless told otherwise: 2026-01-01, so that every run is the same.
    pub const START: DateTime<Utc> =
        DateTime::from_timestamp(1_767_225_600, 0).expect("a moment of this century");

    /// A bus whose clock begins at `start` and moves with tokio's.
    pub fn new(start: DateTime<Utc>, limits: &StreamLimits) -> Self {
        let world = Mutex::new(World::new(start, limits));
        let shared = Shared {
            world,
            changes: Notify::new(),
            connected: watch::Sender::new(true),
        };
        Self {
            shared: Arc::new(shared),
            user: None,
        }
    }

    /// A connection with a user's permissions, as the real bus would grant them.
    pub fn as_user(&self, user: User) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            user: Some(Arc::new((user, permissions::permissions(user).publish))),
        }
    }

    /// The bus's clock.
    pub fn now(&self) -> DateTime<Utc> {
        self.lock().now()
    }

    /// Breaks or mends every connection. While broken, everything is [`BusError::Unavailable`].
    pub fn set_connected(&self, connected: bool) {
        self.lock().connected = connected;
        self.shared.connected.send_replace(connected);
        self.changed();
    }

    /// Stores the next batches but loses the answers: each commit says [`BusError::Unavailable`].
    pub fn lose_answers(&self, commits: usize) {
        self.lock().lose_answers = commits;
    }

    /// Stores batches and keeps their answers back, until told otherwise.
    pub fn hold_answers(&self, hold: bool) {
        self.lock().hold_answers = hold;
        self.changed();
    }

    async fn answers(&self) {
        loop {
            let change = self.shared.changes.notified();
            if !self.lock().hold_answers {
                return;
            }
            change.await;
        }
    }

    /// Every message of a stream: sequence, subject and payload, in order.
    ///
    /// # Errors
    /// [`BusError::Missing`]: there is no such stream.
    pub fn messages(&self, stream: &str) -> Result<Vec<(u64, String, Bytes)>, BusError> {
        let mut world = self.lock();
        world.advance();
        let all = vec![">".to_owned()];
        let messages = world.stream(stream)?.from(1, &all);
        Ok(messages
            .map(|(sequence, m)| (sequence, m.subject.clone(), m.payload.clone()))
            .collect())
    }

    /// What all streams hold now, with their consumers and deadlines, as a copy of the server's folder
    /// would. Jars are not in it: they are named by their digest and never change.
    pub fn save(&self) -> Saved {
        self.lock().save()
    }

    /// Puts streams back to what they held when that was saved; the others stay as they are. What was
    /// delivered since may be settled all the same, as by a client that did not notice.
    ///
    /// # Errors
    /// [`BusError::Missing`]: there is no such stream; those before it are restored.
    pub fn restore(&self, saved: &Saved, streams: &[&str]) -> Result<(), BusError> {
        let restored = {
            let mut world = self.lock();
            streams
                .iter()
                .try_for_each(|stream| world.restore(saved, stream))
        };
        self.changed();
        restored
    }

    /// Deletes a service's consumer and makes it anew: everything that its stream still holds comes
    /// again, as delivered for the first time.
    ///
    /// # Errors
    /// [`BusError::Missing`]: the service has no such consumer.
    pub fn recreate_consumer(&self, service: Service, source: Source) -> Result<(), BusError> {
        self.lock().recreate(service, source)?;
        self.changed();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic under the lock is a failed test already.
        self.shared
            .world
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, World>, BusError> {
        let mut world = self.lock();
        if !world.connected {
            return Err(BusError::Unavailable("no connection".into()));
        }
        world.advance();
        Ok(world)
    }

    fn changed(&self) {
        self.shared.changes.notify_waiters();
    }

    fn may_publish(&self, subject: &str) -> Result<(), BusError> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        let (user, publish) = &**user;
        if publish.iter().any(|allowed| matches(allowed, subject)) {
            return Ok(());
        }
        Err(BusError::Refused(format!(
            "permissions violation for publish to \"{subject}\" by {user}"
        )))
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn read(&self, subject: &str) -> Result<Option<Record>, BusError> {
        let world = self.open()?;
        let last = world.ferry.last_of(subject);
        last.map(|(sequence, stored)| record(sequence, stored))
            .transpose()
    }

    async fn first(&self, subject: &str) -> Result<Option<Record>, BusError> {
        let world = self.open()?;
        let filter = [subject.to_owned()];
        let first = world.ferry.from(1, &filter).next();
        first
            .map(|(sequence, stored)| record(sequence, stored))
            .transpose()
    }

    async fn read_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(String, Record)>, BusError> {
        self.may_publish(&format!("$JS.API.STREAM.MSG.GET.{stream}"))?;
        let world = self.open()?;
        let found = world.stream(stream)?.get(sequence);
        found
            .map(|stored| Ok((stored.subject.clone(), record(sequence, stored)?)))
            .transpose()
    }

    async fn list(&self, filter: &str) -> Result<Vec<(String, Record)>, BusError> {
        let world = self.open()?;
        let found = world.ferry.last_per_subject(&[filter.to_owned()]);
        found
            .into_iter()
            .map(|(sequence, stored)| Ok((stored.subject.clone(), record(sequence, stored)?)))
            .collect()
    }

    async fn end(&self) -> Result<u64, BusError> {
        Ok(self.open()?.ferry.last())
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        batch.check()?;
        for write in &batch.writes {
            self.may_publish(&write.subject)?;
        }
        let lost = {
            let mut world = self.open()?;
            let sequences = world.commit(&batch.writes)?;
            let lost = world.lose_answers > 0;
            world.lose_answers = world.lose_answers.saturating_sub(1);
            if lost {
                None
            } else {
                Some(Committed { sequences })
            }
        };
        self.changed();
        self.answers().await;
        lost.ok_or_else(|| BusError::Unavailable("the answer was lost".into()).into())
    }

    async fn set_timer(
        &self,
        service: Service,
        key: &str,
        at: DateTime<Utc>,
    ) -> Result<(), BusError> {
        self.may_publish(&subject::timer(service, key))?;
        self.open()?.schedule(service, key, at);
        self.changed();
        Ok(())
    }

    async fn consume(
        &self,
        service: Service,
        source: Source,
    ) -> Result<Box<dyn Consumer>, BusError> {
        self.open()?.cursor(service, source)?;
        Ok(Box::new(MemoryConsumer {
            bus: self.clone(),
            service,
            source,
        }))
    }

    async fn watch(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        self.may_publish(&format!("$JS.API.CONSUMER.CREATE.{stream}"))?;
        let (next, last_only) = {
            let world = self.open()?;
            let stream = world.stream(stream)?;
            if let Start::At(sequence) = start
                && stream.name() == STREAM
            {
                crate::contract::within(sequence, stream.last())?;
            }
            match start {
                Start::LastPerSubject => {
                    let mut last: Vec<u64> = stream
                        .last_per_subject(&filters)
                        .into_iter()
                        .map(|(sequence, _)| sequence)
                        .collect();
                    last.sort_unstable();
                    (stream.last() + 1, last.into())
                }
                start => (stream.begin(start), VecDeque::new()),
            }
        };
        let watcher = Watcher {
            bus: self.clone(),
            stream: stream.to_owned(),
            filters,
            next,
            last_only,
        };
        Ok(futures::stream::unfold(watcher, |mut watcher| async {
            let message = watcher.next().await;
            Some((message, watcher))
        })
        .boxed())
    }

    async fn past(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
        let none = {
            let world = self.open()?;
            let held = world.stream(stream)?;
            held.from(held.begin(start), &filters).next().is_none()
        };
        let watched = self.watch(stream, filters, start).await?;
        if none {
            return Ok(futures::stream::empty().boxed());
        }
        let left = futures::stream::unfold(Some(watched), |watched| async {
            let mut watched = watched?;
            let item = watched.next().await?;
            let over = matches!(&item, Ok(message) if message.pending == 0);
            Some((item, (!over).then_some(watched)))
        });
        Ok(left.boxed())
    }

    async fn put_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        self.may_publish(&format!("$O.{ARTIFACTS}.C.{digest}"))?;
        let (found, _) = crate::jetstream::hash(file)?;
        if found != *digest {
            return Err(BusError::Damaged(format!(
                "{} is {found}, not {digest}",
                file.display()
            )));
        }
        let bytes = std::fs::read(file)
            .map_err(|error| BusError::Io(format!("{} cannot be read", file.display()), error))?;
        self.open()?
            .jars
            .entry(digest.clone())
            .or_insert_with(|| bytes.into());
        Ok(())
    }

    async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        self.may_publish(&format!(
            "$JS.API.DIRECT.GET.{}",
            crate::jetstream::objects()
        ))?;
        let jar = self.open()?.jars.get(digest).cloned();
        let jar = jar.ok_or_else(|| BusError::Missing(format!("jar {digest}")))?;
        // As the real one does: the file is there whole, or not at all.
        let write = || {
            let folder = file.parent().unwrap_or(Path::new("."));
            let mut whole = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut whole, &jar)?;
            whole.persist(file)?;
            Ok(())
        };
        write()
            .map_err(|error| BusError::Io(format!("{} cannot be written", file.display()), error))
    }

    async fn log(&self, run: RunId, line: LogLine) -> Result<(), BusError> {
        let write = Write {
            subject: subject::log(run),
            payload: serde_json::to_vec(&line)
                .expect("a line is always JSON")
                .into(),
            expected: None,
            replaces: false,
            keep: Keep::Stream,
            id: Some(format!("{run}-{}", line.number)),
        };
        self.may_publish(&write.subject)?;
        let mut world = self.open()?;
        let now = world.now();
        // A line that is there already is stored once.
        let _ = world.logs.commit(&[write], now);
        drop(world);
        self.changed();
        Ok(())
    }

    async fn bury(&self, letter: &DeadLetter, parked: bool) -> Result<(), BusError> {
        let write = letter.write(parked);
        self.may_publish(&write.subject)?;
        let mut world = self.open()?;
        let now = world.now();
        let _ = world.dead.commit(&[write], now);
        drop(world);
        self.changed();
        Ok(())
    }

    async fn ask(&self, question: &Question, limit: Duration) -> Result<Bytes, BusError> {
        asks::ask(self, question, limit).await
    }

    async fn questions(&self, service: Service) -> Result<BoxStream<'static, Asked>, BusError> {
        Ok(asks::questions(self, service))
    }

    fn connected(&self) -> watch::Receiver<bool> {
        self.shared.connected.subscribe()
    }
}

fn record(sequence: u64, stored: &Stored) -> Result<Record, BusError> {
    Record::new(sequence, stored.payload.clone())
}
