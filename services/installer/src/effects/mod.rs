//! What the installer does outside: asks bases through arklet, serves jars to them. The only I/O.
//!
//! In: a claimed piece of work. Out: what the base shows after it. Every change is fenced by the plan in
//! force, read from the bus's leader after the intent was committed.

mod act;
mod arklet;
mod artifacts;
mod cache;
mod drain;
mod explain;
mod fence;
mod pace;
mod patience;
mod prepare;
mod redact;
mod restart;
mod sign;

pub use arklet::{Arklet, CallError};
pub use cache::{CACHE_LIMIT, Cache, CacheError};
pub use patience::SILENCE_LIMIT;
pub use sign::{Grant, Signer};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use ferry_config::{Config, Installer};
use ferry_events::{Reason, Stop};
use ferry_runtime::{Clock, Done, Effects, Feeder, Hands, Job};
use ferry_web::{Http, Web};
use tokio::{sync::watch, time::Instant};
use url::Url;

use crate::decide::{
    ActEnd, Acted, Change, Drained, DrainedEnd, InstallerDecide, Outcome, Prepared, PreparedEnd,
    RestartStage, Restarted, Undrained, Work,
};

/// The half of the installer that does I/O.
pub struct InstallerEffects {
    hands: Hands,
    cache: Arc<Cache>,
    signer: Arc<Signer>,
    fetched: Arc<artifacts::Fetched>,
    paces: pace::Paces,
    clock: Clock,
    silence: Duration,
    web: Arc<dyn Web>,
    out: drain::KnownOut,
    /// Where bases reach the artifact server, once it listens.
    served: watch::Sender<Option<Url>>,
    /// Whether it listens itself.
    listens: bool,
    /// The folder that relative `file:` secrets are in.
    secrets: PathBuf,
}

impl InstallerEffects {
    /// Effects that keep their jars below `data_dir`.
    ///
    /// # Errors
    /// When the folder cannot be made, or no HTTP client can be set up.
    pub fn new(hands: Hands, data_dir: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            cache: Arc::new(Cache::open(
                data_dir.join("jars"),
                hands.clone(),
                CACHE_LIMIT,
            )?),
            web: Arc::new(Http::new()?),
            out: drain::KnownOut::default(),
            hands,
            signer: Arc::default(),
            fetched: Arc::default(),
            paces: pace::Paces::default(),
            clock: Clock::wall(),
            silence: SILENCE_LIMIT,
            served: watch::Sender::new(None),
            listens: true,
            secrets: PathBuf::from("."),
        })
    }

    /// The same, with another clock for the expiry of addresses.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same, with the folder that relative `file:` secrets are in.
    #[must_use]
    pub fn with_secrets(self, secrets: PathBuf) -> Self {
        Self { secrets, ..self }
    }

    /// The same, with another way to the bases.
    #[must_use]
    pub fn with_web(self, web: Arc<dyn Web>) -> Self {
        Self { web, ..self }
    }

    /// The same, whose artifacts are served by someone else: at this address, through
    /// [`Self::artifact_routes`].
    #[must_use]
    pub fn served_at(mut self, url: Url) -> Self {
        self.served = watch::Sender::new(Some(url));
        self.listens = false;
        self
    }

    /// The same, with less patience for a silent base than [`SILENCE_LIMIT`].
    #[must_use]
    pub fn with_silence_limit(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Arklet of a base, as the configuration names it.
    fn arklet(&self, config: &Config, base: &str) -> Result<Arklet, Stop> {
        let (_, found) = config.base(base).ok_or_else(|| {
            Stop::new(
                Reason::BaseUnreachable,
                format!("the configuration has no base {base} any more"),
            )
        })?;
        Ok(Arklet::new(
            self.web.clone(),
            found.arklet.clone(),
            config.installer.request_timeout,
        ))
    }
}

