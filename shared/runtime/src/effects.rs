//! What a service does outside: the other half, with hands that cannot write a state.
//!
//! In: a claimed [`Job`]. Out: its outcome, which only the runtime brings to the aggregate.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use ferry_bus::{Bus, BusError, LogLine, Record};
use ferry_config::Config;
use ferry_events::{Digest, RunId};
use tokio_util::sync::CancellationToken;

use crate::{Decide, Feeder, Key};

/// A claimed piece of work.
pub struct Job<W> {
    /// The aggregate.
    pub key: Key,
    /// What to do.
    pub work: W,
    /// How often this work was begun, this time included.
    pub attempt: u32,
    /// The configuration in force when it began.
    pub config: Arc<Config>,
    /// Cancelled when the claim is lost, the state wants something else, or the service drains.
    pub cancel: CancellationToken,
}

/// What effects may do on the bus: read, and keep bytes. Never commit, never ack.
#[derive(Clone)]
pub struct Hands {
    bus: Arc<dyn Bus>,
}

impl Hands {
    /// Hands on a bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus }
    }

    /// The last message on a subject, from the leader.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn read(&self, subject: &str) -> Result<Option<Record>, BusError> {
        self.bus.read(subject).await
    }

    /// Stores a file under its digest. Waits a while for a silent bus.
    ///
    /// # Errors
    /// When the bus stays silent or is full, or the digest is another.
    pub async fn put_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        patiently(|| self.bus.put_jar(digest, file)).await
    }

    /// Fetches a jar into a file, which appears only when whole. Waits a while for a silent bus.
    ///
    /// # Errors
    /// When the bus stays silent, there is none, or its bytes are others.
    pub async fn get_jar(&self, digest: &Digest, file: &Path) -> Result<(), BusError> {
        patiently(|| self.bus.get_jar(digest, file)).await
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
const PATIENCE: Duration = Duration::from_secs(60);

async fn patiently<T, F: Future<Output = Result<T, BusError>>>(
    ask: impl Fn() -> F,
) -> Result<T, BusError> {
    let policy = backoff::ExponentialBackoffBuilder::new()
        .with_initial_interval(Duration::from_millis(100))
        .with_max_interval(Duration::from_secs(5))
        .with_max_elapsed_time(Some(PATIENCE))
        .build();
    backoff::future::retry(policy, || async {
        ask().await.map_err(|error| match error {
            BusError::Unavailable(_) => backoff::Error::transient(error),
            _ => backoff::Error::permanent(error),
        })
    })
    .await
}

/// The half of a service that does I/O.
#[async_trait]
pub trait Effects<D: Decide>: Send + Sync + 'static {
    /// Does a piece of work. It may be dropped at any await when `job.cancel` is cancelled.
    async fn perform(&self, job: Job<D::Work>) -> D::Outcome;

    /// Goes on beside the handler loop, and reports what it notices; ends when the service drains.
    async fn watch(&self, feeder: Feeder<D>) {
        let _ = feeder;
    }
}
