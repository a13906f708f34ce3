//! What the builder does outside: git, the sandbox, Maven, the store.
//!
//! In: claimed work. Out: its outcome, and the build's log on the bus while it is written.

mod artifact;
mod build;
mod files;
mod git;
mod log;
mod maven;
mod mirror;
mod own;
mod process;
mod resident;
mod resolve;
mod rules;
mod run;
mod sandbox;
mod snippet;
mod tools;
mod usage;
mod warm;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use ferry_config::Config;
use ferry_events::Stop;
use ferry_runtime::{Done, Effects, Failure, Feeder, Hands, Job, Key, Notes};
use tokio::sync::{RwLock, watch};
use tracing::{error, info, warn};

use crate::decide::{
    BuilderDecide, Outcome, Work,
    build::{BuildWork, Built},
    head::{Found, HeadWork},
};

pub use sandbox::{Jail, Unavailable, View};

/// How long a worker waits for the way to report; it is there when the service has started.
const FEEDER_WAIT: Duration = Duration::from_secs(10);

/// Where the builder keeps things, and where secrets are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The builder's own folder: mirrors, Maven repositories, work in hand. All of it can be made again.
    pub data_dir: PathBuf,
    /// The folder that relative `file:` secrets are in.
    pub secrets_root: PathBuf,
}

impl Places {
    fn mirrors(&self) -> PathBuf {
        self.data_dir.join("mirrors")
    }

    fn builds(&self) -> PathBuf {
        self.data_dir.join("builds")
    }

    fn workers(&self) -> PathBuf {
        self.data_dir.join("workers")
    }

    fn maven(&self) -> PathBuf {
        self.data_dir.join("m2")
    }
}

/// The half of the builder that does I/O. Clones share everything.
#[derive(Clone)]
pub struct BuilderEffects {
    places: Places,
    hands: Hands,
    git: git::Git,
    locks: Arc<Locks>,
    warm: warm::Warm,
    feeder: watch::Sender<Option<Feeder<BuilderDecide>>>,
    bench: Arc<snippet::Bench>,
}

/// One lock a name, made when it is asked for.
#[derive(Default)]
struct Locks(Mutex<BTreeMap<String, Arc<RwLock<()>>>>);

impl Locks {
    fn of(&self, kind: &str, name: &str) -> Arc<RwLock<()>> {
        let mut locks = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        locks.entry(format!("{kind} {name}")).or_default().clone()
    }
}

