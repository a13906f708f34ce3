//! Who comes next: a newer run takes the place of one that has not begun, and no branch starves.
//!
//! In: requested rollouts, what the unit has in hand, the environment's rules. Out: one rollout planned,
//! waiting or superseded.

use chrono::TimeDelta;
use ferry_config::Supersede;
use ferry_events::{
    Body, Reason, Stop, Timestamp,
    fact::ActivePlan,
    gate::Point,
    line::{Asked, Told},
    rollout::{Aim, Finished, Planned, Requested, RolloutOutcome},
    subject,
};
use ferry_runtime::Context;
use serde::{Deserialize, Serialize};

use super::{
    halt::Halts,
    plan::{self, Brief},
    repair::Repairs,
    scope,
    unit::{Active, Making, Stage, Unit, ended, unit_scope},
};

/// Where no answer came to what is paused, it is asked again after this time.
pub(super) const ASK_AGAIN: TimeDelta = TimeDelta::seconds(30);

/// Runs that were superseded since one went live.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PassedOver {
    /// How many.
    pub runs: u32,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

pub(super) trait Queue: Sized {
    /// A run has come to the environment.
    fn requested(self, requested: &Requested, context: &Context) -> Self;
    /// What is paused, for a unit that asked.
    fn told(self, told: &Told, context: &Context) -> Self;
    /// Asks what is paused, at first and while there is no answer.
    fn ask_the_line(self, context: &Context) -> Self;
    /// A rollout ends; says so, and what it waited for is not waited for any more.
    fn finish(self, finished: Finished, context: &Context) -> Self;
    /// A newer one takes this one's place.
    fn supersede(self, older: &Requested, by: &Requested, why: &str, context: &Context) -> Self;
    /// Begins what waits, when nothing is in hand; where nothing waits, the repairs that are due.
    fn next(self, context: &Context) -> Self;
}

impl Unit {
    fn knows(&self, requested: &Requested) -> bool {
        let run = requested.run;
        let of = |active: &Option<Active>| {
            active
                .as_ref()
                .is_some_and(|active| active.requested.run == run)
        };
        let waits =
            |one: &Option<Requested>| one.as_ref().is_some_and(|waiting| waiting.run == run);
        self.settled.contains(&run)
            || of(&self.active)
            || of(&self.gated)
            || waits(&self.queued)
            || waits(&self.later)
    }

    /// Whether one that waits may not be superseded: a person asked for it, or too many were before.
    fn is_protected(&self, waiting: &Requested, context: &Context) -> bool {
        let rules = context
            .config
            .environments
            .get(&self.environment)
            .cloned()
            .unwrap_or_default();
        let long = |since: Timestamp| {
            TimeDelta::from_std(rules.live_after).is_ok_and(|most| context.now - since >= most)
        };
        matches!(waiting.aim, Aim::Back { .. })
            || self.passed_over.runs + 1 >= rules.live_every
            || self.passed_over.since.is_some_and(long)
    }

    fn cuts_short(&self, context: &Context) -> bool {
        let rules = context.config.environments.get(&self.environment);
        rules.is_some_and(|rules| rules.supersede == Supersede::CutShort)
    }
}

impl Queue for Making {
    fn requested(mut self, requested: &Requested, context: &Context) -> Self {
        let unit = &mut self.state;
        unit.is_of(&requested.module, &requested.environment);
        if unit.knows(requested) {
            return self;
        }
        if let Aim::Release(_) = requested.aim {
            let newest = unit.newest.entry(requested.branch.clone()).or_default();
            if requested.order < *newest {
                let why = format!("a newer commit of {} came first", requested.branch);
                let live = unit.verified.first().cloned();
                let stop = Stop::new(Reason::Superseded, why);
                let outcome = RolloutOutcome::Superseded;
                let ended = ended(requested, outcome, live.as_ref(), Some(stop));
                return self.finish(ended, context);
            }
            *newest = requested.order;
        }
        if !self.state.line.is_told() {
            return self.enqueue(requested, context).ask_the_line(context);
        }
        if let Some(gated) = &self.state.gated {
            let older = gated.requested.clone();
            if self.state.is_protected(&older, context) {
                return self.enqueue(requested, context);
            }
            return self
                .supersede(&older, requested, "took its place", context)
                .begin(requested.clone(), context)
                .next(context);
        }
        if !self.state.is_rolling_out() {
            return self.begin(requested.clone(), context).next(context);
        }
        match &self.state.active {
            Some(active)
                if active.is_at_its_end()
                    && active.failure.is_none()
                    && matches!(requested.aim, Aim::Release(_))
                    && self.state.cuts_short(context)
                    && !self.state.is_protected(&active.requested, context) =>
            {
                let (older, touched) = (active.requested.clone(), active.touched.clone());
                let mut cut = self
                    .supersede(&older, requested, "cut its soak short", context)
                    .begin(requested.clone(), context);
                // What the older one left on bases is nobody's but the new one's to bring back.
                let unit = &mut cut.state;
                for active in unit.active.iter_mut().chain(&mut unit.gated) {
                    active.touched.extend(touched.clone());
                }
                cut.next(context)
            }
            _ => self.enqueue(requested, context),
        }
    }

    fn told(mut self, told: &Told, context: &Context) -> Self {
        if !self.state.line.hear(told.number, told.standing.iter()) {
            return self;
        }
        self.look(context).next(context)
    }

