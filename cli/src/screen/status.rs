//! `ferry status`: what stands still and what needs attention first, then what is live where.
//!
//! In: what is paused and waits, runs, bases, modules and the time. Out: [`Status`], and its text.

use std::collections::BTreeSet;

use ferry_api::{
    BaseState, BaseView, LetterSummary, LineView, ModuleView, RunSummary, Standing, WaitView,
};
use ferry_events::gate::Ask;
use ferry_events::{RunId, Timestamp};
use serde::Serialize;

use super::attention::{Attention, attention};
use super::module::{state as live_state, version};
use super::paint::{indent, plain, table};
use super::runs::runs as runs_table;
use super::text::count;
use super::{Paint, Tone, gate};

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
        let attention = attention(&line.waiting, &runs, &bases, &modules, &letters, now);
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
