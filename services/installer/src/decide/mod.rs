//! What the installer decides: which change of a base comes next. Pure.
//!
//! In: a base's record and an input. Out: the new record, events, and the fact of what is there.
//! A change is asked of a base only by [`Work::Act`], whose intent stands in the committed record.

mod drain;
mod judge;
mod outcome;
mod phase;
mod plan;
mod restart;
mod state;

pub use judge::{Aim, Look, Recorded, Verdict, is_download, judge};
pub use outcome::{
    ActEnd, Acted, Drained, DrainedEnd, Outcome, Prepared, PreparedEnd, Present, Undrained,
};
pub use phase::{INTENTS_MAX, TRIES_MAX};
pub use restart::{Restart, RestartStage, Restarted};
pub use state::{Base, Change, InHand, Intent, Module, Out, Phase, RECENT_MAX, StepName};

use std::time::Duration;

use ferry_config::Config;
use ferry_events::{Body, Event, Scope, Service, task::Requested};
use ferry_runtime::{Concern, Context, Decide, Decision, Fault, Input, Key, Policy, Slot};
use uuid::Uuid;

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

/// A base that could not be put back into its load balancer is asked for again until it is: for ever,
/// because what it cannot do meanwhile only others make up for. The longest pause is short beside the time
/// that somebody needs to mend a load balancer.
const BACK: Policy = Policy {
    tries: u32::MAX,
    time: Duration::MAX,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(2 * 60),
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
    /// Take the base out of its load balancer; that it is stands in the committed record.
    Drain {
        /// The task.
        task: Box<Requested>,
    },
    /// Carry out an intent.
    Act {
        /// The task.
        task: Box<Requested>,
        /// What to do; it stands in the committed record.
        intent: Box<Intent>,
        /// Whether the base was taken out of its load balancer for it.
        drained: bool,
    },
    /// Restart the base, or what belongs to that.
    Restart(Box<Restart>),
    /// Put the base back into its load balancer.
    Undrain {
        /// For which module it is out.
        module: String,
        /// The base.
        out: Out,
        /// Whether a task waits for it; else it is tried until it is done.
        waits: bool,
    },
}

impl Work {
    /// The base that it is about.
    pub fn base(&self) -> &str {
        match self {
            Self::Prepare { task, .. } | Self::Drain { task } | Self::Act { task, .. } => {
                &task.base
            }
            Self::Restart(restart) => &restart.turn.base,
            Self::Undrain { out, .. } => &out.base,
        }
    }

    /// The push or command that it came of.
    fn origin(&self) -> Option<Uuid> {
        match self {
            Self::Prepare { task, .. } | Self::Drain { task } | Self::Act { task, .. } => {
                task.origin
            }
            Self::Restart(_) | Self::Undrain { .. } => None,
        }
    }

    /// The module that it is about; empty where it is about the base.
    pub fn module(&self) -> &str {
        match self {
            Self::Prepare { task, .. } | Self::Drain { task } | Self::Act { task, .. } => {
                &task.module
            }
            Self::Restart(_) => "",
            Self::Undrain { module, .. } => module,
        }
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
            Body::RestartRequested(it) => vec![Key::new("base", &[&it.turn.base])],
            Body::RestartOver(it) if it.turn.is_some() => vec![Key::new("base", &[&it.base])],
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
                Body::RestartRequested(asked) => turn.restart(asked),
                Body::RestartOver(over) => turn.restart_is_over(over),
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
        let Some(hand) = state.in_hand.as_ref() else {
            if let Some(restart) = state.restart.as_ref()
                && restart.stage != RestartStage::Settle
            {
                return Some(Work::Restart(Box::new(restart.clone())));
            }
            let (module, out) = state.drained.first_key_value()?;
            return Some(Work::Undrain {
                module: module.clone(),
                out: out.clone(),
                waits: false,
            });
        };
        let task = Box::new(hand.task.clone());
        Some(match &hand.phase {
            Phase::Prepare => Work::Prepare {
                task,
                unsettled: state.unsettled.clone(),
            },
            Phase::Drain => Work::Drain { task },
            Phase::Change(intent) => Work::Act {
                task,
                intent: intent.clone(),
                drained: hand.drained,
            },
            Phase::Undrain { .. } => Work::Undrain {
                module: task.module.clone(),
                out: Out::of(&task),
                waits: true,
            },
        })
    }

    /// Looking at a base and fetching a jar change nothing; using up the request ids of others does.
    fn may_begin_early(&self, _: &Key, work: &Work) -> bool {
        matches!(work, Work::Prepare { unsettled, .. } if unsettled.is_empty())
    }

    fn patience(&self, _: &Key, work: &Work) -> Policy {
        match work {
            Work::Undrain { .. } => BACK,
            Work::Restart(restart) if restart.stage == RestartStage::Undrain => BACK,
            Work::Restart(_) | Work::Prepare { .. } | Work::Drain { .. } | Work::Act { .. } => {
                STORE
            }
        }
    }

    fn concerns(&self, _: &Key, state: &Base, config: &Config) -> Vec<Concern> {
        let concern = |module: &str, environment: &str, what, run| Concern {
            scope: Scope::module(config.team_of_module(module), module).within(environment),
            what,
            run: Some(run),
            ..Concern::default()
        };
        if let Some(InHand { task, phase, .. }) = &state.in_hand {
            let step = match phase {
                Phase::Prepare => "prepare",
                Phase::Drain => StepName::Drain.as_str(),
                Phase::Change(intent) => intent.step.as_str(),
                Phase::Undrain { .. } => StepName::Undrain.as_str(),
            };
            return vec![Concern {
                step: Some(step),
                base: Some(task.base.clone()),
                task: Some(task.task.0),
                ..concern(&task.module, &task.environment, "install", task.run)
            }];
        }
        if let Some(restart) = &state.restart {
            return vec![Concern {
                scope: Scope::default().within(&restart.turn.environment),
                what: "restart",
                base: Some(restart.turn.base.clone()),
                ..Concern::default()
            }];
        }
        let first = state.drained.iter().take(1);
        first
            .map(|(module, out)| Concern {
                base: Some(out.base.clone()),
                ..concern(module, &out.environment, "undrain", out.run)
            })
            .collect()
    }

    fn slot(&self, _: &Key, work: &Work) -> Slot {
        Slot {
            pool: POOL,
            lane: Slot::lane_of(work.origin(), work.module()),
        }
    }

    fn limit(&self, _: &str, config: &Config) -> usize {
        config.installer.parallel as usize
    }
}
