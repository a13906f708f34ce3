//! What a unit remembers of each base between plans, and when a base may be repaired again.
//!
//! In: what was seen of a base, what became of its repairs, the limits of `[reconcile]`. Out: [`Care`].

use std::time::Duration;

use chrono::TimeDelta;
use ferry_config::Reconcile;
use ferry_events::{Reason, Stop, Timestamp, artifact::Release};
use serde::{Deserialize, Serialize};

use super::plan;

/// Of a failure's cause this much is kept for each base, in characters, so that a state stays under 64 KiB.
const CAUSE_MAX: usize = 140;

/// A stop with as much of its cause as is kept for each base.
pub(super) fn shortened(stop: &Stop) -> Stop {
    let mut short = stop.clone();
    if let Some((end, _)) = short.detail.char_indices().nth(CAUSE_MAX) {
        short.detail.truncate(end);
    }
    short
}

/// What is remembered of a base.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Care {
    /// The last sighting that was taken in: an older or a repeated one says nothing.
    #[serde(default)]
    pub sighting: u64,
    /// How often the installer had changed the module there when it was last heard of.
    #[serde(default)]
    pub revision: u64,
    /// Whether the base does not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// When its repairs were begun, within the window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<Timestamp>,
    /// Metaspace left under its limit, in KiB, and the sighting that told; none: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<(u64, u64)>,
    /// That it could not be brought back: the generation of the plan that tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<u64>,
    /// That it is to be brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Owed>,
}

/// A base is to be brought back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    /// Since when that is known.
    pub since: Timestamp,
    /// The versions that were seen there; none: it could not be changed, and nothing was seen since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<Vec<String>>,
    /// When its next repair may begin; none: it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Why it was not brought back so far, or is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

impl Owed {
    /// Whether no more repairs follow by themselves.
    pub fn is_given_up(&self) -> bool {
        self.stop
            .as_ref()
            .is_some_and(|stop| stop.reason == Reason::RepairGivenUp)
    }
}

pub(super) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

pub(super) fn later(at: Timestamp, by: TimeDelta) -> Timestamp {
    at.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC)
}

impl Care {
    /// When its next repair may begin, where it is owed one and answers.
    pub fn next(&self) -> Option<Timestamp> {
        self.owed
            .as_ref()
            .filter(|_| !self.lost)
            .and_then(|owed| owed.next)
    }

    /// Whether it serves nobody: it does not answer, or could not be brought back.
    pub fn is_out_of_service(&self) -> bool {
        let owed = self.owed.as_ref();
        self.lost || owed.is_some_and(|owed| owed.actual.is_none())
    }

    /// Forgets repairs that were begun before the window.
    pub fn prune(&mut self, now: Timestamp, limits: &Reconcile) {
        let window = delta(limits.window);
        self.begun.retain(|begun| later(*begun, window) > now);
    }

    /// The pause after so many repairs as were begun: it doubles with each one.
    fn pause(&self, limits: &Reconcile) -> TimeDelta {
        let doublings = u32::try_from(self.begun.len().saturating_sub(1)).unwrap_or(u32::MAX);
        delta(
            limits
                .pause
                .saturating_mul(2_u32.saturating_pow(doublings))
                .min(limits.window),
        )
    }

    /// Whether it was repaired as often as it may be: then there is nothing to wait for.
    pub fn is_used_up(&self, limits: &Reconcile) -> bool {
        self.begun.len() >= limits.attempts as usize
    }

    /// Something other than what is wanted was seen. It is repaired at once the first time.
    pub fn differs(&mut self, actual: Vec<String>, now: Timestamp, limits: &Reconcile) {
        self.prune(now, limits);
        let next = match self.begun.last() {
            None => now,
            Some(_) if self.is_used_up(limits) => now,
            Some(last) => later(*last, self.pause(limits)).max(now),
        };
        let owed = self.owed.get_or_insert(Owed {
            since: now,
            actual: None,
            next: None,
            stop: None,
        });
        owed.actual = Some(actual);
        owed.next = Some(next);
    }

    /// It could not be brought back. It is tried again after a pause.
    pub fn failed(&mut self, stop: &Stop, now: Timestamp, limits: &Reconcile) {
        self.prune(now, limits);
        let next = match self.is_used_up(limits) {
            true => now,
            false => later(now, self.pause(limits)),
        };
        let since = self.owed.as_ref().map_or(now, |owed| owed.since);
        self.owed = Some(Owed {
            since,
            actual: None,
            next: Some(next),
            stop: Some(shortened(stop)),
        });
    }

    /// A rollout begins: what was counted before it counts no more.
    pub fn reset(&mut self, now: Timestamp) {
        self.begun.clear();
        if let Some(owed) = &mut self.owed {
            owed.next = Some(now);
            owed.stop = None;
        }
    }
}

/// Whether these versions are other than what a pool's bases should run. Without a verified release only
/// a version that was decided against is out of place: others are none of Ferry's business.
pub fn is_other(
    verified: Option<&Release>,
    rejected: &[String],
    pool: &str,
    actual: &[String],
) -> bool {
    match verified {
        Some(release) => {
            plan::want(release, pool).is_some_and(|want| actual != [want.version.as_str()])
        }
        None => !actual.is_empty() && actual.iter().all(|version| rejected.contains(version)),
    }
}
