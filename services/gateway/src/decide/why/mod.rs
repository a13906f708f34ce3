//! Who, when, why: stories, told from the acts that are kept.
//!
//! In: events in the order of `FERRY_AUDIT`, one by one, and what is known of bases now. Out: the story of a run
//! (`run.rs`), of a base or a module (`name.rs`), what was live where (`history.rs`), and what an environment in
//! trouble needs (`trouble.rs`). Sentences are made in `words.rs`. Nothing here holds more than it shows.

mod history;
mod name;
mod run;
mod trouble;
mod words;

use std::collections::VecDeque;

use ferry_api::TellView;
use ferry_events::Event;

pub use history::History;
pub use name::{OfBase, OfModule};
pub use run::{Known, OfRun};
pub use words::{Told, Weight, told};

/// Sentences of a story that are kept, the newest: more than anybody reads.
pub const SENTENCES_MAX: usize = 500;

/// The sentences of a story.
#[derive(Debug, Default)]
struct Sentences {
    kept: VecDeque<TellView>,
    left_out: u64,
}

impl Sentences {
    /// Takes what an event tells, where it has at least this weight.
    fn take(&mut self, event: &Event, least: Weight) {
        let Some(told) = told(event).filter(|told| told.weight >= least) else {
            return;
        };
        self.kept.push_back(TellView {
            at: event.time,
            text: told.text,
            actor: told.actor,
            why: told.why,
            run: event.run(),
            environment: event.scope.environment.clone(),
            bad: told.bad,
            kind: event.body.kind().short_name(),
            event: event.id,
            on: event.cause,
            based_on: told.based_on,
        });
        if self.kept.len() > SENTENCES_MAX {
            self.kept.pop_front();
            self.left_out += 1;
        }
    }

    /// The story and how much of it is left out. Services' clocks may differ a little; the stream's order counts.
    fn told(self) -> (Vec<TellView>, u64) {
        (self.kept.into(), self.left_out)
    }
}
