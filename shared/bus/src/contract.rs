//! The trait that the runtime and the gateway's effects use.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use ferry_events::{
    Digest, RunId, Service,
    question::Question,
    subject::{STREAM, TIMERS},
};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{Batch, BusError, CommitError, Committed, DeadLetter, packed::unpack};

/// The last message on a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its payload, unpacked.
    pub payload: Bytes,
}

impl Record {
    pub(crate) fn new(sequence: u64, payload: Bytes) -> Result<Self, BusError> {
        let payload = unpack(payload)?;
        Ok(Self { sequence, payload })
    }
}

/// A message as it is watched: nothing to ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its payload.
    pub payload: Bytes,
    /// When the stream took it.
    pub at: DateTime<Utc>,
    /// How many messages of the watch are still to come; 0: it has caught up.
    pub pending: u64,
}

/// Which of a service's two durable consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Events and commands that its contract names, from `FERRY`.
    Work,
    /// Its due deadlines, from `FERRY_TIMERS`.
    Timers,
}

impl Source {
    /// The stream.
    pub fn stream(self) -> &'static str {
        match self {
            Self::Work => STREAM,
            Self::Timers => TIMERS,
        }
    }
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest message.
    First,
    /// With the last message of each subject.
    LastPerSubject,
    /// With this sequence.
    At(u64),
    /// With the first message that the stream took at this moment or later.
    Since(DateTime<Utc>),
    /// With what comes next.
    New,
}

/// Whether a watch of `FERRY` can begin there: at the latest with what comes next.
pub(crate) fn within(sequence: u64, end: u64) -> Result<(), BusError> {
    if sequence <= end + 1 {
        return Ok(());
    }
    let seen = sequence - 1;
    Err(BusError::Damaged(format!(
        "the stream was restored from another moment: it ends at {end}, but {seen} was seen"
    )))
}

/// One line of a build's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts the lines of the run's log, from 1.
    pub number: u64,
    /// The text, without its line end, with escape codes taken out.
    pub text: String,
}

/// How a delivery is settled. Dropping it unsettled gives it back after `ack_wait`.
#[async_trait]
pub trait Ack: Send + Sync {
    /// It is handled.
    async fn ack(&self) -> Result<(), BusError>;
    /// Give it back, and deliver it again after this long.
    async fn nak(&self, delay: Duration) -> Result<(), BusError>;
    /// It is still in hand.
    async fn progress(&self) -> Result<(), BusError>;
    /// It will never be handled: a dead letter stands for it.
    async fn term(&self) -> Result<(), BusError>;
}

/// A message of a durable consumer.
pub struct Delivery {
    /// Its subject.
    pub subject: String,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its payload.
    pub payload: Bytes,
    /// When the stream took it.
    pub at: DateTime<Utc>,
    /// How often it was delivered, this time included.
    pub delivered: u64,
    /// Settles it.
    pub ack: Box<dyn Ack>,
}

/// A durable consumer. Replicas of a service share it.
#[async_trait]
pub trait Consumer: Send {
    /// The next messages: at least one, at most `max`, without waiting for more than there are.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when the bus is silent for longer than its idle limit; go on asking.
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError>;
}

/// How a question is answered.
#[async_trait]
pub trait Reply: Send + Sync {
    /// Answers it. Nobody may be waiting any more.
    async fn answer(self: Box<Self>, answer: Bytes) -> Result<(), BusError>;
}

/// A question that waits for its answer.
pub struct Asked {
    /// The question, as JSON.
    pub payload: Bytes,
    /// Answers it.
    pub reply: Box<dyn Reply>,
}

/// The bus.
#[async_trait]
pub trait Bus: Send + Sync {
    /// The last message on a subject of `FERRY`, or on any that it names with `*` or `>`, from the stream's leader.
    async fn read(&self, subject: &str) -> Result<Option<Record>, BusError>;

    /// The oldest message on a subject of `FERRY`, or on any that it names, from the stream's leader.
    async fn first(&self, subject: &str) -> Result<Option<Record>, BusError>;

    /// The message with a sequence of a stream, with its subject, from the stream's leader; none: there
    /// is none any more.
    async fn read_at(
        &self,
        stream: &str,
        sequence: u64,
    ) -> Result<Option<(String, Record)>, BusError>;

    /// The last message of each subject of `FERRY` that a filter names, with its subject, sorted by subject.
    /// Any replica answers, so the newest writes may be missing: guard what is written from it.
    async fn list(&self, filter: &str) -> Result<Vec<(String, Record)>, BusError>;

    /// The sequence of the newest message that `FERRY` ever took, from the stream's leader. It only grows,
    /// unless the stream was restored from another moment.
    async fn end(&self) -> Result<u64, BusError>;

    /// Stores a batch, whole or not at all.
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError>;

    /// Sets an aggregate's deadline; an earlier one of the same aggregate is replaced.
    async fn set_timer(
        &self,
        service: Service,
        key: &str,
        at: DateTime<Utc>,
    ) -> Result<(), BusError>;

    /// Opens one of a service's durable consumers.
    async fn consume(
        &self,
        service: Service,
        source: Source,
    ) -> Result<Box<dyn Consumer>, BusError>;

    /// Watches a stream (`FERRY`, `FERRY_LOGS`, `FERRY_DEAD` or `FERRY_AUDIT`) in order, for ever, across reconnections.
    ///
    /// # Errors
    /// [`BusError::Damaged`], also as an item: `FERRY` ends before what was seen, so it was restored from
    /// another moment.
    async fn watch(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError>;

    /// What a stream holds now, in order, across reconnections; then it ends.
    ///
    /// # Errors
    /// As [`Bus::watch`].
    async fn past(
        &self,
        stream: &str,
        filters: Vec<String>,
        start: Start,
    ) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError>;

    /// Stores a file under its digest; one that is there already is left as it is.
    ///
    /// # Errors
    /// [`BusError::Damaged`] when the file's digest is another.
    async fn put_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError>;

    /// Fetches a jar into a file, which appears only when whole and its digest right. It is not synced to
    /// the disk: who finds it there after the machine went down looks at its digest again.
    ///
    /// # Errors
    /// [`BusError::Missing`] when there is none; [`BusError::Damaged`] when its bytes are others.
    async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError>;

    /// Appends a line to a run's log; a line with the same number is stored once.
    async fn log(&self, run: RunId, line: LogLine) -> Result<(), BusError>;

    /// Puts a dead letter on `FERRY_DEAD`, or an unknown newer event there as parked.
    async fn bury(&self, letter: &DeadLetter, parked: bool) -> Result<(), BusError>;

    /// Asks a service a question that only reads. One of its replicas answers, with the JSON of an
    /// [`Answer`](ferry_events::question::Answer).
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when nobody answers within `limit`.
    async fn ask(&self, question: &Question, limit: Duration) -> Result<Bytes, BusError>;

    /// The questions for a service, for ever, across reconnections. Replicas share them.
    ///
    /// # Errors
    /// [`BusError::Refused`] when the service may not hear them.
    async fn questions(&self, service: Service) -> Result<BoxStream<'static, Asked>, BusError>;

    /// Whether the bus answers now, and each change of that.
    fn connected(&self) -> watch::Receiver<bool>;
}
