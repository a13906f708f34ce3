//! The slimmer's effects without zip work. In: a packaged artifact of a simulated build. Out: its release,
//! with a version of its own for each content, as the real one stamps it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ferry_events::{
    Reason, Stop,
    artifact::{Packaged, Release, Slimmed},
};
use ferry_runtime::{Done, Effects, Failure, Hands, Job};
use ferry_slimmer::{Slimmer, decide::Outcome};

use super::jars;
use crate::process::Life;

/// What slimming takes.
const SLIM: Duration = Duration::from_millis(60);

/// The effects of one life.
pub struct Slims {
    life: Arc<Life>,
    hands: Hands,
}

impl Slims {
    /// Effects of a life.
    pub fn new(life: Arc<Life>, hands: Hands) -> Self {
        Self { life, hands }
    }
}

#[async_trait]
impl Effects<Slimmer> for Slims {
    async fn perform(&self, job: Job<Packaged>) -> Done<Outcome> {
        Done::of(self.slim(&job).await, |result| match result {
            Ok(release) => Outcome::Slimmed(release),
            Err(stop) => stop.into(),
        })
    }
}

impl Slims {
    async fn slim(&self, job: &Job<Packaged>) -> Result<Box<Release>, Failure> {
        let packaged = &job.work;
        tokio::time::sleep(SLIM).await;
        self.life.open().await;
        let Some(world) = self.life.world.upgrade() else {
            return std::future::pending().await;
        };
        let made = world
            .made_from(&packaged.digest)
            .ok_or_else(|| Stop::new(Reason::StoreFailed, "a jar that nobody has built"))?;
        let commit = packaged.commit.clone().unwrap_or_default();
        let version = format!(
            "1.0.0-{}-{}",
            commit.get(..8).unwrap_or_default(),
            packaged.digest.short()
        );
        let bytes = jars::jar(&packaged.module, &version, made.quality, "slimmed");
        let stored = jars::write(world.folder(), &bytes);
        let (digest, size, path) =
            stored.map_err(|error| Stop::new(Reason::DiskFull, error.to_string()))?;
        world.slimmed(&version, &packaged.digest);
        drop(world);
        let stored = self.hands.put_jar(&digest, &path).await;
        stored
            .map_err(|error| Failure::Again(Stop::new(Reason::StoreFailed, error.to_string())))?;
        self.life.pass("has slimmed").await;
        let slimmed = Slimmed {
            digest,
            version,
            size,
            profile: None,
            left_out: 0,
            kept: 0,
            proof: None,
            report: None,
            since: None,
        };
        let pools = job.config.pools_of_module(&packaged.module);
        Ok(Box::new(Release {
            origin: packaged.origin,
            run: packaged.run,
            module: packaged.module.clone(),
            commit: packaged.commit.clone(),
            packaged: packaged.digest.clone(),
            biz: packaged.biz.clone(),
            own: packaged.own.clone(),
            pools: pools
                .into_iter()
                .map(|(pool, _)| (pool.to_owned(), slimmed.clone()))
                .collect(),
        }))
    }
}