    fn ask_the_line(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        let waits = unit
            .line
            .asked
            .is_some_and(|asked| context.now < asked + ASK_AGAIN);
        if unit.line.is_told() || waits {
            return self;
        }
        unit.line.asked = Some(context.now);
        let asked = Asked {
            module: unit.module.clone(),
            environment: unit.environment.clone(),
        };
        let scope = scope(&context.config, &asked.module).within(&asked.environment);
        self.say(scope, asked)
    }

    fn finish(mut self, finished: Finished, context: &Context) -> Self {
        let unit = &mut self.state;
        unit.settle(finished.run);
        let scope = scope(&context.config, &finished.module).within(&finished.environment);
        let of_run = |active: &mut Active| active.requested.run == finished.run;
        let gated = unit.gated.take_if(of_run);
        let active = unit.active.take_if(of_run);
        let in_force = active.is_some();
        for ended in gated.into_iter().chain(active) {
            for cancelled in ended.cancelled() {
                self = self.say(scope.clone(), cancelled);
            }
        }
        if in_force {
            let subject = subject::plan_fact(&finished.module, &finished.environment);
            let none = ActivePlan {
                plan: None,
                run: None,
            };
            self = self.fact(subject, &none);
        }
        self.say(scope, finished)
    }

    fn supersede(
        mut self,
        older: &Requested,
        by: &Requested,
        why: &str,
        context: &Context,
    ) -> Self {
        let unit = &mut self.state;
        if let Aim::Release(_) = older.aim {
            unit.passed_over.runs += 1;
            unit.passed_over.since.get_or_insert(context.now);
        }
        let live = unit.verified.first().cloned();
        let why = format!("run {} {why}", by.run.short());
        let stop = Stop::new(Reason::Superseded, why);
        let outcome = RolloutOutcome::Superseded;
        self.finish(ended(older, outcome, live.as_ref(), Some(stop)), context)
    }

    fn next(mut self, context: &Context) -> Self {
        while self.state.active.is_none() && self.state.gated.is_none() && self.state.line.is_told()
        {
            let Some(queued) = self.state.queued.take() else {
                break;
            };
            self.state.queued = self.state.later.take();
            self = self.begin(queued, context);
        }
        self.reconcile(context)
    }
}

trait Begins: Sized {
    fn enqueue(self, requested: &Requested, context: &Context) -> Self;
    fn begin(self, requested: Requested, context: &Context) -> Self;
}

impl Begins for Making {
    fn enqueue(mut self, requested: &Requested, context: &Context) -> Self {
        let kept = match &self.state.queued {
            Some(older) => self.state.is_protected(older, context),
            None => false,
        };
        let place = if kept {
            &mut self.state.later
        } else {
            &mut self.state.queued
        };
        match place.replace(requested.clone()) {
            None => self,
            Some(older) => self.supersede(&older, requested, "took its place", context),
        }
    }

    /// Plans a rollout, and begins it where there is nothing to wait for.
    fn begin(mut self, requested: Requested, context: &Context) -> Self {
        let unit = &mut self.state;
        let live = unit.verified.first().cloned();
        let found = match &requested.aim {
            Aim::Release(release) => Some(release.as_ref().clone()),
            Aim::Back { to: None } => unit.verified.get(1).cloned(),
            Aim::Back { to: Some(version) } => unit
                .verified
                .iter()
                .skip(1)
                .find(|release| release.version() == version)
                .cloned(),
        };
        let planned = match found {
            None => Err(Stop::new(
                Reason::NothingVerified,
                format!("{} in {}", requested.module, requested.environment),
            )),
            Some(release) => unit.may_bring(&requested, &release).and_then(|()| {
                let plan = plan::forward(&Brief {
                    requested: &requested,
                    release: &release,
                    live: live.as_ref(),
                    generation: unit.generation + 1,
                    config: &context.config,
                    revision: &context.revision,
                })?;
                Ok((release, plan))
            }),
        };
        let (release, plan) = match planned {
            Ok(planned) => planned,
            Err(stop) => {
                let outcome = RolloutOutcome::Stopped;
                let ended = ended(&requested, outcome, live.as_ref(), Some(stop));
                return self.finish(ended, context);
            }
        };
        let unit = &mut self.state;
        unit.generation = plan.generation;
        let gated = Active::new(requested, release, plan, context.now);
        let planned = Planned {
            id: gated.id.clone(),
            plan: gated.plan.clone(),
            version: Some(gated.release.version().to_owned()),
        };
        let scope = unit_scope(context, &gated.requested);
        unit.gated = Some(Active {
            stage: Stage::Halt(super::halt::Halt::at(Point::Start)),
            ..gated
        });
        self.say(scope, Body::from(planned))
            .arrive(Point::Start, context)
    }
}

impl Unit {
    /// What failed here by its own fault does not come again by itself.
    pub(super) fn may_bring(
        &self,
        requested: &Requested,
        release: &ferry_events::artifact::Release,
    ) -> Result<(), Stop> {
        let banned = self
            .banned
            .iter()
            .find(|banned| banned.packaged == release.packaged);
        match banned {
            Some(banned) if !requested.force && matches!(requested.aim, Aim::Release(_)) => {
                Err(Stop::new(
                    Reason::FailedBefore,
                    format!(
                        "{} failed in run {} ({})",
                        release.version(),
                        banned.run.short(),
                        banned.reason
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}
