//! Who comes next: a newer run takes the place of one that has not begun, and no branch starves.
//!
//! In: requested rollouts, what the unit has in hand, the environment's rules. Out: one rollout planned,
//! waiting or superseded.

use chrono::TimeDelta;
use ferry_config::Supersede;
use ferry_events::{
    Body, Reason, Stop, Timestamp,
    artifact::Release,
    fact::ActivePlan,
    gate::Point,
    joint::Joint,
    line::{Asked, Told},
    rollout::{Aim, Direction, Finished, Plan, Planned, Requested, RolloutOutcome},
    subject,
};
use ferry_runtime::Context;
use serde::{Deserialize, Serialize};

use super::{
    halt::{Halts, Stops},
    plan::{self, Brief},
    preview,
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

    /// Whether one that waits comes before a newer one: it is protected, or others go live with it for which
    /// the newer one brings nothing.
    fn holds_its_place(&self, waiting: &Requested, newer: &Requested, context: &Context) -> bool {
        let covers = |older: &Joint| {
            let newer = newer.joint.iter().flat_map(|joint| &joint.members);
            let newer: Vec<&str> = newer.map(|member| member.module.as_str()).collect();
            let mut older = older.members.iter();
            older.all(|member| newer.contains(&member.module.as_str()))
        };
        let with_others = waiting.joint.as_ref().is_some_and(|joint| !covers(joint));
        with_others || self.is_protected(waiting, context)
    }

    /// Whether the one that waits for its turn comes before this newer one.
    fn keeps_its_turn(&self, newer: &Requested, context: &Context) -> bool {
        let waiting = self.queued.as_ref();
        waiting.is_some_and(|waiting| self.holds_its_place(waiting, newer, context))
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
        if let Aim::Back { .. } = requested.aim {
            return self.back_by_hand(requested, context);
        }
        if let Some(gated) = &self.state.gated {
            let older = gated.requested.clone();
            let stays = self.state.holds_its_place(&older, requested, context);
            if gated.part.word.under_way || stays {
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
                    && matches!(active.requested.aim, Aim::Release(_))
                    // Its soak is the others' too.
                    && active.requested.joint.is_none()
                    && self.state.cuts_short(context)
                    && !self.state.is_protected(&active.requested, context)
                    && !self.state.keeps_its_turn(requested, context)
                    && self.state.begins_at_once(requested, context) =>
            {
                let (older, touched) = (active.requested.clone(), active.touched.clone());
                let left = active.release.clone();
                // Nor may an older one that waits begin after it.
                let mut cut = self
                    .make_way(requested, context)
                    .supersede(&older, requested, "cut its soak short", context)
                    .begin(requested.clone(), context);
                // What the older one left on bases is nobody's but the new one's to bring back.
                let unit = &mut cut.state;
                unit.reject(&left);
                for active in unit.active.iter_mut().chain(&mut unit.gated) {
                    let touched = touched.iter();
                    let touched = touched.map(|(base, pool)| (base.clone(), pool.clone()));
                    active.touched.extend(touched);
                }
                cut.next(context)
            }
            _ => self.enqueue(requested, context),
        }
    }

    fn told(mut self, told: &Told, context: &Context) -> Self {
        if !self.state.line.tell(told.number, told.standing.iter()) {
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
            let next = match self.state.later.take() {
                Some(later) if self.state.holds_its_place(&queued, &later, context) => {
                    self.state.queued = Some(later);
                    queued
                }
                // It was kept for a reason that is past: the newer one goes.
                Some(later) => {
                    self = self.supersede(&queued, &later, "took its place", context);
                    later
                }
                None => queued,
            };
            self = self.begin(next, context);
        }
        self.reconcile(context)
    }
}

trait Begins: Sized {
    fn back_by_hand(self, requested: &Requested, context: &Context) -> Self;
    fn make_way(self, to: &Requested, context: &Context) -> Self;
    fn enqueue(self, requested: &Requested, context: &Context) -> Self;
    fn begin(self, requested: Requested, context: &Context) -> Self;
}

impl Begins for Making {
    /// A person goes back: all that waits makes way, and what is being rolled out is taken back first.
    fn back_by_hand(mut self, requested: &Requested, context: &Context) -> Self {
        if let Some(gated) = &self.state.gated {
            let older = gated.requested.clone();
            self = self.supersede(&older, requested, "took its place", context);
        }
        let unit = &self.state;
        let in_hand = unit.active.as_ref().filter(|_| unit.is_rolling_out());
        let Some(active) = in_hand else {
            return self
                .make_way(requested, context)
                .begin(requested.clone(), context)
                .next(context);
        };
        if let Aim::Back { .. } = active.requested.aim {
            return self.enqueue(requested, context);
        }
        let goes_forward = active.plan.direction == Direction::Forward && active.failure.is_none();
        // The version before what is being rolled out is the one that is live.
        let live = unit.verified.first();
        let live = live.map(|live| live.version().to_owned());
        let aim = match &requested.aim {
            Aim::Back { to: None } => Aim::Back { to: live },
            aim => aim.clone(),
        };
        let back = Requested {
            aim,
            ..requested.clone()
        };
        self = self.enqueue(&back, context);
        if !goes_forward {
            return self;
        }
        let who = requested.author.as_deref().unwrap_or("somebody");
        let why = format!("{who} goes back by run {}", requested.run.short());
        self.stop_rollout(Stop::new(Reason::Aborted, why), context)
    }

    fn make_way(mut self, to: &Requested, context: &Context) -> Self {
        let waits = |one: &mut Requested| matches!(one.aim, Aim::Release(_));
        let queued = self.state.queued.take_if(waits);
        let later = self.state.later.take_if(waits);
        for older in queued.into_iter().chain(later) {
            self = self.supersede(&older, to, "took its place", context);
        }
        if self.state.queued.is_none() {
            self.state.queued = self.state.later.take();
        }
        self
    }

    fn enqueue(mut self, requested: &Requested, context: &Context) -> Self {
        if let Aim::Back { .. } = requested.aim {
            self = self.make_way(requested, context);
        }
        let place = if self.state.keeps_its_turn(requested, context) {
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
        let unit = &self.state;
        let live = unit.verified.first().cloned();
        let planned = unit.plan(&requested, context);
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
            plan: gated.plan.as_ref().clone(),
            version: Some(gated.release.version().to_owned()),
            because: None,
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
    /// What a requested rollout brings, and by which plan.
    fn plan(&self, requested: &Requested, context: &Context) -> Result<(Release, Plan), Stop> {
        let mut verified = self.verified.iter();
        let found = match &requested.aim {
            Aim::Release(release) => Some(release.as_ref()),
            Aim::Back { to: None } => verified.nth(1),
            Aim::Back { to: Some(version) } => {
                verified.find(|release| release.version() == version)
            }
        };
        let Some(release) = found else {
            return Err(Stop::new(
                Reason::NothingVerified,
                format!("{} in {}", requested.module, requested.environment),
            ));
        };
        self.may_bring(requested, release)?;
        let left_alone = self.left_alone(context);
        let plan = plan::forward(&Brief {
            requested,
            release,
            live: self.verified.first(),
            generation: self.generation + 1,
            config: &context.config,
            revision: &context.revision,
            left_alone: &left_alone,
            rooms: &self.rooms(),
            growths: &self.growths(&context.config),
        })?;
        preview::judge(&plan, release, requested, self, context)?;
        Ok((release.clone(), plan))
    }

    /// Whether a requested rollout would have nothing to wait for.
    fn begins_at_once(&self, requested: &Requested, context: &Context) -> bool {
        self.plan(requested, context).is_ok_and(|(release, plan)| {
            Active::new(requested.clone(), release, plan, context.now)
                .may_begin(&self.line, context)
        })
    }

    /// What failed here by its own fault does not come again by itself.
    pub(super) fn may_bring(&self, requested: &Requested, release: &Release) -> Result<(), Stop> {
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
