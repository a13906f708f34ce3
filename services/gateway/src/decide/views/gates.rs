//! What a run's rollouts wait for, and what they waited for.
//!
//! In: events of gates. Out: the environments' `gates`, and a step for each wait.

use ferry_api::{EnvironmentState, EnvironmentView, GateView, RunView, StepView, VerdictView};
use ferry_events::gate::{Finished, Outcome, Point, Requested};
use ferry_events::{Body, Event, PlanId, Timestamp};

use super::{begin, environment};

/// The name of the step that a wait is.
const STEP: &str = "gate";

pub(super) fn progress(run: &mut RunView, event: &Event) {
    let at = event.time;
    match &event.body {
        Body::GateRequested(it) => requested(run, it),
        Body::GateJudged(it) => {
            let gates = &mut environment(run, &it.environment).gates;
            if let Some(gate) = gates.iter_mut().find(|gate| gate.gate == it.gate) {
                gate.last = Some(VerdictView::of(it, at));
            }
        }
        Body::GateFinished(it) => finished(run, it, at),
        _ => {}
    }
}

fn requested(run: &mut RunView, it: &Requested) {
    let there = environment(run, &it.environment);
    if there.state.is_over() {
        return;
    }
    let new = GateView::from(it);
    match there.gates.iter_mut().find(|gate| gate.gate == it.gate) {
        // It waits for less than before: one of two people said yes.
        Some(known) => {
            *known = GateView {
                last: known.last.take(),
                ..new
            };
        }
        None => {
            there.gates.push(new);
            let note = note(&it.name, it.point);
            begin(run, STEP, Some(&it.environment), note, it.since);
        }
    }
    judge(environment(run, &it.environment));
}

fn finished(run: &mut RunView, it: &Finished, at: Timestamp) {
    let there = environment(run, &it.environment);
    there.gates.retain(|gate| gate.gate != it.gate);
    judge(there);
    let before = note(&it.name, it.point);
    if step_of(run, &it.environment, &before).is_none() {
        begin(run, STEP, Some(&it.environment), before.clone(), at);
    }
    if let Some(step) = step_of(run, &it.environment, &before) {
        step.ended_at.get_or_insert(at);
        step.stop = it.stop.as_ref().map(Into::into);
        step.note.push_str(&ending(it));
    }
}

/// The step of a wait whose end was not told yet.
fn step_of<'a>(run: &'a mut RunView, environment: &str, note: &str) -> Option<&'a mut StepView> {
    run.steps.iter_mut().rev().find(|step| {
        step.name == STEP && step.environment.as_deref() == Some(environment) && step.note == note
    })
}

fn note(name: &str, point: Point) -> String {
    format!("{name} {point}")
}

fn ending(it: &Finished) -> String {
    let how = match it.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "failed",
        Outcome::Expired => "expired",
        Outcome::Promoted => "promoted",
        Outcome::Cancelled => "cancelled",
    };
    let by = match it.by.as_slice() {
        [] => String::new(),
        by => format!(" by {}", by.join(", ")),
    };
    let why = it.why.as_ref().map(|why| format!(": {why}"));
    format!(", {how}{by}{}", why.unwrap_or_default())
}

/// Whether the environment waits follows from its gates; a way back goes on in any case.
fn judge(there: &mut EnvironmentView) {
    there.state = match (there.state, there.gates.is_empty()) {
        (EnvironmentState::Waiting | EnvironmentState::RollingOut, false) => {
            EnvironmentState::WaitingForGate
        }
        (EnvironmentState::WaitingForGate, true) => EnvironmentState::RollingOut,
        (state, _) => state,
    };
}

/// Another plan is in force: what the one before waited for is past.
pub(super) fn follow(run: &mut RunView, name: &str, plan: &PlanId, at: Timestamp) {
    let there = environment(run, name);
    let past = |gate: &GateView| gate.plan != *plan;
    let left: Vec<String> = there
        .gates
        .iter()
        .filter(|gate| past(gate))
        .map(|gate| note(&gate.name, gate.point))
        .collect();
    there.gates.retain(|gate| !past(gate));
    judge(there);
    for note in left {
        if let Some(step) = step_of(run, name, &note) {
            step.ended_at.get_or_insert(at);
        }
    }
}

/// The rollout in an environment is over: nothing is waited for there any more.
pub(super) fn close(run: &mut RunView, name: &str, at: Timestamp) {
    let there = environment(run, name);
    there.gates.clear();
    judge(there);
    for step in &mut run.steps {
        let here = step.name == STEP && step.environment.as_deref() == Some(name);
        if here && step.ended_at.is_none() {
            step.ended_at = Some(at);
        }
    }
}
