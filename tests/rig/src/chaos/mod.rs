//! Real kills: the whole of Ferry in two replicas on a real nats-server, while processes are killed
//! and frozen by a schedule and pushes go on; then everything is checked from outside.
//!
//! In: how long, and a seed. Out: a report; nothing lost, nothing doubled, nothing left undone.
//!
//! The seed fixes the schedule of kills, freezes and pushes. Real processes are not replayed: how
//! they interleave differs from run to run.

mod bases;
mod doubled;
pub mod journal;
mod judge;
mod pushes;
mod report;
pub mod schedule;
mod secrets;
mod stall;
mod supervisor;
pub mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

pub use doubled::{doubled, on_base as doubled_on};
pub use journal::Journal;
pub use judge::Findings;
pub use pushes::{Forge, Sent, deliver};
pub use report::Report;
pub use supervisor::Done;
pub use world::World;

use crate::fleet::Size;

/// Modules: two in each of three repositories.
const REPOSITORIES: usize = 3;

/// From the last kill to rest: twice the longest wait that somebody has for somebody else (a delivery
/// in hand, 30 s; a claim on work, 15 s; the rollouts that wait for both), on a machine that is busy.
const REST_LIMIT: Duration = Duration::from_secs(300);

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For how long pushes and kills go on.
    pub length: Duration,
    /// What fixes the schedule.
    pub seed: u64,
    /// nats-servers: 1, or 3 with three copies of each stream.
    pub servers: usize,
    /// Where everything goes; what is there is removed first.
    pub dir: PathBuf,
}

/// Runs it. `say` is told about once a second how far it is.
///
/// # Errors
/// When a part does not come up, or cannot be looked at. What is wrong with Ferry is in the report.
pub async fn run(plan: &Plan, say: impl Fn(&str)) -> Result<Report> {
    if plan.dir.exists() {
        std::fs::remove_dir_all(&plan.dir)
            .with_context(|| format!("cannot remove {}", plan.dir.display()))?;
    }
    let size = Size {
        servers: plan.servers,
        replicas: 2,
    };
    say("starting");
    let mut world = World::start(&plan.dir, &size, REPOSITORIES).await?;
    let journal = journal::follow(&world.fleet).await?;
    let acts = schedule::schedule(plan.seed, &world.fleet.names(), plan.length);
    let file = plan.dir.join("schedule.jsonl");
    std::fs::write(&file, schedule::lines(&acts))
        .with_context(|| format!("cannot write {}", file.display()))?;

    let forge = pushes::Forge::of(&world.fleet)?;
    let ends = Instant::now() + plan.length;
    let World {
        fleet,
        repositories,
        ..
    } = &mut world;
    let (done, sent) = tokio::join!(
        supervisor::run(fleet, &acts, ends, &journal, &say),
        pushes::run(plan.seed, repositories, &forge, ends),
    );
    let (mut done, mut sent) = (done?, sent?);

    say("everything runs again; waiting for rest");
    let rest = Instant::now();
    supervisor::rest(
        &mut world.fleet,
        &mut done,
        &mut sent,
        &journal,
        REST_LIMIT,
        &say,
    )
    .await?;
    let rested = rest.elapsed();

    say("checking");
    let events = journal.events();
    let file = plan.dir.join("events.jsonl");
    std::fs::write(&file, journal::lines(&events))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let findings = judge::judge(&world, &events, &sent, &done).await?;
    Ok(Report::new(plan, &sent, &done, &events, findings, rested))
}
