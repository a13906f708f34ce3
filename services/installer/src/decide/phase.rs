//! The transitions of a task. Every outcome leads to a next intent or to the task's end.
//!
//! In: a base's record and what came in. Out: a turn, whose end is the decision. What comes next is
//! planned anew from each observation, never from what a reply said.

use ferry_events::{
    Reason, Scope, Stop,
    fact::Left,
    subject,
    task::{Finished, Requested, Started, StepTime},
};
use ferry_runtime::{Context, Decision, Fault, Say};

use super::plan::{active, next_change, shown};
use super::{
    ActEnd, Acted, Base, Change, InHand, Intent, Outcome, Phase, Prepared, PreparedEnd, Present,
    RECENT_MAX, StepName, drain::not_back,
};

/// How often one change is asked of a base that loses or refuses it.
pub const TRIES_MAX: u32 = 3;
/// Intents of one task: an honest base needs one a version that is there, and two more. A base that shows
/// something new after each is given up.
pub const INTENTS_MAX: u32 = 16;

/// One decision in the making.
pub(super) struct Turn<'a> {
    before: &'a Base,
    pub(super) base: Base,
    pub(super) says: Vec<Say>,
    /// The name of the base, for its fact.
    pub(super) name: Option<String>,
    pub(super) context: &'a Context,
}

impl<'a> Turn<'a> {
    pub(super) fn new(before: &'a Base, context: &'a Context) -> Self {
        let name = before.in_hand.as_ref().map(|hand| hand.task.base.clone());
        Self {
            before,
            base: before.clone(),
            says: Vec::new(),
            name,
            context,
        }
    }

    pub(super) fn end(self) -> Decision<Base> {
        let fact = self.base.fact();
        let before = self.before.in_hand.as_ref();
        let changing = before.filter(|hand| !hand.attempts.is_empty());
        let changed = match (changing, &self.base.in_hand) {
            // Its first intent told others that the module is being changed; its end tells them the rest.
            (Some(before), Some(now)) if before.task.task == now.task.task => false,
            (Some(_), _) => true,
            (None, _) => fact != self.before.fact(),
        };
        let mut decision = Decision::to(self.base);
        decision.events = self.says;
        match self.name {
            Some(name) if changed => decision.fact(subject::base_fact(&name), &fact),
            _ => decision,
        }
    }

    fn say(&mut self, task: &Requested, body: impl Into<ferry_events::Body>) {
        let team = self.context.config.team_of_module(&task.module);
        let scope = Scope::module(team, &task.module).within(&task.environment);
        self.says.push(Say {
            scope,
            body: body.into(),
        });
    }

    /// A task comes, perhaps again. Which of two plans is newer cannot be told from the order in which
    /// they come, so all wait their turn; an outdated one meets its fence before it touches anything.
    pub(super) fn requested(&mut self, task: &Requested) {
        let known = self
            .base
            .in_hand
            .as_ref()
            .is_some_and(|hand| hand.task.task == task.task)
            || self
                .base
                .queue
                .iter()
                .any(|waiting| waiting.task == task.task)
            || self
                .base
                .modules
                .get(&task.module)
                .is_some_and(|it| it.finished.contains(&task.task));
        if known {
            return;
        }
        self.name = Some(task.base.clone());
        self.base.queue.push(task.clone());
        self.take_next();
    }

    pub(super) fn take_next(&mut self) {
        let busy = self.base.in_hand.is_some() || self.base.is_being_restarted();
        if busy || self.base.queue.is_empty() {
            return;
        }
        // What came of one push waits behind its own, and not another's behind a thousand of its.
        let served = self.base.served;
        let others = |task: &Requested| task.origin.is_none() || task.origin != served;
        let next = self.base.queue.iter().position(others).unwrap_or(0);
        let task = self.base.queue.remove(next);
        self.base.served = task.origin;
        self.say(
            &task,
            Started {
                task: task.task,
                plan: task.plan.clone(),
                run: task.run,
                module: task.module.clone(),
                environment: task.environment.clone(),
                base: task.base.clone(),
            },
        );
        self.base.in_hand = Some(InHand::new(task));
    }

