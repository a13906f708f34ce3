//! What is paused: everything, environments, modules, runs; and which bases are held.
//!
//! In: `line.changed`. Out: the pauses that stand.

use std::collections::BTreeMap;

use ferry_events::line::{Act, Changed, Standing, Stretch};
use serde::{Deserialize, Serialize};

/// The pauses that stand. Kept on the bus too, because the events that they follow from are kept for a
/// month only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The last change's number; what has no greater one is past.
    pub number: u64,
    /// The pauses, the oldest first.
    pub standing: Vec<Standing>,
}

impl Line {
    pub(super) fn apply(&mut self, it: &Changed) {
        if it.number <= self.number {
            return;
        }
        self.number = it.number;
        let mut standing: BTreeMap<Stretch, Standing> = std::mem::take(&mut self.standing)
            .into_iter()
            .map(|one| (one.stretch.clone(), one))
            .collect();
        match it.act {
            Act::Pause | Act::Hold => {
                let one = Standing {
                    stretch: it.stretch.clone(),
                    since: it.at,
                    actor: it.actor.clone(),
                    why: it.why.clone(),
                    quarantined: false,
                };
                standing.insert(it.stretch.clone(), one);
            }
            Act::Resume | Act::Release => {
                standing.remove(&it.stretch);
            }
            // Whether a person holds it besides is in what stands.
            Act::Quarantine | Act::Mend => {
                match it.standing.iter().find(|one| one.stretch == it.stretch) {
                    Some(one) => standing.insert(it.stretch.clone(), one.clone()),
                    None => standing.remove(&it.stretch),
                };
            }
            // What is paused stays so for the runs to come.
            Act::Abort => {}
        }
        self.standing = standing.into_values().collect();
        self.standing
            .sort_by(|a, b| (a.since, &a.stretch).cmp(&(b.since, &b.stretch)));
    }

    /// The hold of a base, where it is held.
    pub(super) fn hold(&self, base: &str) -> Option<&Standing> {
        self.standing
            .iter()
            .find(|one| one.stretch.base() == Some(base))
    }

    /// Takes what was kept; the stream's own events count more.
    pub(super) fn recall(&mut self, kept: Self) {
        if kept.number > self.number {
            *self = kept;
        }
    }
}
