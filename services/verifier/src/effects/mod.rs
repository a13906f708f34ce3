//! What the verifier does outside: asks arklet, modules, Prometheus and others over HTTP, reads the
//! installer's facts.
//!
//! In: claimed observations and gates; the configuration's bases. Out: what was seen; of modules with the
//! revision of the base's record before and after. It changes nothing anywhere.

mod arklet;
mod check;
mod fact;
mod gate;
mod liveness;
mod metric;
mod observe;
mod probe;
mod prometheus;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use ferry_runtime::{Clock, Done, Effects, Feeder, Hands, Job};
use ferry_web::{Http, Web};

use crate::decide::{Outcome, VerifierDecide, Work};

/// The half of the verifier that does I/O.
pub struct VerifierEffects {
    hands: Hands,
    web: Arc<dyn Web>,
    clock: Clock,
    secrets: PathBuf,
}

impl VerifierEffects {
    /// Effects with hands on a bus.
    ///
    /// # Errors
    /// When no HTTP client can be set up.
    pub fn new(hands: Hands) -> anyhow::Result<Self> {
        Ok(Self {
            hands,
            web: Arc::new(Http::new()?),
            clock: Clock::wall(),
            secrets: PathBuf::from("."),
        })
    }

    /// The same, with another way to the bases.
    #[must_use]
    pub fn with_web(self, web: Arc<dyn Web>) -> Self {
        Self { web, ..self }
    }

    /// The same, with the folder that relative `file:` secrets are in.
    #[must_use]
    pub fn with_secrets(self, secrets: PathBuf) -> Self {
        Self { secrets, ..self }
    }

    /// The same, with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }
}

#[async_trait]
impl Effects<VerifierDecide> for VerifierEffects {
    async fn perform(&self, job: Job<Work>) -> Done<Outcome> {
        let outcome = match &job.work {
            Work::Await { requested, until } => {
                self.await_well(&job.config, requested, *until).await
            }
            Work::Soak { requested, until } => self.soak(&job.config, requested, *until).await,
            Work::Metric(question) => self.metric(&job.config, question).await,
            Work::Check { question, event } => self.check(&job.config, question, event).await,
        };
        outcome.into()
    }

    async fn watch(&self, feeder: Feeder<VerifierDecide>) {
        liveness::watch(self.web.clone(), self.clock.clone(), feeder).await;
    }
}
