//! What the builder decides. Pure: no I/O, no clock, no chance.
//!
//! In: events, commands and what effects found. Out: new states, events, and the work to do next.
//! Three kinds of aggregates: a branch's head ([`head`]), a build ([`mod@build`]) and a base that is built from
//! pushes ([`base`]).

pub mod address;
pub mod base;
mod branch;
pub mod build;
pub mod classify;
pub mod head;
mod joints;
pub mod lines;
pub mod relate;
pub mod settings;
pub mod touched;

use ferry_bus::Keep;
use ferry_config::Config;
use ferry_events::{Body, Command, Digest, Event, PushId, Reason, Service, Stop, Verb};
use ferry_runtime::{Concern, Context, Decide, Decision, Fault, Input, Key, Policy, Slot};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use base::{BaseJar, BaseState};
use build::{BuildState, BuildWork, Built};
use head::{Found, Head, HeadWork};

/// Fetches at a time over all repositories: they wait for the network, not for the processor.
const RESOLVES: usize = 4;
/// How long a finished build serves later runs of its commit, and a refused command is remembered:
/// a quarter, longer than a branch usually goes back.
const KEPT: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A fetch takes seconds, and a forge that restarts is back within minutes.
const FETCH: Policy = Policy {
    tries: 10,
    time: Duration::from_secs(10 * 60),
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
};
/// A build takes minutes of the processor, so it is tried less often.
const BUILD: Policy = Policy {
    tries: 6,
    time: Duration::from_secs(30 * 60),
    first: Duration::from_secs(5),
    longest: Duration::from_secs(2 * 60),
};

/// The pure half of the builder.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuilderDecide;

/// An aggregate's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never heard of.
    #[default]
    New,
    /// A branch's head.
    Head(Head),
    /// A build.
    Build(BuildState),
    /// The last build of a base.
    Base(BaseState),
    /// A command that no branch could take was refused.
    Refused,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Ask git.
    Resolve(HeadWork),
    /// Nothing: the next runs of a push are to be told.
    Tell {
        /// The repository.
        repository: String,
        /// The push.
        push: PushId,
    },
    /// Build a commit.
    Build(BuildWork),
    /// Get ready to compile snippets against a base's new build.
    GetReady(BaseJar),
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// What git said to the ask of this id, or why it said nothing.
    Resolved {
        /// The ask that was worked on.
        ask: uuid::Uuid,
        /// What was found.
        found: Result<Box<Found>, Stop>,
    },
    /// The next runs of this push can be told.
    Told {
        /// The push.
        push: PushId,
    },
    /// A build begins. A report: the claim itself says nothing.
    Began {
        /// Which attempt of the build.
        round: u32,
    },
    /// A build ended.
    Built {
        /// For how long Maven, or the compiler, ran, in milliseconds.
        millis: u64,
        /// Its jar, or why there is none.
        result: Result<Built, Stop>,
    },
    /// The first snippet for a base's new build finds all as ready as could be.
    Ready {
        /// The build.
        jar: Digest,
    },
}

impl Decide for BuilderDecide {
    type State = State;
    type Work = Work;
    type Outcome = Outcome;

    fn service(&self) -> Service {
        Service::Builder
    }

    fn route(&self, event: &Event, config: &Config) -> Vec<Key> {
        match &event.body {
            Body::PushReceived(push) => vec![head_key(&push.repository, &push.branch)],
            Body::ChangeMerged(change) if !change.uploaded => {
                let settings = settings::of(config, &change.module);
                vec![build_key(settings::build_id(change, settings.as_ref()))]
            }
            Body::ProfilePublished(profiled) => vec![base_key(&profiled.module)],
            _ => Vec::new(),
        }
    }

    fn route_command(&self, command: &Command, config: &Config) -> Vec<Key> {
        if command.verb.service() != Service::Builder {
            return Vec::new();
        }
        vec![match head::branch_of(command, config) {
            Some((repository, branch)) => head_key(&repository, &branch),
            None => Key::new("refused", &[&command.id.to_string()]),
        }]
    }

    fn decide(
        &self,
        key: &Key,
        state: &State,
        input: &Input<Outcome>,
        context: &Context,
    ) -> Result<Decision<State>, Fault> {
        match key.kind() {
            "head" => branch::decide(state, input, context),
            "build" => build::decide(key, state, input, context),
            "base" => Ok(base::decide(state, input)),
            _ => Ok(refuse(state, input)),
        }
    }