    pub(super) fn outcome(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        if let Outcome::Restarted(came) = outcome {
            self.restarted(came);
            return Ok(());
        }
        if let (Outcome::Undrained(undrained), None) = (outcome, &self.base.in_hand) {
            if undrained.stop.is_none() {
                self.base.drained.remove(&undrained.module);
            }
            return Ok(());
        }
        let Some(hand) = self.base.in_hand.take() else {
            return Err(Fault(format!(
                "an outcome without a task in hand: {outcome:?}"
            )));
        };
        match (outcome, hand.phase.clone()) {
            (Outcome::Prepared(prepared), Phase::Prepare) => self.prepared(hand, prepared),
            (Outcome::Drained(drained), Phase::Drain) => self.is_drained(hand, drained),
            (Outcome::Undrained(undrained), Phase::Undrain { stop })
                if undrained.module == hand.task.module =>
            {
                self.is_back(hand, stop, undrained);
            }
            (Outcome::Acted(acted), Phase::Change(intent)) if acted.request == intent.request => {
                self.acted(hand, *intent, acted);
            }
            (outcome, phase) => {
                return Err(Fault(format!("{outcome:?} does not belong to {phase:?}")));
            }
        }
        Ok(())
    }

    /// The work took its worker down again and again, or failed as often.
    pub(super) fn given_up(&mut self, tries: u32, stop: Option<&Stop>) {
        let Some(mut hand) = self.base.in_hand.take() else {
            return self.restart_given_up(tries, stop);
        };
        if let Phase::Change(intent) = &hand.phase {
            self.base.unsettled.push((**intent).clone());
        }
        let stop = without_result(tries, stop);
        if let Phase::Undrain { stop: first } = hand.phase.clone() {
            return self.end_task(hand, Some(not_back(first, &stop)));
        }
        hand.running = None;
        self.finish(hand, Some(stop));
    }

    fn prepared(&mut self, mut hand: InHand, prepared: &Prepared) {
        if prepared.settled {
            self.base.unsettled.clear();
        }
        spend(&mut hand, StepName::Observe, prepared.observe_ms);
        if let Some(millis) = prepared.fetch_ms {
            spend(&mut hand, StepName::Fetch, millis);
        }
        match &prepared.end {
            PreparedEnd::Ready { seen, restorable } => {
                hand.restorable = *restorable;
                self.see(&mut hand, seen);
                self.next(hand, seen);
            }
            PreparedEnd::Outdated => self.outdated(hand),
            PreparedEnd::Failed { stop, seen } => {
                if let Some(seen) = seen {
                    hand.running = active(seen).map(|present| present.version.clone());
                }
                self.finish(hand, Some(stop.clone()));
            }
        }
    }

