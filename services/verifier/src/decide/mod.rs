//! What the verifier decides: verdicts on modules and gates, and what to say of bases. Pure.
//!
//! In: a record and an input. Out: the new record and events. A look that shows nothing new changes
//! nothing and says nothing, so that polling writes nothing.

mod base;
mod drift;
mod gate;
mod observation;

pub use base::{Base, Looked, Missed, Status};
pub use drift::{Difference, Watch, differences};
pub use gate::{Gate, Judged, Judges, judges};
pub use observation::{ACTIVE_WITHIN, Failure, Observation, Well};

use ferry_bus::Keep;
use ferry_config::Config;
use ferry_events::{
    Body, Event, Scope, Service, Timestamp, gate::Requested as Question, verify::Requested,
};
use ferry_runtime::{Concern, Context, Decide, Decision, Fault, Input, Key, Slot};
use serde::{Deserialize, Serialize};

/// The pool of all observations.
const OBSERVE: &str = "observe";
/// The pool of all gates: a check may wait for days, and no observation shall wait for it.
const ASK: &str = "ask";
/// Observations at a time. Each costs two sockets now and then; below the usual limit of open files.
const OBSERVE_PARALLEL: usize = 400;
/// Gates that are asked at a time. Each costs a socket for a moment every few seconds.
const ASK_PARALLEL: usize = 1000;

/// The record of an aggregate of any kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never heard of.
    #[default]
    Unknown,
    /// `observation.<id>`.
    Observation(Box<Observation>),
    /// `base.<name>`.
    Base(Box<Base>),
    /// `gate.<id>`.
    Gate(Gate),
}

/// What effects shall look at.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Wait until the module is as it must be, and answers well once.
    Await {
        /// The request.
        requested: Box<Requested>,
        /// By when.
        until: Timestamp,
    },
    /// See that it stays so.
    Soak {
        /// The request.
        requested: Box<Requested>,
        /// Until when; the last look comes after this.
        until: Timestamp,
    },
    /// Ask a metric until it can be told whether it is well.
    Metric(Box<Question>),
    /// Ask somebody outside until there is an answer.
    Check {
        /// What is asked.
        question: Box<Question>,
        /// The CloudEvent that is posted, each time the same.
        event: Box<serde_json::Value>,
    },
}

/// What effects saw.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The module is as it must be, or stayed so.
    Well(Well),
    /// It is not.
    Failed(Failure),
    /// A gate is judged.
    Judged(Judged),
    /// A base answered.
    Looked(Box<Looked>),
    /// A base has missed as many looks in a row as make it lost.
    Missed(Box<Missed>),
}

/// The pure half of the verifier.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifierDecide;

impl Decide for VerifierDecide {
    type State = State;
    type Work = Work;
    type Outcome = Outcome;

    fn service(&self) -> Service {
        Service::Verifier
    }

    fn route(&self, event: &Event, _: &Config) -> Vec<Key> {
        match &event.body {
            Body::ObservationRequested(it) => {
                vec![Key::new("observation", &[&it.observation.to_string()])]
            }
            Body::GateRequested(it) if it.ask.is_judged() => vec![gate::key(&it.gate)],
            Body::GateFinished(it) if judges(&it.name).is_some() => vec![gate::key(&it.gate)],
            _ => Vec::new(),
        }
    }

    fn decide(
        &self,
        key: &Key,
        state: &State,
        input: &Input<Outcome>,
        context: &Context,
    ) -> Result<Decision<State>, Fault> {
        match (state, input) {
            (_, Input::Due | Input::Command(_)) => Ok(Decision::to(state.clone())),
            (State::Unknown, Input::Event(event)) => match &event.body {
                Body::ObservationRequested(requested) => Ok(observation::begin(requested, context)),
                Body::GateRequested(question) => gate::begin(question, event),
                // What it ends may come again after it.
                Body::GateFinished(_) => Ok(gate::over()),
                other => Err(Fault(format!(
                    "the verifier takes no {}",
                    other.kind().short_name()
                ))),
            },
            // The same request again.
            (State::Observation(_), Input::Event(_)) => Ok(Decision::to(state.clone())),
            (State::Observation(observation), Input::Outcome(outcome)) => {
                observation::outcome(observation, outcome, context)
            }
            (State::Observation(observation), Input::GivenUp { tries, .. }) => {
                Ok(observation::given_up(observation, *tries, context))
            }
            (State::Gate(gate), Input::Event(event)) => Ok(gate::event(gate, event)),
            (State::Gate(gate), Input::Outcome(outcome)) => gate::outcome(gate, outcome, context),
            (State::Gate(gate), Input::GivenUp { tries, .. }) => {
                Ok(gate::given_up(gate, *tries, context))
            }
            (State::Unknown | State::Base(_), Input::Report(report)) => {
                base::report(state, report, context)
            }
            (state, input) => Err(Fault(format!(
                "{input:?} does not belong to {key} as {state:?}"
            ))),
        }
    }

    fn work(&self, _: &Key, state: &State) -> Option<Work> {
        match state {
            State::Observation(observation) => observation.work(),
            State::Gate(gate) => gate.work(),
            State::Unknown | State::Base(_) => None,
        }
    }

    fn slot(&self, _: &Key, work: &Work) -> Slot {
        let (pool, module) = match work {
            Work::Await { requested, .. } | Work::Soak { requested, .. } => {
                (OBSERVE, &requested.module)
            }
            Work::Metric(question) | Work::Check { question, .. } => (ASK, &question.module),
        };
        Slot {
            pool,
            lane: module.clone(),
        }
    }

    fn concerns(&self, key: &Key, state: &State, config: &Config) -> Vec<Concern> {
        let scope = |module: &str, environment: &str| {
            Scope::module(config.team_of_module(module), module).within(environment)
        };
        let observed = |what, it: &Requested| Concern {
            scope: scope(&it.module, &it.environment),
            what,
            base: Some(it.base.clone()),
            task: Some(it.observation),
            run: Some(it.run),
            ..Concern::default()
        };
        let asked = |what, it: &Question| Concern {
            scope: scope(&it.module, &it.environment),
            what,
            task: Some(it.gate),
            run: Some(it.run),
            ..Concern::default()
        };
        let of = self.work(key, state).map(|work| match work {
            Work::Await { requested, .. } => observed("observe", &requested),
            Work::Soak { requested, .. } => observed("soak", &requested),
            Work::Metric(question) => asked("ask metric", &question),
            Work::Check { question, .. } => asked("ask check", &question),
        });
        of.into_iter().collect()
    }

    fn limit(&self, pool: &str, _: &Config) -> usize {
        match pool {
            ASK => ASK_PARALLEL,
            _ => OBSERVE_PARALLEL,
        }
    }

    fn keep(&self, state: &State) -> Keep {
        match state {
            // As long as its request can come again.
            State::Observation(observation) if **observation == Observation::Over => Keep::Stream,
            State::Gate(Gate::Over) => Keep::Stream,
            _ => Keep::Forever,
        }
    }
}
