//! What a service does outside: the other half, with hands that cannot write a state.
//!
//! In: a claimed [`Job`]. Out: its outcome, which only the runtime brings to the aggregate.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use ferry_bus::{Bus, BusError, LogLine, Record};
use ferry_config::Config;
use ferry_events::{Digest, RunId, Stop};
use tokio_util::sync::CancellationToken;

use crate::{Decide, Failure, Feeder, Key, Policy, Witness, retry};

/// A claimed piece of work.
pub struct Job<W> {
    /// The aggregate.
    pub key: Key,
    /// What to do.
    pub work: W,
    /// How often this work was begun, this time included: an attempt before may have died, have been
    /// handed back, or have failed.
    pub attempt: u32,
    /// Why the attempt before failed, where this one is a retry.
    pub failed: Option<Stop>,
    /// The configuration in force when it began.
    pub config: Arc<Config>,
    /// Cancelled when the claim is lost, the state wants something else, or the service drains.
    pub cancel: CancellationToken,
}

/// What came of a piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done<O> {
    /// It is over.
    Outcome(O),
    /// It failed for a cause that may pass: the runtime tries it again, as long as
    /// [`Decide::patience`] says, and then tells the decision that it was given up.
    Again(Stop),
}

impl<O> From<O> for Done<O> {
    fn from(outcome: O) -> Self {
        Self::Outcome(outcome)
    }
}

impl<O> Done<O> {
    /// What a result comes to; `outcome` makes it one where it is not tried again.
    pub fn of<T>(result: Result<T, Failure>, outcome: impl FnOnce(Result<T, Stop>) -> O) -> Self {
        match result {
            Err(Failure::Again(stop)) => Self::Again(stop),
            other => Self::Outcome(outcome(other.map_err(Failure::into_stop))),
        }
    }
}

/// What effects may do on the bus: read, and keep bytes. Never commit, never ack.
#[derive(Clone)]
pub struct Hands {
    bus: Arc<dyn Bus>,
    witness: Witness,
}

impl Hands {
    /// Hands on a bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self::watched(bus, Witness::default())
    }

    /// Hands on a bus, with the witness of the service whose they are.
    pub fn watched(bus: Arc<dyn Bus>, witness: Witness) -> Self {
        Self { bus, witness }
    }

    /// The last message on a subject, from the leader.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn read(&self, subject: &str) -> Result<Option<Record>, BusError> {
        self.bus.read(subject).await
    }

    /// As [`Self::read`], where something in the world follows from it: the stream is looked at afterwards,
    /// so what is read is not of another moment than this service has seen.
    ///
    /// # Errors
    /// When the bus does not answer, or was restored from another moment: then the service stops.
    pub async fn fence(&self, subject: &str) -> Result<Option<Record>, BusError> {
        let record = self.bus.read(subject).await?;
        self.witness.vouch(self.bus.as_ref()).await?;
        Ok(record)
    }

    /// Stores a file under its digest. Waits a while for a silent bus.
    ///
    /// # Errors
    /// When the bus stays silent or is full, or the digest is another.
    pub async fn put_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        patiently(digest, || self.bus.put_jar(digest, file)).await
    }

    /// Fetches a jar into a file, which appears only when whole. Waits a while for a silent bus.
    ///
    /// # Errors
    /// When the bus stays silent, there is none, or its bytes are others.
    pub async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        patiently(digest, || self.bus.get_jar(digest, file)).await
    }

    /// Appends a line to a run's log.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn log(&self, run: RunId, line: LogLine) -> Result<(), BusError> {
        self.bus.log(run, line).await
    }
}

/// How long effects wait for a bus that is silent: longer than a restart of nats-server or the
/// election of a leader takes, short enough that a run says why it stopped.
const PATIENCE: Policy = Policy {
    tries: u32::MAX,
    time: Duration::from_secs(60),
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
};

async fn patiently<T, F: Future<Output = Result<T, BusError>>>(
    name: &Digest,
    ask: impl Fn() -> F,
) -> Result<T, BusError> {
    let passes = |error: &BusError| matches!(error, BusError::Unavailable(_));
    retry::patiently(PATIENCE, name.as_str(), passes, ask).await
}

/// The half of a service that does I/O.
#[async_trait]
pub trait Effects<D: Decide>: Send + Sync + 'static {
    /// Does a piece of work. It may be dropped at any await when `job.cancel` is cancelled.
    async fn perform(&self, job: Job<D::Work>) -> Done<D::Outcome>;

    /// Goes on beside the handler loop, and reports what it notices; ends when the service drains.
    async fn watch(&self, feeder: Feeder<D>) {
        let _ = feeder;
    }
}
