//! What the slimmer decides: to slim each packaged artifact once for its run, and to say the result.
//!
//! In: `artifact.packaged`, the result of slimming. Out: `artifact.published` or `artifact.refused`.

use ferry_bus::Keep;
use ferry_config::Config;
use ferry_events::{
    Body, Event, Reason, Scope, Service, Stop,
    artifact::{Packaged, Published, Refused, Release},
};
use ferry_runtime::{Concern, Context, Decide, Decision, Fault, Input, Key, Slot};
use serde::{Deserialize, Serialize};

/// A record is kept this long for late repeats: a month, as long as the stream keeps events.
const KEEP: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
/// Jars slimmed at a time. Slimming is bound by the processor and the disk, not by waiting.
const PARALLEL: usize = 2;

/// The slimmer.
pub struct Slimmer;

/// One run's artifact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    packaged: Option<Packaged>,
    done: bool,
}

/// What came of slimming.
pub type Outcome = Result<Box<Release>, Stop>;

impl Decide for Slimmer {
    type State = State;
    type Work = Packaged;
    type Outcome = Outcome;

    fn service(&self) -> Service {
        Service::Slimmer
    }

    fn route(&self, event: &Event, _: &Config) -> Vec<Key> {
        match &event.body {
            Body::ArtifactPackaged(packaged) => {
                vec![Key::new("slim", &[&packaged.run.to_string()])]
            }
            _ => Vec::new(),
        }
    }

    fn decide(
        &self,
        _: &Key,
        state: &State,
        input: &Input<Outcome>,
        context: &Context,
    ) -> Result<Decision<State>, Fault> {
        let same = Decision::to(state.clone());
        let Some(packaged) = &state.packaged else {
            return Ok(match input {
                Input::Event(event) => match &event.body {
                    Body::ArtifactPackaged(packaged) => Decision::to(State {
                        packaged: Some(packaged.as_ref().clone()),
                        done: false,
                    }),
                    _ => same,
                },
                _ => same,
            });
        };
        if state.done {
            return Ok(same);
        }
        let outcome = match input {
            Input::Outcome(outcome) | Input::Report(outcome) => outcome.clone(),
            Input::GivenUp { tries, stop } => Err(stop.clone().unwrap_or_else(|| {
                Stop::new(
                    Reason::OurFault,
                    format!("slimming ended without a result {tries} times"),
                )
            })),
            Input::Event(_) | Input::Command(_) | Input::Due => return Ok(same),
        };
        let scope = Scope::module(
            context.config.team_of_module(&packaged.module),
            &packaged.module,
        );
        let done = Decision::to(State {
            done: true,
            ..state.clone()
        });
        Ok(match outcome {
            Ok(release) => done.say(scope, Published { release: *release }),
            Err(stop) => done.say(
                scope,
                Refused {
                    run: packaged.run,
                    module: packaged.module.clone(),
                    packaged: packaged.digest.clone(),
                    stop,
                },
            ),
        })
    }

    fn work(&self, _: &Key, state: &State) -> Option<Packaged> {
        state.packaged.clone().filter(|_| !state.done)
    }

    fn slot(&self, _: &Key, packaged: &Packaged) -> Slot {
        Slot {
            pool: "slim",
            lane: packaged.module.clone(),
        }
    }

    fn limit(&self, _: &str, _: &Config) -> usize {
        PARALLEL
    }

    fn concerns(&self, _: &Key, state: &State, config: &Config) -> Vec<Concern> {
        let concern = |packaged: &Packaged| Concern {
            scope: Scope::module(config.team_of_module(&packaged.module), &packaged.module),
            what: "slim",
            run: Some(packaged.run),
            ..Concern::default()
        };
        state.packaged.iter().map(concern).collect()
    }

    fn keep(&self, _: &State) -> Keep {
        Keep::For(KEEP)
    }
}
