//! What a person should look at, the worst first.
//!
//! In: what waits, runs, bases, modules, dead letters and the time. Out: [`Attention`], each with what to do next.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use ferry_api::{
    BaseState, BaseView, LetterSummary, ModuleView, RestartState, RunKind, RunState, RunSummary,
    WaitView, WantedView,
};
use ferry_events::{Reason, RunId, Service, Timestamp, base::Drifted};
use serde::Serialize;

use super::base::{differs, restart_words};
use super::gate;
use super::text::{LINE_MAX, age, count, one_line};

/// A run that began so long ago and is not over deserves a look: the longest
/// single step, a build, is ended after 15 minutes by default.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(20);

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// `dead-letters`, `run-broken`, `run-failed`, `run-stuck`, `base-lost`, `base-unknown`,
    /// `repair-given-up`, `restart-failed`, `restart-waits`, `drift`.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// Judges what was found. `runs` are newest first.
pub(super) fn attention(
    waiting: &[WaitView],
    runs: &[RunSummary],
    bases: &[BaseView],
    modules: &[ModuleView],
    letters: &[LetterSummary],
    now: Timestamp,
) -> Vec<Attention> {
    let mut attention = of_letters(letters, now);
    let waits: BTreeSet<RunId> = waiting.iter().map(|it| it.run).collect();
    attention.extend(of_runs(runs, &waits, now));
    attention.extend(bases.iter().filter_map(|base| of_base(base, now)));
    attention.extend(bases.iter().flat_map(|base| of_wanted(base, now)));
    attention.extend(bases.iter().filter_map(|base| of_restart(base, now)));
    // What is being brought back, or is given up, is told above.
    let told = |drifted: &Drifted| {
        let repaired = |it: &WantedView| it.module == drifted.module && it.repair.is_some();
        bases
            .iter()
            .any(|base| base.name == drifted.base && base.wanted.iter().any(repaired))
    };
    for drifted in modules
        .iter()
        .flat_map(|it| &it.environments)
        .flat_map(|it| &it.drifted)
        .filter(|drifted| !told(drifted))
    {
        let actual = if drifted.actual.is_empty() {
            "nothing".to_owned()
        } else {
            drifted.actual.join(", ")
        };
        attention.push(Attention {
            kind: "drift",
            what: format!(
                "{} on {} runs {}, decided was {}",
                drifted.module,
                drifted.base,
                one_line(&actual, LINE_MAX),
                drifted.wanted.as_deref().unwrap_or("nothing")
            ),
            next: format!(
                "look at the base with `ferry bases`, or run {} again",
                drifted.module
            ),
        });
    }
    attention.sort_by_key(|it| rank(it.kind));
    attention
}

fn rank(kind: &str) -> usize {
    const ORDER: [&str; 10] = [
        "dead-letters",
        "run-broken",
        "base-lost",
        "repair-given-up",
        "restart-failed",
        "run-failed",
        "run-stuck",
        "restart-waits",
        "drift",
        "base-unknown",
    ];
    ORDER
        .iter()
        .position(|one| *one == kind)
        .unwrap_or(ORDER.len())
}

/// One line for each service and reason: a fault often meets many messages.
fn of_letters(letters: &[LetterSummary], now: Timestamp) -> Vec<Attention> {
    let mut groups: BTreeMap<(Service, Reason), Vec<&LetterSummary>> = BTreeMap::new();
    for letter in letters {
        groups
            .entry((letter.service, letter.reason))
            .or_default()
            .push(letter);
    }
    let line = |((service, reason), letters): (_, Vec<&LetterSummary>)| {
        // Newest first.
        let newest = letters[0];
        let cause = newest.error.as_deref().unwrap_or(Reason::what(reason));
        Attention {
            kind: "dead-letters",
            what: format!(
                "{} of the {service}, the newest {}: {reason}: {}",
                count(letters.len(), "dead letter"),
                age(now, newest.at),
                one_line(cause, 80)
            ),
            next: match letters.as_slice() {
                [one] => format!("ferry dead show {}", one.id.short()),
                _ => format!("ferry dead list --service {service} --reason {reason}"),
            },
        }
    };
    groups.into_iter().map(line).collect()
}

