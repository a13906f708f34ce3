//! `ferry status`: what stands still and what needs attention first, then what is live where.
//!
//! In: what is paused and waits, runs, bases, modules and the time. Out: [`Status`], and its text.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use ferry_api::{
    BaseState, BaseView, LetterSummary, LineView, ModuleView, RunKind, RunState, RunSummary,
    Standing, WaitView, WantedView,
};
use ferry_events::gate::Ask;
use ferry_events::{Reason, RunId, Service, Timestamp, base::Drifted};
use serde::Serialize;

use super::base::differs;
use super::module::{state as live_state, version};
use super::paint::{indent, plain, table};
use super::runs::runs as runs_table;
use super::text::{LINE_MAX, age, count, one_line};
use super::{Paint, Tone, gate};

/// A run that began so long ago and is not over deserves a look: the longest
/// single step, a build, is ended after 15 minutes by default.
const STUCK_AFTER: TimeDelta = TimeDelta::minutes(20);

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// `dead-letters`, `run-broken`, `run-failed`, `run-stuck`, `base-lost`, `base-unknown`,
    /// `repair-given-up`, `drift`.
    pub kind: &'static str,
    /// What it is, in a sentence.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// The state of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// What is paused, the oldest first.
    pub paused: Vec<Standing>,
    /// What rollouts wait for, the oldest first.
    pub waiting: Vec<WaitView>,
    /// What needs attention, the worst first.
    pub attention: Vec<Attention>,
    /// The runs that go on.
    pub moving: Vec<RunSummary>,
    /// What is live where.
    pub modules: Vec<ModuleView>,
    /// The bases.
    pub bases: Vec<BaseView>,
    /// Dead letters that are open.
    pub letters: Vec<LetterSummary>,
}

impl Status {
    /// Judges what was found. `runs` are newest first.
    pub fn of(
        line: LineView,
        runs: Vec<RunSummary>,
        bases: Vec<BaseView>,
        modules: Vec<ModuleView>,
        letters: Vec<LetterSummary>,
        now: Timestamp,
    ) -> Self {
        let mut attention = of_letters(&letters, now);
        let waits: BTreeSet<RunId> = line.waiting.iter().map(|it| it.run).collect();
        attention.extend(of_runs(&runs, &waits, now));
        attention.extend(bases.iter().filter_map(|base| of_base(base, now)));
        attention.extend(bases.iter().flat_map(|base| of_wanted(base, now)));
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
        let moving = runs
            .into_iter()
            .filter(|run| !run.state.is_over())
            .collect();
        Self {
            paused: line.paused,
            waiting: line.waiting,
            attention,
            moving,
            modules,
            bases,
            letters,
        }
    }
}

fn rank(kind: &str) -> usize {
    const ORDER: [&str; 8] = [
        "dead-letters",
        "run-broken",
        "base-lost",
        "repair-given-up",
        "run-failed",
        "run-stuck",
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

/// The screen.
pub fn status(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut parts = Vec::new();
    parts.extend(paused(status, now, paint));
    parts.extend(waiting(status, now, paint));
    if status.attention.is_empty() {
        parts.push(match parts.is_empty() {
            true => paint.good("nothing needs attention"),
            false => "nothing else needs attention".to_owned(),
        });
    } else {
        let things = count(status.attention.len(), "thing");
        let need = if status.attention.len() == 1 {
            "needs"
        } else {
            "need"
        };
        let mut text = paint.bad(&format!("{things} {need} attention"));
        for it in &status.attention {
            text.push_str(&format!("\n  {}\n      next: {}", it.what, it.next));
        }
        parts.push(text);
    }
    if !status.moving.is_empty() {
        let moving = indent(&runs_table(&status.moving, now, paint), 2);
        parts.push(format!("{}\n{moving}", paint.strong("under way")));
    }
    parts.push(live(status, paint));
    let joined = status
        .bases
        .iter()
        .filter(|base| base.state == BaseState::Joined)
        .count();
    parts.push(format!(
        "{} of {} joined",
        joined,
        count(status.bases.len(), "base")
    ));
    parts.join("\n\n")
}

fn paused(status: &Status, now: Timestamp, paint: Paint) -> Option<String> {
    let is_base = |one: &Standing| one.stretch.base().is_some();
    let title = match (
        status.paused.iter().any(is_base),
        status.paused.iter().all(is_base),
    ) {
        (_, true) => "held",
        (true, false) => "paused, held",
        (false, false) => "paused",
    };
    let mut text = paint.bad(title);
    for one in &status.paused {
        let (what, next) = (gate::paused(one, now), gate::resume(&one.stretch));
        text.push_str(&format!("\n  {what}\n      next: {next}"));
    }
    (!status.paused.is_empty()).then_some(text)
}

fn waiting(status: &Status, now: Timestamp, paint: Paint) -> Option<String> {
    let rollouts: BTreeSet<(RunId, &str)> = status
        .waiting
        .iter()
        .map(|it| (it.run, it.environment.as_str()))
        .collect();
    let verb = if rollouts.len() == 1 { "waits" } else { "wait" };
    let mut text = paint.strong(&format!("{} {verb}", count(rollouts.len(), "rollout")));
    for it in &status.waiting {
        text.push_str(&format!(
            "\n  {} in {}, run {}, {}\n      {}",
            it.module,
            it.environment,
            it.run.short(),
            gate::what(&it.gate),
            gate::times(&it.gate, now)
        ));
        if let Some(seen) = gate::seen(&it.gate) {
            text.push_str(&format!("\n      {}", paint.bad(&seen)));
        }
        // What is paused is told above, with how to lift it.
        if it.gate.ask != Ask::Line || status.paused.is_empty() {
            text.push_str(&format!("\n      next: {}", gate::next(&it.gate, it.run)));
        }
    }
    (!rollouts.is_empty()).then_some(text)
}

/// Modules × environments.
fn live(status: &Status, paint: Paint) -> String {
    if status.modules.is_empty() {
        return "no modules: add [modules.NAME] to ferry.toml".to_owned();
    }
    let mut environments: Vec<&str> = Vec::new();
    for live in status
        .modules
        .iter()
        .flat_map(|module| &module.environments)
    {
        if !environments.contains(&live.environment.as_str()) {
            environments.push(&live.environment);
        }
    }
    let mut header = vec!["MODULE"];
    header.extend(&environments);
    let rows = status
        .modules
        .iter()
        .map(|module| {
            let mut row = vec![plain(&module.name)];
            for name in &environments {
                let live = module
                    .environments
                    .iter()
                    .find(|live| live.environment == *name);
                row.push(live.map_or(("-".to_owned(), Tone::Faint), |live| {
                    let ((version, plain_tone), (state, tone)) = (version(live), live_state(live));
                    let tone = if state.is_empty() { plain_tone } else { tone };
                    (format!("{version} {state}").trim_end().to_owned(), tone)
                }));
            }
            row
        })
        .collect();
    table(paint, &header, rows)
}
