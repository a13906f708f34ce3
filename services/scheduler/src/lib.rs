//! Decides: runs, rollouts, waves, rollback. The only service that does.
//!
//! In: changes, releases, outcomes, commands, time. Out: runs and plans, tasks and observations.
//! There are no effects: all that it does is to decide.

pub mod decide;

use async_trait::async_trait;
use ferry_runtime::{Done, Effects, Job};

pub use decide::Scheduler;

/// The scheduler has nothing to do outside.
pub struct NoEffects;

#[async_trait]
impl Effects<Scheduler> for NoEffects {
    async fn perform(&self, job: Job<decide::Nothing>) -> Done<decide::Nothing> {
        job.work.into()
    }
}