impl BuilderEffects {
    /// Effects with their folders; what an earlier process left of its builds is removed.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn new(places: Places, hands: Hands) -> std::io::Result<Self> {
        Self::noting(places, hands, Notes::default())
    }

    /// As [`Self::new`]; what builds have to do without is noted for `/readyz`.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn noting(places: Places, hands: Hands, notes: Notes) -> std::io::Result<Self> {
        let (builds, workers) = (places.builds(), places.workers());
        for folder in [&builds, &workers] {
            match std::fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    warn!(%error, "what an earlier builder left cannot be removed");
                }
                _ => {}
            }
        }
        for folder in [&builds, &workers, &places.mirrors(), &places.maven()] {
            std::fs::create_dir_all(folder)?;
        }
        let git = git::Git::new(&places)?;
        sandbox::prepare(&places.data_dir)?;
        let bench = Arc::new(snippet::Bench::new(&places, hands.clone(), notes.clone())?);
        Ok(Self {
            bench,
            warm: warm::Warm::new(&places, notes),
            places,
            hands,
            git,
            locks: Arc::default(),
            feeder: watch::Sender::new(None),
        })
    }

    /// Asks git about a push or a command.
    ///
    /// # Errors
    /// Why git could not tell.
    pub async fn resolve(&self, work: &HeadWork, config: &Config) -> Result<Box<Found>, Failure> {
        resolve::resolve(self, work, config).await.map(Box::new)
    }

    /// Builds a commit; its log goes to every run that waits for it, as `key`'s record says. The
    /// attempt comes with why the one before failed. The time is Maven's own, in milliseconds.
    pub async fn build(
        &self,
        key: &Key,
        work: &BuildWork,
        attempt: (u32, Option<&Stop>),
        config: &Config,
    ) -> (u64, Result<Built, Failure>) {
        let (maven, result) = build::build(self, key, work, attempt, config).await;
        (u64::try_from(maven.as_millis()).unwrap_or(u64::MAX), result)
    }

    /// Gets ready for the snippets of a configuration, so that the first push waits for nothing that could have been
    /// done before. How often a compiler tried itself for that.
    pub async fn get_ready(&self, config: &Config) -> usize {
        self.bench.warm(config).await
    }

    /// Reports in the background, so that the work does not wait for the bus.
    fn report(&self, key: &Key, noticed: Outcome) {
        let (mut feeder, key) = (self.feeder.subscribe(), key.clone());
        tokio::spawn(async move {
            let there = tokio::time::timeout(FEEDER_WAIT, feeder.wait_for(Option::is_some)).await;
            let feeder = there
                .ok()
                .and_then(Result::ok)
                .and_then(|feeder| feeder.clone());
            let told = match feeder {
                Some(feeder) => feeder
                    .report(&key, noticed)
                    .await
                    .map_err(|fault| fault.to_string()),
                None => Err("the service has not started".into()),
            };
            if let Err(error) = told {
                warn!(%key, %error, "a report is lost; the end of the work tells all");
            }
        });
    }
}

#[async_trait]
impl Effects<BuilderDecide> for BuilderEffects {
    async fn perform(&self, job: Job<Work>) -> Done<Outcome> {
        match &job.work {
            Work::Resolve(work) => {
                let found = self.resolve(work, &job.config).await;
                if let Err(failure) = &found {
                    warn!(
                        repository = work.repository,
                        branch = work.branch,
                        ?failure,
                        "git could not tell"
                    );
                }
                Done::of(found, |found| Outcome::Resolved {
                    ask: work.ask,
                    found,
                })
            }
            Work::Tell { push, .. } => Outcome::Told { push: *push }.into(),
            Work::Build(work) => {
                self.report(&job.key, Outcome::Began { round: work.round });
                let (millis, result) = self
                    .build(
                        &job.key,
                        work,
                        (job.attempt, job.failed.as_ref()),
                        &job.config,
                    )
                    .await;
                match &result {
                    Ok(built) => {
                        info!(module = work.module, commit = work.commit, digest = %built.digest, millis, "built");
                    }
                    Err(failure) => {
                        let stop = failure.clone().into_stop();
                        let (reason, detail) =
                            (stop.reason, stop.detail.lines().next().unwrap_or_default());
                        info!(module = work.module, commit = work.commit, %reason, detail, millis, "not built");
                    }
                }
                Done::of(result, |result| Outcome::Built { millis, result })
            }
            Work::GetReady(work) => {
                self.bench.warm_build(&work.base, &job.config).await;
                let jar = work.jar.clone();
                Outcome::Ready { jar }.into()
            }
        }
    }

    async fn watch(&self, mut feeder: Feeder<BuilderDecide>) {
        self.feeder.send_replace(Some(feeder.clone()));
        let mut told = None;
        loop {
            let config = feeder.config();
            let mode = config.builder.sandbox;
            if told.replace(mode) != Some(mode) {
                match Jail::find(mode, &self.places.data_dir).await {
                    Ok(jail) if jail.is_open() => warn!("{}", sandbox::OPEN),
                    Ok(jail) => info!("builds run in {jail}"),
                    Err(unavailable) => error!("no build can run: {unavailable}"),
                }
            }
            self.warm.keep_to(&config.builder).await;
            self.get_ready(&config).await;
            feeder.config_changed().await;
        }
    }
}
