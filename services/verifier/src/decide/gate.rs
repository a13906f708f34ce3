//! One gate that the verifier judges: it is asked until there is a verdict, or it is over otherwise.
//!
//! In: `gate.requested`, what was seen, `gate.finished`. Out: `gate.judged`, once. Whoever goes on after a
//! crash asks from the start, until the deadline that stands in the request.

use ferry_events::{
    Body, Event, Scope,
    gate::{Ask, Judged as Said, Requested, Verdict},
};
use ferry_runtime::{Context, Decision, Fault, Key};
use serde::{Deserialize, Serialize};

use super::{Outcome, State, Work};

/// Where a gate stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// It is asked.
    Asked {
        /// The request.
        question: Box<Requested>,
        /// The request's CloudEvent as it stands on the bus, where it is posted to somebody outside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<serde_json::Value>,
    },
    /// The verdict is said, or none is needed any more.
    Over,
}

/// A gate was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
}

/// What the verifier asks for a gate: the key of the environment's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judges<'a> {
    /// `metrics.NAME`.
    Metric(&'a str),
    /// `checks.NAME`.
    Check(&'a str),
}

/// What the verifier asks for the gate of this name; none: somebody else decides.
pub fn judges(gate: &str) -> Option<Judges<'_>> {
    match gate.split_once(' ')? {
        ("metric", name) => Some(Judges::Metric(name)),
        ("check", name) => Some(Judges::Check(name)),
        _ => None,
    }
}

pub(super) fn key(gate: &impl std::fmt::Display) -> Key {
    Key::new("gate", &[&gate.to_string()])
}

impl Gate {
    pub(super) fn work(&self) -> Option<Work> {
        let Self::Asked { question, event } = self else {
            return None;
        };
        let question = question.clone();
        match event {
            None => Some(Work::Metric(question)),
            Some(event) => Some(Work::Check {
                question,
                event: Box::new(event.clone()),
            }),
        }
    }
}

fn state(gate: Gate) -> Decision<State> {
    Decision::to(State::Gate(gate))
}

pub(super) fn over() -> Decision<State> {
    state(Gate::Over)
}

pub(super) fn begin(question: &Requested, event: &Event) -> Result<Decision<State>, Fault> {
    let event = match &question.ask {
        Ask::Metric { .. } => None,
        Ask::Check { .. } => {
            let whole = serde_json::from_slice(&event.encode());
            Some(whole.expect("an event is always JSON"))
        }
        other => return Err(Fault(format!("the verifier does not judge {other:?}"))),
    };
    let question = Box::new(question.clone());
    Ok(state(Gate::Asked { question, event }))
}

/// The request again changes nothing; its end, however it came, ends the asking.
pub(super) fn event(gate: &Gate, event: &Event) -> Decision<State> {
    match event.body {
        Body::GateFinished(_) => over(),
        _ => state(gate.clone()),
    }
}

pub(super) fn outcome(
    gate: &Gate,
    outcome: &Outcome,
    context: &Context,
) -> Result<Decision<State>, Fault> {
    match (gate, outcome) {
        (Gate::Asked { question, .. }, Outcome::Judged(judged)) => {
            Ok(say(question, judged.clone(), context))
        }
        (Gate::Over, Outcome::Judged(_)) => Ok(over()),
        (gate, outcome) => Err(Fault(format!("{outcome:?} does not belong to {gate:?}"))),
    }
}

pub(super) fn given_up(gate: &Gate, tries: u32, context: &Context) -> Decision<State> {
    match gate {
        Gate::Asked { question, .. } => {
            let judged = Judged {
                verdict: Verdict::Inconclusive,
                seen: format!("asking ended without a result {tries} times"),
            };
            say(question, judged, context)
        }
        Gate::Over => over(),
    }
}

fn say(question: &Requested, judged: Judged, context: &Context) -> Decision<State> {
    let team = context.config.team_of_module(&question.module);
    let scope = Scope::module(team, &question.module).within(&question.environment);
    let said = Said {
        gate: question.gate,
        run: question.run,
        plan: question.plan.clone(),
        module: question.module.clone(),
        environment: question.environment.clone(),
        name: question.name.clone(),
        verdict: judged.verdict,
        seen: judged.seen,
    };
    over().say(scope, said)
}