#[async_trait]
impl Effects<InstallerDecide> for InstallerEffects {
    async fn perform(&self, job: Job<Work>) -> Done<Outcome> {
        let began = Instant::now();
        let arklet = self.arklet(&job.config, job.work.base());
        let outcome = match (&job.work, arklet) {
            (Work::Prepare { task, unsettled }, Ok(arklet)) => {
                let installer = &job.config.installer;
                match self.prepare(&arklet, task, unsettled, installer).await {
                    Done::Outcome(prepared) => Outcome::Prepared(prepared),
                    Done::Again(stop) => return Done::Again(stop),
                }
            }
            (Work::Prepare { .. }, Err(stop)) => Outcome::Prepared(Prepared {
                end: PreparedEnd::Failed { stop, seen: None },
                settled: false,
                observe_ms: 0,
                fetch_ms: None,
            }),
            (Work::Drain { task }, arklet) => {
                let end = match arklet {
                    Ok(arklet) => self.drain(&arklet, &job, task).await,
                    Err(stop) => DrainedEnd::Failed { stop },
                };
                let millis = millis(began.elapsed());
                Outcome::Drained(Drained { end, millis })
            }
            (Work::Restart(restart), arklet) => {
                let came = self.restart(&job.config, restart, arklet).await;
                let (stop, ended) = match came {
                    Ok(ended) => (None, ended),
                    Err(stop) if restart.stage == RestartStage::Undrain => {
                        return Done::Again(stop);
                    }
                    Err(stop) => (Some(stop), None),
                };
                Outcome::Restarted(Restarted {
                    turn: restart.turn.clone(),
                    stage: restart.stage,
                    stop,
                    ended,
                    millis: millis(began.elapsed()),
                })
            }
            (Work::Undrain { module, out, waits }, _) => {
                let stop = self.undrain(&job.config, module, out).await;
                match stop {
                    Some(stop) if !waits => return Done::Again(stop),
                    stop => Outcome::Undrained(Undrained {
                        module: module.clone(),
                        stop,
                        millis: millis(began.elapsed()),
                    }),
                }
            }
            (
                Work::Act {
                    task,
                    intent,
                    drained,
                },
                arklet,
            ) => {
                let gates = gates_on_metaspace(&job.config, &task.base);
                let gates = gates && matches!(intent.change, Change::Install { .. });
                let arklet = match (drained, arklet) {
                    (true, Ok(arklet)) => self.keep_out(&job.config, task).await.map(|()| arklet),
                    (_, arklet) => arklet,
                };
                let (end, growth) = match arklet {
                    Ok(arklet) if gates => {
                        let before = arklet.metaspace().await;
                        let end = self.act(&arklet, &job, task, intent).await;
                        let after = match end {
                            ActEnd::Done { .. } => arklet.metaspace().await,
                            _ => None,
                        };
                        let growth = before.zip(after);
                        (
                            end,
                            growth.map(|(before, after)| after.saturating_sub(before)),
                        )
                    }
                    Ok(arklet) => (self.act(&arklet, &job, task, intent).await, None),
                    Err(stop) => (ActEnd::Silent { stop }, None),
                };
                let millis = millis(began.elapsed());
                Outcome::Acted(Acted {
                    growth,
                    request: intent.request,
                    end,
                    millis,
                })
            }
        };
        outcome.into()
    }

    async fn watch(&self, feeder: Feeder<InstallerDecide>) {
        if self.listens {
            self.serve(feeder).await;
        }
    }
}

/// Whether rollouts to a base's pool ask how much metaspace is left.
fn gates_on_metaspace(config: &Config, base: &str) -> bool {
    let pool = config
        .base(base)
        .and_then(|(pool, _)| config.pools.get(pool));
    pool.is_some_and(|pool| pool.metaspace_growth > 0)
}

/// Whole milliseconds, as they go into events.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// How long a step's change may take.
fn limit_of(change: &Change, installer: &Installer) -> Duration {
    match change {
        Change::Uninstall { .. } => installer.uninstall_timeout,
        Change::Install { .. } | Change::Explain { .. } => installer.install_timeout,
    }
}