    fn acted(&mut self, mut hand: InHand, intent: Intent, acted: &Acted) {
        spend(&mut hand, intent.step, acted.millis);
        if intent.step == StepName::Install {
            hand.growth = acted.growth;
        }
        match &acted.end {
            ActEnd::Outdated => self.outdated(hand),
            ActEnd::Done { seen } => {
                hand.tries = 0;
                self.see(&mut hand, seen);
                self.next(hand, seen);
            }
            ActEnd::Failed { stop, seen } => {
                self.see(&mut hand, seen);
                self.failed(hand, &intent, stop.clone(), seen);
            }
            ActEnd::Untold { seen } if intent.step == StepName::Install && !hand.untold => {
                hand.untold = true;
                self.see(&mut hand, seen);
                self.next(hand, seen);
            }
            ActEnd::Untold { seen } => {
                self.see(&mut hand, seen);
                let why = "the base cannot say why it failed; its log does";
                let stop = Stop::new(Reason::InstallFailed, why);
                self.failed(hand, &intent, stop, seen);
            }
            // The base is at it still. A start that hangs must not keep the version before away; whoever has
            // the next task waits for its end first.
            ActEnd::Late { stop, seen } => {
                self.base.unsettled.push(intent.clone());
                self.see(&mut hand, seen);
                self.failed(hand, &intent, stop.clone(), seen);
            }
            ActEnd::Silent { stop } => {
                self.base.unsettled.push(intent);
                hand.running = None;
                let stop = match hand.failed.take() {
                    Some(first) => and_then(
                        first,
                        &format!("then the base fell silent: {}", stop.detail),
                    ),
                    None => stop.clone(),
                };
                self.finish(hand, Some(stop));
            }
            ActEnd::Void { why, seen } => {
                self.see(&mut hand, seen);
                hand.tries += 1;
                if hand.tries < TRIES_MAX {
                    return self.next(hand, seen);
                }
                let reason = match intent.change {
                    Change::Uninstall { .. } => Reason::UninstallFailed,
                    Change::Install { .. } | Change::Explain { .. } => Reason::InstallFailed,
                };
                let stop = Stop::new(
                    reason,
                    format!("asked {TRIES_MAX} times in vain; at last: {why}"),
                );
                self.failed(hand, &intent, stop, seen);
            }
        }
    }

    pub(super) fn outdated(&mut self, hand: InHand) {
        let plan = hand.task.plan.short().to_owned();
        let why =
            format!("plan {plan} is not in force any more; this task changes nothing further");
        self.finish(hand, Some(Stop::new(Reason::PlanOutdated, why)));
    }

    /// A change is over and did not do what it should.
    fn failed(&mut self, mut hand: InHand, intent: &Intent, stop: Stop, seen: &[Present]) {
        hand.tries = 0;
        match (intent.step, hand.failed.take()) {
            // Nothing was put in yet: what is there stays as it is.
            (StepName::Install, _) => {
                hand.failed = Some(stop);
                self.next(hand, seen);
            }
            (StepName::Restore, first) => {
                let stop = match first {
                    Some(first) => and_then(
                        first,
                        &format!("the version before could not be put back: {}", stop.detail),
                    ),
                    None => stop,
                };
                self.finish(hand, Some(stop));
            }
            (_, Some(first)) => {
                hand.stuck.insert(intent.version().to_owned());
                hand.failed = Some(first);
                self.next(hand, seen);
            }
            (_, None) => self.finish(hand, Some(stop)),
        }
    }

    /// Plans from what the base shows: the next intent, or the end.
    pub(super) fn next(&mut self, hand: InHand, seen: &[Present]) {
        let change = next_change(&hand, seen);
        let Some((step, change)) = change else {
            let stop = hand.failed.clone();
            return self.finish(hand, stop);
        };
        if hand.attempts.values().sum::<u32>() >= INTENTS_MAX {
            let why = format!("after {INTENTS_MAX} changes the base shows {}", shown(seen));
            let stop = hand
                .failed
                .clone()
                .unwrap_or_else(|| Stop::new(Reason::InstallUnclear, why));
            return self.finish(hand, Some(stop));
        }
        if !hand.drained && self.drains(&hand, seen) {
            return self.drain(hand);
        }
        self.intend(hand, step, change, seen);
    }

    /// Writes an intent into the record. The change counts from here on: whoever looks at the base
    /// meanwhile has seen something else than what the task leaves.
    fn intend(&mut self, mut hand: InHand, step: StepName, change: Change, seen: &[Present]) {
        let attempt = hand.attempts.entry(step).or_default();
        *attempt += 1;
        let intent = Intent {
            task: hand.task.task,
            plan: hand.task.plan.clone(),
            step,
            attempt: *attempt,
            request: hand.task.task.request(step.as_str(), *attempt),
            biz: hand.task.biz.clone(),
            change,
        };
        let module = self
            .base
            .modules
            .entry(hand.task.module.clone())
            .or_default();
        let left = module.left.get_or_insert_with(|| Left {
            biz: hand.task.biz.clone(),
            version: active(seen).map(|present| present.version.clone()),
            revision: 0,
        });
        left.biz.clone_from(&hand.task.biz);
        left.revision += 1;
        hand.phase = Phase::Change(Box::new(intent));
        self.base.in_hand = Some(hand);
    }

