//! What the installer decides: which change of a base comes next. Pure.
//!
//! In: a base's record and an input. Out: the new record, events, and the fact of what is there.
//! A change is asked of a base only by [`Work::Act`], whose intent stands in the committed record.

mod judge;
mod outcome;
mod phase;
mod plan;
mod state;

pub use judge::{Aim, Look, Recorded, Verdict, is_download, judge};
pub use outcome::{ActEnd, Acted, Outcome, Prepared, PreparedEnd, Present};
pub use phase::{INTENTS_MAX, TRIES_MAX};
pub use state::{Base, Change, InHand, Intent, Module, Phase, RECENT_MAX, StepName};

use std::time::Duration;

use ferry_config::Config;
use ferry_events::{Body, Event, PlanId, Scope, Service, task::Requested};
use ferry_runtime::{Concern, Context, Decide, Decision, Fault, Input, Key, Policy, Slot};

/// The pool of all work on bases; its limit is `[installer] parallel`.
const POOL: &str = "base";

/// Only a silent store is asked again, before anything was touched; each time the hands are patient with
/// it for a minute. A change on a base is never repeated so: each attempt has an intent of its own.
const STORE: Policy = Policy {
    tries: 3,
    time: Duration::from_secs(3 * 60),
    first: Duration::from_secs(1),
    longest: Duration::from_secs(10),
};

/// What effects shall do on a base.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Look at the base and get the jars in hand, without changing anything.
    Prepare {
        /// The task.
        task: Box<Requested>,
        /// Intents whose calls may still arrive: they are settled first.
        unsettled: Vec<Intent>,
    },
    /// Carry out an intent.
    Act {
        /// The task.
        task: Box<Requested>,
        /// What to do; it stands in the committed record.
        intent: Box<Intent>,
    },
}

impl Work {
    /// The task that it is for.
    pub fn task(&self) -> &Requested {
        match self {
            Self::Prepare { task, .. } | Self::Act { task, .. } => task,
        }
    }

    /// The plan that must be in force.
    pub fn plan(&self) -> &PlanId {
        &self.task().plan
    }
}

/// The pure half of the installer.
#[derive(Clone, Copy, Debug, Default)]
pub struct InstallerDecide;

impl Decide for InstallerDecide {
    type State = Base;
    type Work = Work;
    type Outcome = Outcome;

    fn service(&self) -> Service {
        Service::Installer
    }

    fn route(&self, event: &Event, _: &Config) -> Vec<Key> {
        match &event.body {
            Body::TaskRequested(task) => vec![Key::new("base", &[&task.base])],
            _ => Vec::new(),
        }
    }

    fn decide(
        &self,
        _: &Key,
        state: &Base,
        input: &Input<Outcome>,
        context: &Context,
    ) -> Result<Decision<Base>, Fault> {
        let mut turn = phase::Turn::new(state, context);
        match input {
            Input::Event(event) => match &event.body {
                Body::TaskRequested(task) => turn.requested(task),
                other => {
                    return Err(Fault(format!(
                        "the installer takes no {}",
                        other.kind().short_name()
                    )));
                }
            },
            Input::Outcome(outcome) => turn.outcome(outcome)?,
            Input::GivenUp { tries, stop } => turn.given_up(*tries, stop.as_ref()),
            Input::Due | Input::Command(_) => {}
            Input::Report(report) => {
                return Err(Fault(format!("nothing is reported to a base: {report:?}")));
            }
        }
        Ok(turn.end())
    }

    fn work(&self, _: &Key, state: &Base) -> Option<Work> {
        let hand = state.in_hand.as_ref()?;
        let task = Box::new(hand.task.clone());
        Some(match &hand.phase {
            Phase::Prepare => Work::Prepare {
                task,
                unsettled: state.unsettled.clone(),
            },
            Phase::Change(intent) => Work::Act {
                task,
                intent: intent.clone(),
            },
        })
    }

    fn patience(&self, _: &Key, _: &Work) -> Policy {
        STORE
    }

    fn concerns(&self, _: &Key, state: &Base, config: &Config) -> Vec<Concern> {
        let concern = |hand: &InHand| Concern {
            scope: Scope::module(config.team_of_module(&hand.task.module), &hand.task.module)
                .within(&hand.task.environment),
            what: "install",
            run: Some(hand.task.run),
            ..Concern::default()
        };
        state.in_hand.iter().map(concern).collect()
    }

    fn slot(&self, _: &Key, work: &Work) -> Slot {
        Slot {
            pool: POOL,
            lane: work.task().module.clone(),
        }
    }

    fn limit(&self, _: &str, config: &Config) -> usize {
        config.installer.parallel as usize
    }
}
