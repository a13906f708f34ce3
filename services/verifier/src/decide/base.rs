//! A base as it was seen last: joined or lost, with its modules.
//!
//! In: reports of the looks at it. Out: an event where something is new.

use std::collections::BTreeMap;

use ferry_config::Pool;
use ferry_events::{
    Scope, Timestamp,
    base::{Drifted, Lost, ModuleOnBase, Seen},
    body::{BaseChanged, BaseJoined},
};
use ferry_runtime::{Context, Decision, Fault};
use serde::{Deserialize, Serialize};

use super::{Difference, Outcome, State};

/// Metaspace is told again when it moved by this share of its limit, as a divisor: finer than what installs
/// are gated on, coarser than what class loading moves by itself.
const METASPACE_STEP: u64 = 10;
/// The step where there is no limit: a few modules' worth.
const METASPACE_STEP_UNLIMITED: u64 = 32 << 20;

/// Whether a base answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It does.
    Joined,
    /// It does not.
    Lost,
}

/// What was said of a base last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Whether it answers.
    pub status: Status,
    /// Its modules, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleOnBase>,
    /// Metaspace in use, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_used: Option<u64>,
    /// Metaspace taken from the system, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_committed: Option<u64>,
    /// Its limit, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_max: Option<u64>,
    /// When something new was seen there last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Timestamp>,
    /// Counts what was said of it.
    #[serde(default)]
    pub sighting: u64,
    /// Differences that were said, by module.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drifted: BTreeMap<String, Difference>,
}

/// A base answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    /// What it reports. Its sighting is the decision's to count.
    pub seen: Seen,
    /// Where it differs from what was decided; none: that is not known now.
    pub drift: Option<BTreeMap<String, Difference>>,
}

/// A base has missed enough looks in a row to be lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
    /// When it last answered this process.
    pub last_seen: Option<Timestamp>,
    /// What the last look met.
    pub why: String,
}

pub(super) fn report(
    state: &State,
    report: &Outcome,
    context: &Context,
) -> Result<Decision<State>, Fault> {
    let before = match state {
        State::Base(base) => Some(base.as_ref()),
        _ => None,
    };
    match report {
        Outcome::Looked(looked) => Ok(self::looked(before, looked, context)),
        Outcome::Missed(it) => Ok(missed(before, it)),
        other => Err(Fault(format!("{other:?} is no report on a base"))),
    }
}

fn of_environment(environment: &str) -> Scope {
    Scope {
        environment: Some(environment.to_owned()),
        ..Scope::default()
    }
}

fn looked(before: Option<&Base>, looked: &Looked, context: &Context) -> Decision<State> {
    let seen = &looked.seen;
    let joins = before.is_none_or(|base| base.status == Status::Lost);
    let pool = context.config.pools.get(&seen.pool);
    let news = joins || before.is_some_and(|base| is_news(base, seen, pool));
    let said = before.map(|base| base.drifted.clone()).unwrap_or_default();
    let drifted = looked.drift.clone().unwrap_or_else(|| said.clone());
    let differs =
        |(module, difference): &(&String, &Difference)| said.get(*module) != Some(*difference);
    let sighting = before.map_or(0, |base| base.sighting)
        + u64::from(news || drifted.iter().any(|one| differs(&one)));
    let base = match before {
        Some(base) if !news => Base {
            sighting,
            drifted: drifted.clone(),
            ..base.clone()
        },
        _ => Base {
            status: Status::Joined,
            modules: seen.modules.clone(),
            metaspace_used: seen.metaspace_used,
            metaspace_committed: seen.metaspace_committed,
            metaspace_max: seen.metaspace_max,
            seen: Some(seen.at),
            sighting,
            drifted: drifted.clone(),
        },
    };
    let seen = &Seen {
        sighting,
        ..seen.clone()
    };
    let mut decision = Decision::to(State::Base(Box::new(base)));
    if joins {
        decision = decision.say(of_environment(&seen.environment), BaseJoined(seen.clone()));
    } else if news {
        decision = decision.say(of_environment(&seen.environment), BaseChanged(seen.clone()));
    }
    for (module, difference) in drifted {
        if !differs(&(&module, &difference)) {
            continue;
        }
        let scope = Scope::module(context.config.team_of_module(&module), &module)
            .within(&seen.environment);
        let drifted = Drifted {
            base: seen.base.clone(),
            environment: seen.environment.clone(),
            module,
            wanted: difference.wanted,
            actual: difference.actual,
            revision: difference.revision,
            sighting,
        };
        decision = decision.say(scope, drifted);
    }
    decision
}

fn is_news(base: &Base, seen: &Seen, pool: Option<&Pool>) -> bool {
    if base.modules != seen.modules || base.metaspace_max != seen.metaspace_max {
        return true;
    }
    let step = base
        .metaspace_max
        .map_or(METASPACE_STEP_UNLIMITED, |max| max / METASPACE_STEP);
    let moved = |before: Option<u64>, now: Option<u64>| match (before, now) {
        (Some(before), Some(now)) => before.abs_diff(now) >= step.max(1),
        (before, now) => before != now,
    };
    // Which side of the mark it is on decides over a restart.
    let over = |committed: Option<u64>| pool?.is_over_mark(committed?, seen.metaspace_max?);
    over(base.metaspace_committed) != over(seen.metaspace_committed)
        || moved(base.metaspace_used, seen.metaspace_used)
        || moved(base.metaspace_committed, seen.metaspace_committed)
}

fn missed(before: Option<&Base>, missed: &Missed) -> Decision<State> {
    if let Some(base) = before.filter(|base| base.status == Status::Lost) {
        return Decision::to(State::Base(Box::new(base.clone())));
    }
    let sighting = before.map_or(0, |base| base.sighting) + 1;
    let last_seen = missed.last_seen.or(before.and_then(|base| base.seen));
    let base = Base {
        status: Status::Lost,
        modules: Vec::new(),
        metaspace_used: None,
        metaspace_committed: None,
        metaspace_max: None,
        seen: last_seen,
        sighting,
        drifted: before.map(|base| base.drifted.clone()).unwrap_or_default(),
    };
    let lost = Lost {
        base: missed.base.clone(),
        pool: missed.pool.clone(),
        environment: missed.environment.clone(),
        last_seen,
        why: missed.why.clone(),
        sighting,
    };
    Decision::to(State::Base(Box::new(base))).say(of_environment(&missed.environment), lost)
}
