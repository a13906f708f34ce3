//! Kills, freezes, continues and starts again, by a schedule, as a supervisor and a bad day would.
//!
//! In: a fleet and acts. Out: what was done, and which processes ended by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use chrono::Utc;
use ferry_events::{PushId, Timestamp};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::journal::Journal;
use super::pushes::Sent;
use super::schedule::{Act, What};
use crate::fleet::Fleet;

/// How often it looks for processes that ended by themselves, and says how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What was done to the processes of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// SIGKILL.
    pub kills: usize,
    /// SIGSTOP.
    pub freezes: usize,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// When the schedule began.
    pub began: Timestamp,
    /// By service; nat-servers are one.
    pub counts: BTreeMap<String, Count>,
    /// The acts that were done.
    pub acts: Vec<Act>,
    /// Processes that ended though nobody ended them.
    pub ended: Vec<String>,
}

enum Step<'a> {
    Do(&'a Act),
    Undo(&'a Act),
}

#[allow(
    clippy::disallowed_methods,
    reason = "to lay acts beside the times of messages"
)]
fn now() -> Timestamp {
    Utc::now()
}

/// A process's service: `scheduler-1` is of `scheduler`.
fn service_of(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(service, _)| service)
}

/// Follows the schedule until `ends`; then everything that is down or frozen runs again.
pub(super) async fn run(
    fleet: &mut Fleet,
    acts: &[Act],
    ends: Instant,
    journal: &Journal,
    say: &impl Fn(&str),
) -> Result<Done> {
    let mut done = Done {
        began: now(),
        counts: fleet
            .names()
            .iter()
            .map(|name| (service_of(name).to_owned(), Count::default()))
            .collect(),
        acts: Vec::new(),
        ended: Vec::new(),
    };
    let mut steps: Vec<(Duration, Step<'_>)> = Vec::new();
    for act in acts {
        steps.push((act.at, Step::Do(act)));
        steps.push((act.at + act.lasts, Step::Undo(act)));
    }
    steps.sort_by_key(|(at, _)| *at);
    let began = Instant::now();
    let mut down = BTreeSet::new();
    for (at, step) in steps {
        let at = (began + at).min(ends);
        while Instant::now() < at {
            watch(fleet, &down, &mut done).await?;
            let (ended, open) = journal.runs();
            let (secs, acts) = (began.elapsed().as_secs(), done.acts.len());
            say(&format!(
                "{secs} s: {acts} kills and freezes; {ended} runs ended, {open} open"
            ));
            sleep_until(at.min(Instant::now() + LOOK_EVERY)).await;
        }
        match step {
            Step::Do(act) => {
                let count = done
                    .counts
                    .entry(service_of(&act.name).to_owned())
                    .or_default();
                match act.what {
                    What::Kill => {
                        count.kills += 1;
                        down.insert(act.name.clone());
                        fleet.kill(&act.name).await?;
                    }
                    What::Freeze => {
                        count.freezes += 1;
                        fleet.freeze(&act.name)?;
                    }
                }
                done.acts.push(act.clone());
            }
            Step::Undo(act) => match act.what {
                What::Kill => {
                    down.remove(&act.name);
                    fleet.start_again(&act.name).await?;
                }
                What::Freeze => fleet.thaw(&act.name)?,
            },
        }
    }
    while Instant::now() < ends {
        watch(fleet, &down, &mut done).await?;
        sleep_until(ends.min(Instant::now() + LOOK_EVERY)).await;
    }
    Ok(done)
}

/// Starts again what ended though nobody ended it, and remembers that it did.
async fn watch(fleet: &mut Fleet, down: &BTreeSet<String>, done: &mut Done) -> Result<()> {
    for name in fleet.names() {
        if down.contains(&name) {
            continue;
        }
        if let Some(status) = fleet.ended(&name)? {
            done.ended.push(format!("{name} ended by itself: {status}"));
            fleet.start_again(&name).await?;
        }
    }
    Ok(())
}

/// Waits until nothing is in hand any more, or the limit.
pub(super) async fn rest(
    fleet: &mut Fleet,
    done: &mut Done,
    sent: &mut [Sent],
    journal: &Journal,
    limit: Duration,
    say: &impl Fn(&str),
) -> Result<()> {
    let pushes: Vec<PushId> = sent.iter().filter_map(|it| Some(it.accepted?.0)).collect();
    let began = Instant::now();
    let none = BTreeSet::new();
    while !journal.is_at_rest(&pushes) && began.elapsed() < limit {
        watch(fleet, &none, done).await?;
        let (ended, open) = journal.runs();
        let secs = began.elapsed().as_secs();
        say(&format!(
            "everything runs again since {secs} s: {ended} runs ended, {open} open"
        ));
        sleep_until(Instant::now() + LOOK_EVERY).await;
    }
    Ok(())
}