    /// Takes what a base shows into the record.
    pub(super) fn see(&mut self, hand: &mut InHand, seen: &[Present]) {
        let version = active(seen).map(|present| present.version.clone());
        hand.running.clone_from(&version);
        let module = self
            .base
            .modules
            .entry(hand.task.module.clone())
            .or_default();
        let jars = [&hand.task.want, &hand.task.restore];
        let digest = version.as_ref().and_then(|version| {
            let known = jars
                .into_iter()
                .flatten()
                .find(|jar| jar.version == *version);
            let same = module
                .left
                .as_ref()
                .is_some_and(|left| left.version.as_ref() == Some(version));
            known
                .map(|jar| jar.digest.clone())
                .or(module.digest.clone().filter(|_| same))
        });
        module.digest = digest;
        match &mut module.left {
            Some(left) if left.version == version && left.biz == hand.task.biz => {}
            Some(left) => {
                left.biz.clone_from(&hand.task.biz);
                left.version = version;
                left.revision += 1;
            }
            none => {
                *none = Some(Left {
                    biz: hand.task.biz.clone(),
                    version,
                    revision: 0,
                })
            }
        }
    }

    /// The task is over, once the base is back in its load balancer.
    pub(super) fn finish(&mut self, mut hand: InHand, stop: Option<Stop>) {
        let out = self.base.drained.contains_key(&hand.task.module);
        if out && !self.base.is_out_for_restart() {
            hand.phase = Phase::Undrain { stop };
            self.base.in_hand = Some(hand);
            return;
        }
        self.end_task(hand, stop);
    }

    pub(super) fn end_task(&mut self, hand: InHand, stop: Option<Stop>) {
        let InHand {
            task,
            steps,
            running,
            growth,
            ..
        } = hand;
        let module = self.base.modules.entry(task.module.clone()).or_default();
        module.finished.push(task.task);
        let surplus = module.finished.len().saturating_sub(RECENT_MAX);
        module.finished.drain(..surplus);
        let revision = module.left.as_ref().map_or(0, |left| left.revision);
        self.say(
            &task,
            Finished {
                task: task.task,
                plan: task.plan.clone(),
                run: task.run,
                module: task.module.clone(),
                environment: task.environment.clone(),
                base: task.base.clone(),
                running,
                revision,
                metaspace_growth: growth.filter(|_| stop.is_none()),
                stop: stop.map(|stop| stop.on(&task.base)),
                steps,
            },
        );
        self.base.in_hand = None;
        self.take_next();
    }
}

/// Why work is given up that took its worker down again and again, or failed as often.
pub(super) fn without_result(tries: u32, stop: Option<&Stop>) -> Stop {
    let why = || format!("the work on the base ended without a result {tries} times");
    stop.cloned()
        .unwrap_or_else(|| Stop::new(Reason::OurFault, why()))
}

pub(super) fn spend(hand: &mut InHand, step: StepName, millis: u64) {
    match hand
        .steps
        .iter_mut()
        .find(|time| time.step == step.as_str())
    {
        Some(time) => time.millis += millis,
        None => hand.steps.push(StepTime {
            step: step.as_str().to_owned(),
            millis,
        }),
    }
}

/// The first failure's reason, with what came after it.
pub(super) fn and_then(first: Stop, then: &str) -> Stop {
    let Stop {
        reason,
        detail,
        base,
        ..
    } = first;
    Stop {
        base,
        ..Stop::new(reason, format!("{detail}; {then}"))
    }
}
