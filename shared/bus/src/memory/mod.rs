//! The bus in memory: the semantics of the real one, without a server.
//!
//! In: batches, deadlines, jars. Out: deliveries, in the same order every time. Its time is tokio's, so
//! that `tokio::time::pause` and `advance` move dedupe windows, ages, delays and deadlines.

mod consumer;
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
    subject::{self, ARTIFACTS},
};
use futures::{StreamExt, stream::BoxStream};
use tokio::sync::watch;

use self::{
    consumer::Settle,
    stream::{Stored, matches},
    world::World,
};
use crate::{
    Ack, Batch, Bus, BusError, CommitError, Committed, Consumer, DeadLetter, Delivery, Keep,
    LogLine, Message, Record, Source, Start, StreamLimits, User, Write, permissions,
};

/// A bus in memory. Clones are connections to the same bus.
#[derive(Clone)]
pub struct MemoryBus {
    shared: Arc<Shared>,
    /// Whose permissions it has; none: everyone's.
    user: Option<User>,
}

struct Shared {
    world: Mutex<World>,
    /// Moves with each change.
    changes: watch::Sender<u64>,
    connected: watch::Sender<bool>,
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new(Utc::now(), &StreamLimits::default())
    }
}

impl MemoryBus {
    /// A bus whose clock begins at `start` and moves with tokio's.
    pub fn new(start: DateTime<Utc>, limits: &StreamLimits) -> Self {
        let world = Mutex::new(World::new(start, limits));
        let shared = Shared {
            world,
            changes: watch::Sender::new(0),
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
            user: Some(user),
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
        self.shared.changes.send_modify(|changes| *changes += 1);
    }

    fn may_publish(&self, subject: &str) -> Result<(), BusError> {
        let Some(user) = self.user else { return Ok(()) };
        if permissions::permissions(user)
            .publish
            .iter()
            .any(|allowed| matches(allowed, subject))
        {
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
        Ok(world
            .ferry
            .last_of(subject)
            .map(|(sequence, stored)| record(sequence, stored)))
    }

    async fn list(&self, filter: &str) -> Result<Vec<(String, Record)>, BusError> {
        let world = self.open()?;
        let found = world.ferry.last_per_subject(&[filter.to_owned()]);
        Ok(found
            .into_iter()
            .map(|(sequence, stored)| (stored.subject.clone(), record(sequence, stored)))
            .collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        batch.check()?;
        for write in &batch.writes {
            self.may_publish(&write.subject)?;
        }
        let lost = {
            let mut world = self.open()?;
            let now = world.now();
            let sequences = world.ferry.commit(&batch.writes, now)?;
            let lost = world.lose_answers > 0;
            world.lose_answers = world.lose_answers.saturating_sub(1);
            if lost {
                None
            } else {
                Some(Committed { sequences })
            }
        };
        self.changed();
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
        let changes = self.shared.changes.subscribe();
        Ok(Box::new(MemoryConsumer {
            bus: self.clone(),
            service,
            source,
            changes,
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
            match start {
                Start::First => (1, VecDeque::new()),
                Start::At(sequence) => (sequence, VecDeque::new()),
                Start::New => (stream.last() + 1, VecDeque::new()),
                Start::LastPerSubject => {
                    let mut last: Vec<u64> = stream
                        .last_per_subject(&filters)
                        .into_iter()
                        .map(|(sequence, _)| sequence)
                        .collect();
                    last.sort_unstable();
                    (stream.last() + 1, last.into())
                }
            }
        };
        let changes = self.shared.changes.subscribe();
        let watcher = Watcher {
            bus: self.clone(),
            stream: stream.to_owned(),
            filters,
            next,
            last_only,
            changes,
        };
        Ok(futures::stream::unfold(watcher, |mut watcher| async {
            let message = watcher.next().await;
            Some((message, watcher))
        })
        .boxed())
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
        std::fs::write(file, jar)
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

    fn connected(&self) -> watch::Receiver<bool> {
        self.shared.connected.subscribe()
    }
}

fn record(sequence: u64, stored: &Stored) -> Record {
    Record {
        sequence,
        payload: stored.payload.clone(),
    }
}

struct MemoryConsumer {
    bus: MemoryBus,
    service: Service,
    source: Source,
    changes: watch::Receiver<u64>,
}

impl MemoryConsumer {
    fn take(&self, max: usize) -> Result<Vec<Delivery>, BusError> {
        let now = tokio::time::Instant::now();
        let mut world = self.bus.open()?;
        let (cursor, stream) = world.cursor(self.service, self.source)?;
        let taken = cursor.take(stream, max, now);
        let deliveries = taken.into_iter().filter_map(|(sequence, delivered)| {
            let stored = stream.get(sequence)?;
            Some(Delivery {
                subject: stored.subject.clone(),
                sequence,
                payload: stored.payload.clone(),
                delivered,
                ack: Box::new(MemoryAck {
                    bus: self.bus.clone(),
                    service: self.service,
                    source: self.source,
                    sequence,
                }),
            })
        });
        Ok(deliveries.collect())
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            self.changes.borrow_and_update();
            let taken = self.take(max.max(1))?;
            if !taken.is_empty() {
                return Ok(taken);
            }
            let wakes = self.bus.lock().wakes(self.service, self.source);
            let wake = async {
                match wakes {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.changes.changed() => {}
                () = wake => {}
            }
        }
    }
}

struct MemoryAck {
    bus: MemoryBus,
    service: Service,
    source: Source,
    sequence: u64,
}

impl MemoryAck {
    fn settle(&self, how: Settle) -> Result<(), BusError> {
        let now = tokio::time::Instant::now();
        self.bus
            .open()?
            .cursor(self.service, self.source)?
            .0
            .settle(self.sequence, how, now);
        self.bus.changed();
        Ok(())
    }
}

#[async_trait]
impl Ack for MemoryAck {
    async fn ack(&self) -> Result<(), BusError> {
        self.settle(Settle::Done)
    }

    async fn nak(&self, delay: Duration) -> Result<(), BusError> {
        self.settle(Settle::Again(delay))
    }

    async fn progress(&self) -> Result<(), BusError> {
        self.settle(Settle::InHand)
    }

    async fn term(&self) -> Result<(), BusError> {
        self.settle(Settle::Done)
    }
}

struct Watcher {
    bus: MemoryBus,
    stream: String,
    filters: Vec<String>,
    next: u64,
    last_only: VecDeque<u64>,
    changes: watch::Receiver<u64>,
}

impl Watcher {
    fn take(&mut self) -> Result<Option<Message>, BusError> {
        // As on the real bus, a watch waits in silence for the connection.
        let Ok(world) = self.bus.open() else {
            return Ok(None);
        };
        let stream = world.stream(&self.stream)?;
        self.last_only
            .retain(|sequence| stream.get(*sequence).is_some());
        let first = self.last_only.pop_front();
        let mut coming = stream.from(self.next, &self.filters);
        let (sequence, stored) =
            match first.and_then(|sequence| Some((sequence, stream.get(sequence)?))) {
                Some(found) => found,
                None => {
                    let Some(found) = coming.next() else {
                        return Ok(None);
                    };
                    self.next = found.0 + 1;
                    found
                }
            };
        Ok(Some(Message {
            subject: stored.subject.clone(),
            sequence,
            payload: stored.payload.clone(),
            at: stored.at,
            pending: (self.last_only.len() + coming.count()) as u64,
        }))
    }

    async fn next(&mut self) -> Result<Message, BusError> {
        loop {
            self.changes.borrow_and_update();
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            // The bus lives as long as this watch holds it.
            let _ = self.changes.changed().await;
        }
    }
}