    fn work(&self, _: &Key, state: &State) -> Option<Work> {
        match state {
            State::Head(head) => match &head.telling {
                Some(telling) => Some(Work::Tell {
                    repository: head.repository.clone(),
                    push: telling.push,
                }),
                None => head.work().map(Work::Resolve),
            },
            State::Build(build) => build.work().map(Work::Build),
            State::Base(base) => base.work().map(Work::GetReady),
            State::New | State::Refused => None,
        }
    }

    /// A mirror, a sandbox and a jar named by its bytes are nobody else's; a line of the log that comes twice
    /// is harmless.
    fn may_begin_early(&self, _: &Key, work: &Work) -> bool {
        match work {
            Work::Resolve(_) | Work::Build(_) => true,
            Work::Tell { .. } | Work::GetReady(_) => false,
        }
    }

    fn slot(&self, _: &Key, work: &Work) -> Slot {
        match work {
            Work::Resolve(work) => Slot {
                pool: "resolve",
                lane: work.repository.clone(),
            },
            Work::Tell { repository, .. } => Slot {
                pool: "resolve",
                lane: repository.clone(),
            },
            // A snippet is compiled while a Maven would still start: it does not wait for one.
            Work::Build(work) if work.settings.snippet.is_some() => Slot {
                pool: "snippet",
                lane: Slot::lane_of(work.origin, &work.module),
            },
            Work::Build(work) => Slot {
                pool: "build",
                lane: Slot::lane_of(work.origin, &work.module),
            },
            Work::GetReady(work) => Slot {
                pool: "base",
                lane: work.base.clone(),
            },
        }
    }

    fn limit(&self, pool: &str, config: &Config) -> usize {
        match pool {
            "build" => config.builder.parallel as usize,
            "snippet" => config.builder.snippets.parallel as usize,
            // Nobody waits for it, and a base is some 25 MB to fetch and unpack.
            "base" => 1,
            _ => RESOLVES,
        }
    }

    fn patience(&self, _: &Key, work: &Work) -> Policy {
        match work {
            Work::Resolve(_) | Work::Tell { .. } => FETCH,
            Work::Build(_) | Work::GetReady(_) => BUILD,
        }
    }

    fn concerns(&self, _: &Key, state: &State, config: &Config) -> Vec<Concern> {
        match state {
            State::Head(head) => head.concerns(config),
            State::Build(build) => build.concerns(config),
            // The next snippet says it where something is amiss.
            State::New | State::Base(_) | State::Refused => Vec::new(),
        }
    }

    fn keep(&self, state: &State) -> Keep {
        match state {
            State::Build(build) if build.waiting.is_empty() => Keep::For(KEPT),
            State::Refused => Keep::For(KEPT),
            _ => Keep::Forever,
        }
    }
}

/// The aggregate of a branch's head.
pub fn head_key(repository: &str, branch: &str) -> Key {
    Key::new("head", &[repository, branch])
}

/// The aggregate of a build.
pub fn build_key(id: uuid::Uuid) -> Key {
    Key::new("build", &[&id.to_string()])
}

/// The aggregate of a base that is built from pushes.
pub fn base_key(base: &str) -> Key {
    Key::new("base", &[base])
}

/// Settles a command that no branch can take.
fn refuse(state: &State, input: &Input<Outcome>) -> Decision<State> {
    match input {
        Input::Command(command) if *state == State::New => {
            let module = command.verb.module();
            let stop = match &command.verb {
                Verb::Rollback { .. } => {
                    Stop::new(Reason::OurFault, "a rollback is the scheduler's")
                }
                Verb::Replay(_) | Verb::Drop(_) => {
                    Stop::new(Reason::OurFault, "dead letters are the runtime's")
                }
                Verb::Approve(_)
                | Verb::Promote(_)
                | Verb::Pause(_)
                | Verb::Resume(_)
                | Verb::Abort(_)
                | Verb::Hold(_)
                | Verb::Restart(_)
                | Verb::Release(_) => Stop::new(Reason::OurFault, "rollouts are the scheduler's"),
                Verb::Run { .. } | Verb::Deploy { .. } => Stop::new(
                    Reason::UnknownModule,
                    format!("there is no module {module:?}"),
                ),
            };
            branch::settled(Decision::to(State::Refused), command, None, Some(stop))
        }
        _ => Decision::to(state.clone()),
    }
}
