//! The builder's effects without git and Maven. In: claimed work of the real decisions. Out: what the
//! simulated repository says; jars whose bytes differ from build to build.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_trait::async_trait;
use ferry_builder::{
    BuilderDecide,
    decide::{
        Outcome, Work,
        build::{BuildWork, Built},
        head::{Found, HeadWork, Wanted},
    },
};
use ferry_bus::BusError;
use ferry_events::{Reason, Stop, artifact::Biz};
use ferry_runtime::{Done, Effects, Failure, Feeder, Hands, Job};
use tokio::sync::watch;

use super::jars;
use crate::{
    process::Life,
    script::{MODULES, Quality},
    world::World,
};

/// What asking git takes.
const GIT: Duration = Duration::from_millis(80);
/// What a build takes.
const BUILD: Duration = Duration::from_millis(2_500);

/// The effects of one life.
pub struct Builds {
    life: Arc<Life>,
    hands: Hands,
    feeder: watch::Sender<Option<Feeder<BuilderDecide>>>,
}

impl Builds {
    /// Effects of a life.
    pub fn new(life: Arc<Life>, hands: Hands) -> Self {
        Self {
            life,
            hands,
            feeder: watch::Sender::new(None),
        }
    }

    async fn world(&self) -> Arc<World> {
        self.life.open().await;
        match self.life.world.upgrade() {
            Some(world) => world,
            None => std::future::pending().await,
        }
    }

    async fn resolve(&self, work: &HeadWork) -> Result<Box<Found>, Failure> {
        let name = match &work.wanted {
            Wanted::Pushed(after) => after,
            Wanted::Named(name) => name,
        };
        tokio::time::sleep(GIT).await;
        let world = self.world().await;
        let found = if world.git_answers() {
            let git = world.git.lock().expect("no panic under this lock");
            git.found(work.head.as_deref(), name)
                .map(Box::new)
                .ok_or_else(|| Stop::new(Reason::CommitNotFound, name.clone()).into())
        } else {
            let why = "git does not answer";
            Err(Failure::Again(Stop::new(Reason::FetchFailed, why)))
        };
        drop(world);
        self.life.pass("git has answered").await;
        found
    }

    async fn build(&self, work: &BuildWork) -> Result<Built, Failure> {
        tokio::time::sleep(BUILD).await;
        let world = self.world().await;
        let module = MODULES.iter().position(|module| *module == work.module);
        let content = module.and_then(|module| {
            let git = world.git.lock().expect("no panic under this lock");
            git.content(&work.commit, module)
        });
        let Some((origin, quality)) = content else {
            return Err(Stop::new(Reason::BuildFailed, "there is no pom.xml").into());
        };
        if quality == Quality::NoCompile {
            return Err(Stop::new(Reason::DoesNotCompile, "as the commit says").into());
        }
        // A clock in the jar, as `build-time` is: no two builds agree.
        let salt = format!("{}", world.boundaries.load(Ordering::Relaxed));
        let bytes = jars::jar(&work.module, "1.0.0", quality, &salt);
        let stored = jars::write(world.folder(), &bytes);
        let (digest, size, path) =
            stored.map_err(|error| Stop::new(Reason::DiskFull, error.to_string()))?;
        world.packaged(&digest, &work.module, &work.commit, &origin, quality);
        drop(world);
        let stored = self.hands.put_jar(&digest, &path).await;
        let failed = |error| Failure::Again(Stop::new(Reason::StoreFailed, format!("{error}")));
        stored.map_err(|error: BusError| failed(error))?;
        self.life.pass("has built").await;
        Ok(Built {
            rules: Vec::new(),
            own: None,
            digest,
            size,
            biz: Biz {
                name: work.module.clone(),
                version: "1.0.0".into(),
                web_context_path: Some(format!("/{}", work.module)),
            },
        })
    }
}

#[async_trait]
impl Effects<BuilderDecide> for Builds {
    async fn perform(&self, job: Job<Work>) -> Done<Outcome> {
        match &job.work {
            Work::Tell { push, .. } => Outcome::Told { push: *push }.into(),
            Work::Resolve(work) => {
                let ask = work.ask;
                Done::of(self.resolve(work).await, |found| Outcome::Resolved {
                    ask,
                    found,
                })
            }
            Work::GetReady(work) => {
                let jar = work.jar.clone();
                Outcome::Ready { jar }.into()
            }
            Work::Build(work) => {
                let (round, key) = (work.round, job.key.clone());
                if let Some(feeder) = self.feeder.borrow().clone() {
                    tokio::spawn(async move {
                        // Lost with the process; the end of the work tells all.
                        let _ = feeder.report(&key, Outcome::Began { round }).await;
                    });
                }
                let result = self.build(work).await;
                let millis = u64::try_from(BUILD.as_millis()).unwrap_or_default();
                Done::of(result, |result| Outcome::Built { millis, result })
            }
        }
    }

    async fn watch(&self, feeder: Feeder<BuilderDecide>) {
        self.feeder.send_replace(Some(feeder));
        std::future::pending().await
    }
}
