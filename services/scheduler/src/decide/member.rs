//! A module's part in a release of several modules, in one environment.
//!
//! In: what the release told it. Out: what it reports: that it waits to begin, that it is well, that it
//! failed. Once it has said that it is well, it goes on or back only when it is told: until then the others
//! may have been told that all are well.

use chrono::TimeDelta;
use ferry_events::{
    Reason, Stop,
    gate::{Ask, Point},
    joint::{Progress, Reported, Told, Word},
    rollout::{Direction, Requested, RolloutOutcome},
};
use ferry_runtime::Context;
use serde::{Deserialize, Serialize};

use super::{
    halt::{Halts, Stops},
    queue::Queue,
    unit::{Active, Making, ended, unit_scope},
};

/// How long one that wants out waits for word before it says so again.
pub(super) const SAY_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// What a rollout has reported and was told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What it was told.
    #[serde(default)]
    pub word: Word,
    /// Whether it has said that it is well.
    #[serde(default)]
    pub well: bool,
    /// Why it wants to go back after that; it waits for word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<Stop>,
}

impl Part {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what it was told. What was told once holds.
    fn hear(&mut self, word: &Word) {
        let mine = &mut self.word;
        mine.begins |= word.begins;
        mine.under_way |= word.under_way;
        mine.all_well |= word.all_well;
        if mine.failed.is_none() {
            mine.failed.clone_from(&word.failed);
        }
    }

    /// Whether it may go on from a place.
    pub(super) fn goes_on(&self, point: Point) -> bool {
        match point {
            Point::End => self.word.all_well,
            Point::Start | Point::After(_) => self.word.begins,
        }
    }

    /// Why it must go back: the cause of its own, where it had one.
    pub(super) fn must_stop(&self) -> Option<Stop> {
        let failed = self.word.failed.as_ref().filter(|_| !self.word.all_well)?;
        Some(self.out.as_ref().unwrap_or(failed).clone())
    }
}

impl Active {
    /// Whether it may not go back by itself any more.
    pub(super) fn is_bound(&self) -> bool {
        self.part.well && self.part.must_stop().is_none() && self.goes_forward()
    }

    /// Whether it brings something, and nothing failed yet.
    fn goes_forward(&self) -> bool {
        self.plan.direction == Direction::Forward && self.failure.is_none()
    }

    fn waits_for_release(&mut self) -> bool {
        self.halt_mut().is_some_and(|halt| {
            let mut waits = halt.waits.values();
            waits.any(|wait| matches!(wait.ask, Ask::Release { .. }) && !wait.passed)
        })
    }
}

pub(super) trait Members: Sized {
    /// Says how far a rollout of a release of several modules is; of another one nothing.
    fn report(self, requested: &Requested, progress: Progress, context: &Context) -> Self;
    /// It was told what it may do.
    fn told_of_release(self, told: &Told, context: &Context) -> Self;
    /// Asks to go back, after it said that it is well.
    fn ask_out(self, stop: Stop, context: &Context) -> Self;
}

impl Members for Making {
    fn report(self, requested: &Requested, progress: Progress, context: &Context) -> Self {
        // Whoever goes back because of another one has nothing to tell of it.
        if let Progress::Failed(stop) = &progress
            && stop.reason == Reason::ReleaseFailed
        {
            return self;
        }
        let Some(joint) = requested.joint.clone() else {
            return self;
        };
        let scope = unit_scope(context, requested);
        let reported = Reported {
            joint,
            run: requested.run,
            module: requested.module.clone(),
            environment: Some(requested.environment.clone()),
            progress,
        };
        self.say(scope, reported)
    }

    fn told_of_release(mut self, told: &Told, context: &Context) -> Self {
        let unit = &mut self.state;
        let failed = told.word.failed.clone().filter(|_| !told.word.all_well);
        if let Some(stop) = &failed {
            let of_run = |waiting: &mut Requested| waiting.run == told.run;
            let live = unit.verified.first().cloned();
            let later = unit.later.take_if(of_run);
            let queued = unit.queued.take_if(of_run);
            if unit.queued.is_none() {
                unit.queued = unit.later.take();
            }
            for waiting in queued.into_iter().chain(later) {
                let outcome = RolloutOutcome::Stopped;
                let ended = ended(&waiting, outcome, live.as_ref(), Some(stop.clone()));
                self = self.finish(ended, context);
            }
        }
        let unit = &mut self.state;
        let of_run =
            |active: &&mut Active| active.requested.run == told.run && active.goes_forward();
        let gated = unit.gated.as_mut().filter(of_run);
        let Some(active) = gated.or(unit.active.as_mut().filter(of_run)) else {
            return self.next(context);
        };
        active.part.hear(&told.word);
        match active.part.must_stop() {
            Some(stop) if !active.waits_for_release() => self.stop_rollout(stop, context),
            _ => self.look(context),
        }
        .next(context)
    }

    fn ask_out(mut self, stop: Stop, context: &Context) -> Self {
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let stop = active.part.out.get_or_insert(stop).clone();
        let requested = active.requested.clone();
        self.report(&requested, Progress::Failed(stop), context)
    }
}
