//! A base that is built from pushes: the jar of its last build, against which snippets are compiled.
//!
//! In: `profile.published`, by which the slimmer says that a build is one of a base. Out: the state from which
//! effects read the jar's name, and the work to get ready for it.

use ferry_events::{Body, Digest, RunId, Timestamp};
use ferry_runtime::{Decision, Input};
use serde::{Deserialize, Serialize};

use super::{Outcome, State};

/// A base's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseState {
    /// The base, as the configuration names it.
    pub base: String,
    /// Its jar's name in the store.
    pub jar: Digest,
    /// When it was said that this is what it provides, and the run that built it.
    pub published: (Timestamp, RunId),
    /// Whether a builder got ready for it.
    pub ready: bool,
}

/// A build of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseJar {
    /// The base, as the configuration names it.
    pub base: String,
    /// Its jar's name in the store.
    pub jar: Digest,
}

impl BaseState {
    /// What is to be got ready for.
    pub fn work(&self) -> Option<BaseJar> {
        (!self.ready).then(|| BaseJar {
            base: self.base.clone(),
            jar: self.jar.clone(),
        })
    }
}

/// Decides for a base. The later build counts, in whatever order they come: as it does for the slimmer.
pub fn decide(state: &State, input: &Input<Outcome>) -> Decision<State> {
    let known = match state {
        State::Base(base) => Some(base),
        _ => None,
    };
    let next = match (input, known) {
        (Input::Event(event), known) => match &event.body {
            Body::ProfilePublished(it) => {
                let published = (event.time, it.run);
                let newer = known.is_none_or(|known| known.published < published);
                newer.then(|| BaseState {
                    base: it.module.clone(),
                    jar: it.packaged.clone(),
                    published,
                    ready: known.is_some_and(|known| known.ready && known.jar == it.packaged),
                })
            }
            _ => None,
        },
        (Input::Outcome(Outcome::Ready { jar }), Some(known)) if *jar == known.jar => {
            Some(BaseState {
                ready: true,
                ..known.clone()
            })
        }
        // Then the next snippet does it, or says why it cannot be done.
        (Input::GivenUp { .. }, Some(known)) => Some(BaseState {
            ready: true,
            ..known.clone()
        }),
        _ => None,
    };
    Decision::to(next.map_or_else(|| state.clone(), State::Base))
}
