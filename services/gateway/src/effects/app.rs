//! What every part of the running gateway shares.
//!
//! In: the bus, the inbox, the configuration. Out: [`App`], cheap to clone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use ferry_bus::Bus;
use ferry_config::Config;
use ferry_runtime::{Clock, Tracer};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::inbox::Inbox;
use crate::decide::views::Views;

/// Streams served at a time: each costs a consumer on the bus.
const STREAMS_MAX: usize = 256;

/// Jars taken at a time: each costs its size on the disk until it is stored.
const UPLOADS_MAX: usize = 4;

/// How far the views have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The sequence of the last message that went in.
    pub head: u64,
    /// How many messages were still to come then.
    pub pending: u64,
    /// Whether the end was reached since the start.
    pub caught_up: bool,
}

/// The running gateway's parts.
#[derive(Clone)]
pub struct App {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Clock,
    /// The inbox.
    pub inbox: Arc<Inbox>,
    /// The folder below which relative secret references are.
    pub secrets: Arc<PathBuf>,
    /// The folder for uploads on their way.
    pub uploads: Arc<PathBuf>,
    /// Cancelled when the gateway shall end: streams end then.
    pub drain: CancellationToken,
    /// Room for streams.
    pub streams: Arc<Semaphore>,
    /// Room for uploads.
    pub upload_turns: Arc<Semaphore>,
    /// Takes spans.
    pub tracer: Tracer,
    pub(crate) config: watch::Receiver<Arc<Config>>,
    pub(super) views: Arc<RwLock<Views>>,
    pub(super) progress: watch::Sender<Progress>,
}

impl App {
    /// The parts, with views that are still empty.
    pub fn new(
        bus: Arc<dyn Bus>,
        clock: Clock,
        inbox: Inbox,
        config: watch::Receiver<Arc<Config>>,
        secrets: PathBuf,
        uploads: PathBuf,
        drain: CancellationToken,
    ) -> Self {
        Self {
            bus,
            clock,
            inbox: Arc::new(inbox),
            secrets: Arc::new(secrets),
            uploads: Arc::new(uploads),
            drain,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            upload_turns: Arc::new(Semaphore::new(UPLOADS_MAX)),
            tracer: Tracer::default(),
            config,
            views: Arc::default(),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// The same, with somebody who takes its spans.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        self.config.borrow().clone()
    }

    /// Looks at the views. Keep it short: the next event waits meanwhile.
    pub fn see<T>(&self, look: impl FnOnce(&Views) -> T) -> T {
        look(&self.views.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How far the views have come, and each change of that.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}
