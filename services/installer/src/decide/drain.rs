//! The transitions around a task's changes: out of the load balancer before the first, back after the last.
//!
//! In: a turn, and what came of asking the load balancer. Out: the same turn. That a base is out stands in
//! its record from before it is asked for until it is known to be back, so whatever ends a task, and
//! whoever dies, the base is put back.

use ferry_config::DrainFor;
use ferry_events::{Stop, task::Want};

use super::phase::{Turn, and_then, spend};
use super::{Drained, DrainedEnd, InHand, Out, Phase, Present, StepName, Undrained};

impl Turn<'_> {
    pub(super) fn is_drained(&mut self, mut hand: InHand, drained: &Drained) {
        spend(&mut hand, StepName::Drain, drained.millis);
        match &drained.end {
            DrainedEnd::Done { seen } => {
                self.see(&mut hand, seen);
                self.next(hand, seen);
            }
            DrainedEnd::Outdated => self.outdated(hand),
            // It may be out all the same.
            DrainedEnd::Failed { stop } => self.finish(hand, Some(stop.clone())),
        }
    }

    pub(super) fn is_back(&mut self, mut hand: InHand, first: Option<Stop>, undrained: &Undrained) {
        spend(&mut hand, StepName::Undrain, undrained.millis);
        let stop = match &undrained.stop {
            None => {
                self.base.drained.remove(&undrained.module);
                first
            }
            Some(stop) => Some(not_back(first, stop)),
        };
        self.end_task(hand, stop);
    }

    /// Whether the base is taken out of its load balancer for this task.
    pub(super) fn drains(&self, hand: &InHand, seen: &[Present]) -> bool {
        if self.base.is_out_for_restart() {
            return false;
        }
        let config = &self.context.config;
        let pool = config.base(&hand.task.base).map(|(pool, _)| pool);
        let Some(drain) = pool.and_then(|pool| config.pools.get(pool)?.drain.as_ref()) else {
            return false;
        };
        let is_web = |jar: &Want| jar.web_context_path.is_some();
        let mut jars = hand.task.want.iter().chain(&hand.task.restore);
        drain.modules == DrainFor::All || jars.any(is_web) || seen.iter().any(|present| present.web)
    }

    /// Writes into the record that the base is out, before it is: whatever becomes of this task, it is
    /// put back.
    pub(super) fn drain(&mut self, mut hand: InHand) {
        let out = Out::of(&hand.task);
        self.base.drained.insert(hand.task.module.clone(), out);
        hand.drained = true;
        hand.phase = Phase::Drain;
        self.base.in_hand = Some(hand);
    }
}

/// Why a task ends whose base is not known to be back in its load balancer.
pub(super) fn not_back(first: Option<Stop>, stop: &Stop) -> Stop {
    match first {
        Some(first) => and_then(
            first,
            &format!(
                "then it could not be put back into its load balancer: {}",
                stop.detail
            ),
        ),
        None => stop.clone(),
    }
}