/// A module's failure counts until a newer run of it has ended. What `waits` is told with its deadline.
fn of_runs(runs: &[RunSummary], waits: &BTreeSet<RunId>, now: Timestamp) -> Vec<Attention> {
    let mut ended: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    // A repair is told by the base that it is for.
    for run in runs.iter().filter(|run| run.kind != RunKind::Repair) {
        let (kind, verb) = match run.state {
            RunState::Broken => ("run-broken", "is broken"),
            RunState::Failed => ("run-failed", "failed"),
            RunState::Superseded => continue,
            RunState::Succeeded => {
                ended.insert(&run.module);
                continue;
            }
            _ if now - run.began_at > STUCK_AFTER && !waits.contains(&run.id) => {
                ("run-stuck", "is not over")
            }
            _ => continue,
        };
        if kind != "run-stuck" && !ended.insert(&run.module) {
            continue;
        }
        let place = run
            .environment
            .as_ref()
            .map(|name| format!(" in {name}"))
            .unwrap_or_default();
        let why = run.stop.as_ref().map(|stop| {
            let base = stop
                .base
                .as_ref()
                .map(|base| format!(" on {base}"))
                .unwrap_or_default();
            let detail = one_line(&stop.detail, 80);
            let detail = if detail.is_empty() {
                stop.text.clone()
            } else {
                detail
            };
            format!(": {}{base}: {detail}", stop.code)
        });
        let since = match run.ended_at {
            Some(at) => age(now, at),
            None => format!("began {}", age(now, run.began_at)),
        };
        found.push(Attention {
            kind,
            what: format!(
                "run {} of {} {verb}{place}, {since}{}",
                run.id.short(),
                run.module,
                why.unwrap_or_default()
            ),
            next: match run.state {
                RunState::Broken | RunState::Failed => format!("ferry why {}", run.id.short()),
                _ => format!("ferry show {}", run.id.short()),
            },
        });
    }
    found
}

/// Bases that are known to differ from what was decided.
fn of_wanted(base: &BaseView, now: Timestamp) -> Vec<Attention> {
    let told = |it: &WantedView| {
        let repair = it.repair.as_ref()?;
        let why = differs(base, it, now)?;
        let wanted = it.wanted.as_deref().unwrap_or("nothing");
        let held = base.held.as_ref().filter(|held| !held.quarantined);
        let (kind, next) = match (&repair.stop, repair.is_given_up(), held) {
            (_, _, Some(held)) => ("drift", gate::resume(&held.stretch)),
            (Some(stop), true, _) => ("repair-given-up", stop.next.clone()),
            _ => (
                "drift",
                "nothing: it is brought back by itself; `ferry bases` shows it".to_owned(),
            ),
        };
        Some(Attention {
            kind,
            what: format!("{} on {}, decided {wanted}: {why}", it.module, base.name),
            next,
        })
    };
    base.wanted.iter().filter_map(told).collect()
}

fn of_base(base: &BaseView, now: Timestamp) -> Option<Attention> {
    let seen = base
        .last_seen
        .map(|at| format!("last seen {}", age(now, at)));
    let seen = seen.unwrap_or_else(|| "never seen".to_owned());
    let why = base
        .why
        .as_ref()
        .map(|why| format!(": {}", one_line(why, 80)))
        .unwrap_or_default();
    match base.state {
        BaseState::Joined => None,
        BaseState::Lost => Some(Attention {
            kind: "base-lost",
            what: format!(
                "base {} in {} is lost, {seen}{why}",
                base.name, base.environment
            ),
            next: "look at the base, or take it out of its pool".to_owned(),
        }),
        BaseState::Unknown => Some(Attention {
            kind: "base-unknown",
            what: format!(
                "base {} in {} has not been seen yet",
                base.name, base.environment
            ),
            next: "look whether the verifier runs, and whether the base is up".to_owned(),
        }),
    }
}

/// A restart that failed, that a person has to do, or whose turn does not come. What is in hand has its own limit.
fn of_restart(base: &BaseView, now: Timestamp) -> Option<Attention> {
    let restart = base.restart.as_ref()?;
    let long = now - restart.since > STUCK_AFTER;
    let name = &base.name;
    let (kind, next) = match (restart.state, restart.driven) {
        (RestartState::Failed, _) => (
            "restart-failed",
            format!("look at the base, then `ferry base restart {name} --why …`"),
        ),
        (RestartState::Listed, false) => (
            "restart-waits",
            format!(
                "restart it by hand, or give its pool a driver: [pools.{}.restart]",
                base.pool
            ),
        ),
        (RestartState::Listed | RestartState::Asked, true) if long => (
            "restart-waits",
            format!("see what keeps it with `ferry why {name}`"),
        ),
        _ => return None,
    };
    let words = restart_words(restart, now);
    Some(Attention {
        kind,
        what: format!("base {name} in {}: {words}", base.environment),
        next,
    })
}
