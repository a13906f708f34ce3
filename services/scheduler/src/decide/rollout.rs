//! Waves: a plan in force is carried out, wave after wave, within the limits of each zone.
//!
//! In: a plan that may begin, what became of tasks and observations, time. Out: tasks, observations, the
//! waves' beginnings and ends, the soak, and the rollout's end.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use ferry_events::{
    Body, Reason, Stop, TaskId, Timestamp,
    artifact::Release,
    body::{ServiceDeployed, ServiceRolledback, ServiceUpgraded, WaveFinished, WaveStarted},
    fact::ActivePlan,
    gate::Point,
    ids::derive,
    joint::Progress,
    rollout::{Aim, Direction, Finished, RolloutOutcome, Service, Step},
    subject, task, verify,
};
use ferry_runtime::Context;
use uuid::Uuid;

use super::{
    back::WayBack,
    by_base::ByBase,
    halt::{Halts, Stops},
    member::Members,
    queue::{PassedOver, Queue},
    repair::{Repairs, pools},
    unit::{Active, Making, Phase, Stage, Task, Unit, ended, unit_scope},
};

/// Verified releases kept for going back by hand; the jars of older ones may be collected.
const VERIFIED_MAX: usize = 10;
/// Longest list of bases in a stop's detail.
const NAMED_MAX: usize = 20;
/// Room for what a wave waits for besides its own limits: a restart of a service, a queue on a base.
const SLACK: TimeDelta = TimeDelta::minutes(2);

pub(super) trait Rollouts: Sized {
    /// What waited before its first wave begins.
    fn activate(self, context: &Context) -> Self;
    /// Begins the wave in hand.
    fn start_wave(self, context: &Context) -> Self;
    /// Something that a wave may wait for is different now.
    fn go_on_with_wave(self, context: &Context) -> Self;
    /// Begins as many tasks of the wave as the limits allow now.
    fn admit(self, context: &Context) -> Self;
    /// The installer is done with a base.
    fn task_finished(self, finished: &task::Finished, context: &Context) -> Self;
    /// The verifier is done with a base.
    fn observed(self, finished: &verify::Finished, context: &Context) -> Self;
    /// A deadline may have passed.
    fn overdue(self, context: &Context) -> Self;
    /// Ends the wave if it has ended, and goes on from there.
    fn advance(self, context: &Context) -> Self;
    /// All holds: the release is what is verified now.
    fn verified(self, context: &Context) -> Self;
}

impl Rollouts for Making {
    fn activate(mut self, context: &Context) -> Self {
        let Some(gated) = self.state.gated.take() else {
            return self;
        };
        // A repair makes way: its bases are in the new plan too, and its tasks end at the fence.
        if self.state.active.is_some() {
            self = self.give_way(&gated.requested, context);
        }
        self = self.report(&gated.requested, Progress::Begun, context);
        let unit = &mut self.state;
        let configured = pools(unit, context);
        let planned: BTreeSet<&str> = gated.plan.bases().collect();
        unit.care.retain(|base, care| {
            care.reset(context.now);
            planned.contains(base) || configured.contains_key(base)
        });
        unit.active = Some(Active {
            stage: Stage::Wave,
            ..gated
        });
        self.start_wave(context)
    }

    fn start_wave(mut self, context: &Context) -> Self {
        let away = self.state.away_until();
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let requested = &active.requested;
        let in_force = ActivePlan {
            plan: Some(active.id.clone()),
            run: Some(requested.run),
        };
        let fact = subject::plan_fact(&requested.module, &requested.environment);
        let first = active.wave == 0;
        let scope = unit_scope(context, requested);
        let started = Body::from(WaveStarted(active.describe_wave(None)));
        active.tasks = ByBase::default();
        active.stage = Stage::Wave;
        active.deadline = wave_ends(context, active, away);
        if first {
            self = self.fact(fact, &in_force);
        }
        self.say(scope, started).go_on_with_wave(context)
    }

    fn go_on_with_wave(self, context: &Context) -> Self {
        self.admit(context).pass_over(context)
    }

    fn admit(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        let Some(active) = &unit.active else {
            return self;
        };
        if active.stage != Stage::Wave || active.failure.is_some() && !active.goes_back() {
            return self;
        }
        unit.leave_out_held();
        let Some(active) = &unit.active else {
            return self;
        };
        let steps = unit.admissible(active);
        let away = unit.away_until();
        let Some(active) = &mut unit.active else {
            return self;
        };
        if steps.is_empty() {
            return self;
        }
        let (requested, plan) = (active.requested.clone(), &active.plan);
        let mut said = Vec::new();
        for step in steps {
            let task = TaskId::of(&active.id, &step.base);
            active.touched.insert(step.base.clone(), step.pool.clone());
            active.tasks.insert(
                step.base.clone(),
                Task {
                    task,
                    phase: Phase::Changing,
                    revision: 0,
                    observation: Uuid::nil(),
                },
            );
            said.push(task::Requested {
                origin: active.release.origin,
                task,
                plan: active.id.clone(),
                run: requested.run,
                module: requested.module.clone(),
                environment: requested.environment.clone(),
                base: step.base.clone(),
                biz: active.release.biz.name.clone(),
                want: plan.want(&step).cloned(),
                restore: plan.restores.get(&step.pool).cloned(),
            });
        }
        active.deadline = wave_ends(context, active, away);
        let scope = unit_scope(context, &requested);
        said.into_iter()
            .fold(self, |making, task| making.say(scope.clone(), task))
    }

    fn task_finished(mut self, finished: &task::Finished, context: &Context) -> Self {
        if self.state.known_as().is_none() {
            return self;
        }
        let care = self.state.care.entry(&finished.base);
        care.revision = care.revision.max(finished.revision);
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let (plan, base) = (&finished.plan, &finished.base);
        let Some(task) = active.current(plan, base, finished.task, Phase::Changing) else {
            return self;
        };
        task.revision = finished.revision;
        if let Some(stop) = &finished.stop {
            task.phase = Phase::Failed;
            active.fail(stop.clone().on(base));
            return self.advance(context);
        }
        task.phase = Phase::Observing;
        task.observation = derive("observation", &[&finished.task.to_string()]);
        let observation = task.observation;
        // It was looked at and is right; what was seen of it before is past.
        care.owed = None;
        let soak = active.plan.judge.soak_ms;
        let scope = unit_scope(context, &active.requested);
        let watch = active.watch(base, observation, soak);
        self.state.learn(finished, context);
        match watch {
            Some(watch) => self.say(scope, watch),
            None => self,
        }
    }

    fn observed(mut self, finished: &verify::Finished, context: &Context) -> Self {
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let (plan, base) = (&finished.plan, &finished.base);
        let Some(task) = active.current(plan, base, finished.task, Phase::Observing) else {
            return self;
        };
        if task.revision != finished.revision || task.observation != finished.observation {
            return self;
        }
        match &finished.stop {
            None => task.phase = Phase::Verified,
            Some(stop) => {
                task.phase = Phase::Failed;
                active.fail(stop.clone().on(base));
            }
        }
        self.advance(context)
    }

    fn overdue(mut self, context: &Context) -> Self {
        self = self.ask_the_line_again(context).look(context);
        let Some(active) = &mut self.state.active else {
            return self.reconcile(context);
        };
        if context.now < active.deadline || matches!(active.stage, Stage::Halt(_)) {
            return self;
        }
        let deadline = active.deadline;
        let mut late = Vec::new();
        active.tasks.retain(|base, task| {
            let what = match task.phase {
                Phase::Changing => "changed",
                Phase::Observing => "observed",
                Phase::Verified | Phase::Failed => return true,
            };
            let detail = format!("it was not {what} by {deadline}");
            late.push(Stop::new(Reason::Overdue, detail).on(base));
            task.phase = Phase::Failed;
            true
        });
        for stop in late {
            active.fail(stop);
        }
        let unit = &self.state;
        let blocked = unit.active.as_ref().and_then(|active| unit.blocked(active));
        if let Some(active) = &mut self.state.active
            && active.failure.is_none()
        {
            active.failure = blocked;
        }
        self.advance(context)
    }

    fn advance(mut self, context: &Context) -> Self {
        let Some(active) = &self.state.active else {
            return self;
        };
        let scope = unit_scope(context, &active.requested);
        match active.plan.direction {
            Direction::Forward => {}
            Direction::Back => return self.advance_back(context),
            Direction::Repair => return self.advance_repair(context),
        }
        if let Some(stop) = active.failure.clone() {
            if active.stage == Stage::Wave {
                let wave = WaveFinished(active.describe_wave(Some(stop)));
                self = self.say(scope, wave);
            }
            return self.turn_back(context);
        }
        if active.is_busy() || active.waiting().next().is_some() {
            return self.go_on_with_wave(context);
        }
        // What comes late of something that a person called enough.
        if matches!(active.stage, Stage::Halt(_)) {
            return self;
        }
        if active.stage == Stage::Soak {
            return self.arrive(Point::End, context);
        }
        // What was to show on the first bases that it is well cannot be seen on any.
        let held = active.left_out.values().next().cloned();
        if let Some(why) = held.filter(|_| active.touched.is_empty()) {
            return self.stop_rollout(why, context);
        }
        let wave = WaveFinished(active.describe_wave(None));
        let done = active.wave + 1;
        let last = done >= active.plan.waves.len();
        let soaks = active.plan.limits.soak_ms > 0;
        self = self.say(scope, wave);
        match (last, soaks) {
            (false, _) => {
                let wave = u32::try_from(done).unwrap_or(u32::MAX);
                self.arrive(Point::After(wave), context)
            }
            (true, true) => self.soak(context),
            (true, false) => self.arrive(Point::End, context),
        }
    }

    fn verified(mut self, context: &Context) -> Self {
        let Some(active) = &self.state.active else {
            return self;
        };
        let (requested, release) = (active.requested.clone(), active.release.clone());
        let failed = active.broken.clone();
        let scope = unit_scope(context, &requested);
        let live = self.state.verified.first();
        let before = live.map(|before| before.version().to_owned());
        let service = Service {
            run: requested.run,
            module: requested.module.clone(),
            environment: requested.environment.clone(),
            version: release.version().to_owned(),
            packaged: release.packaged.clone(),
            before: before.clone(),
        };
        let said: Option<Body> = match (&requested.aim, before) {
            // It was live again before the person's run began.
            (Aim::Back { .. }, Some(before)) if before == service.version => None,
            (Aim::Back { .. }, _) => Some(ServiceRolledback(service).into()),
            (Aim::Release(_), None) => Some(ServiceDeployed(service).into()),
            (Aim::Release(_), Some(_)) => Some(ServiceUpgraded(service).into()),
        };
        self = self.owe_others(context);
        self.state.is_verified(&requested.aim, &release);
        let outcome = RolloutOutcome::Verified;
        let ended = Finished {
            failed: super::unit::named(&failed),
            ..ended(&requested, outcome, Some(&release), None)
        };
        if let Some(said) = said {
            self = self.say(scope, said);
        }
        self.owe(&failed, context)
            .finish(ended, context)
            .next(context)
    }
}

trait Soaks: Sized {
    fn pass_over(self, context: &Context) -> Self;
    fn soak(self, context: &Context) -> Self;
    fn ask_the_line_again(self, context: &Context) -> Self;
}

impl Soaks for Making {
    /// Ends a wave in which there is nothing left to do but for bases that are held.
    fn pass_over(self, context: &Context) -> Self {
        let over = self.state.active.as_ref().is_some_and(|active| {
            active.stage == Stage::Wave
                && !active.left_out.is_empty()
                && !active.is_busy()
                && active.waiting().next().is_none()
        });
        if over { self.advance(context) } else { self }
    }

    /// Watches every base that is well, all together.
    fn soak(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        let Some(active) = &mut unit.active else {
            return self;
        };
        let failed: BTreeSet<&str> = active
            .broken
            .iter()
            .filter_map(|stop| stop.base.as_deref())
            .chain(active.left_out.keys().map(String::as_str))
            .collect();
        let bases: Vec<String> = active
            .plan
            .bases()
            .filter(|base| !failed.contains(base))
            .map(str::to_owned)
            .collect();
        active.stage = Stage::Soak;
        active.tasks = ByBase::default();
        let soak = active.plan.limits.soak_ms;
        let mut watches = Vec::new();
        for base in bases {
            let task = TaskId::of(&active.id, &base);
            let observation = derive("observation", &[&task.to_string(), "soak"]);
            let revision = unit.care.get(&base).map_or(0, |care| care.revision);
            let watched = Task {
                task,
                phase: Phase::Observing,
                revision,
                observation,
            };
            active.tasks.insert(base.clone(), watched);
            watches.extend(active.watch(&base, observation, soak));
        }
        active.deadline = context.now + wave_limit(context, active) + delta(soak);
        let scope = unit_scope(context, &active.requested);
        let making = watches
            .into_iter()
            .fold(self, |making, watch| making.say(scope.clone(), watch));
        making.advance(context)
    }

    fn ask_the_line_again(self, context: &Context) -> Self {
        match self.state.line.asked {
            Some(_) => self.ask_the_line(context),
            None => self,
        }
    }
}

impl Unit {
    /// Leaves out the bases of the wave that have not begun and are held.
    fn leave_out_held(&mut self) {
        let Some(active) = &self.active else {
            return;
        };
        let forward = active.plan.direction == Direction::Forward;
        let waiting = active.waiting();
        let held: Vec<(String, Stop)> = waiting
            .filter(|step| forward || self.is_held(&step.base))
            .filter_map(|step| Some((step.base.clone(), self.why_held(&step.base)?)))
            .collect();
        let Some(active) = &mut self.active else {
            return;
        };
        for (base, why) in held {
            // On the way back it is one that could not be brought back.
            if active.plan.direction == Direction::Back {
                active.broken.push(why.clone());
            }
            active.left_out.insert(base, why);
        }
    }

    /// The steps of the wave that may begin now. A base that is out of service already takes nothing away
    /// from its zone; on the way back, by hand too, and in a repair nothing waits for bases that are lost.
    fn admissible(&self, active: &Active) -> Vec<Step> {
        let waiting = active.waiting().filter(|step| !self.is_away(&step.base));
        let mut waiting = waiting.cloned().peekable();
        // Most looks find all of a wave begun, and who else is out is not for nothing in a large fleet.
        if waiting.peek().is_none() {
            return Vec::new();
        }
        let by_hand = matches!(active.requested.aim, Aim::Back { .. });
        if active.plan.direction != Direction::Forward || by_hand {
            return waiting.collect();
        }
        let is_out = |base: &str| {
            let busy = active.tasks.get(base);
            let busy = busy.is_some_and(|task| task.phase != Phase::Verified);
            busy || active.has_failed(base) || self.is_out(base)
        };
        let mut out: BTreeMap<&str, u32> = BTreeMap::new();
        for step in active.plan.all().filter(|step| is_out(&step.base)) {
            *out.entry(&step.zone).or_default() += 1;
        }
        let mut admitted = Vec::new();
        for step in waiting {
            let Some(zone) = active.plan.limits.zones.get(&step.zone) else {
                admitted.push(step);
                continue;
            };
            let now = out.get(step.zone.as_str()).copied().unwrap_or(0);
            let then = now + u32::from(!is_out(&step.base));
            let stays = zone.bases.saturating_sub(then) >= zone.min_available;
            if then <= zone.max_unavailable && stays {
                let zone = active.plan.limits.zones.get_key_value(&step.zone);
                if let Some((name, _)) = zone {
                    out.insert(name, then);
                }
                admitted.push(step);
            }
        }
        admitted
    }

    /// Why what is left of the wave cannot begin now.
    fn blocked(&self, active: &Active) -> Option<Stop> {
        let waiting: Vec<&Step> = active.waiting().collect();
        if waiting.is_empty() || !self.admissible(active).is_empty() {
            return None;
        }
        let is_out = |step: &&Step| {
            waiting.iter().any(|waits| waits.zone == step.zone)
                && (active.has_failed(&step.base) || self.is_out(&step.base))
        };
        let detail = format!(
            "{} could not be changed by {}, because {} of the same zone are out of service",
            named(waiting.iter().copied()),
            active.deadline,
            named(active.plan.all().filter(is_out))
        );
        Some(Stop::new(Reason::TooFewInService, detail))
    }

    fn is_verified(&mut self, aim: &Aim, release: &Release) {
        self.passed_over = PassedOver::default();
        self.rejected.retain(|version| {
            let mut versions = release.pools.values();
            !versions.any(|slimmed| slimmed.version == *version)
        });
        self.banned
            .retain(|banned| banned.packaged != release.packaged);
        let verified = &mut self.verified;
        if let Aim::Back { .. } = aim {
            // Whoever went back by hand has judged what came after: it is no place to go back to.
            let keep = verified
                .iter()
                .position(|earlier| earlier == release)
                .unwrap_or(0);
            verified.drain(..keep);
        } else {
            verified.retain(|earlier| earlier.packaged != release.packaged);
            verified.insert(0, release.clone());
            verified.truncate(VERIFIED_MAX);
        }
    }
}

impl Active {
    fn goes_back(&self) -> bool {
        self.plan.direction != Direction::Forward
    }

    /// Whether it failed there, and that was put up with.
    pub(super) fn has_failed(&self, base: &str) -> bool {
        self.broken
            .iter()
            .any(|stop| stop.base.as_deref() == Some(base))
    }

    /// The steps of the wave that have not begun.
    fn waiting(&self) -> impl Iterator<Item = &Step> {
        let wave = match self.stage {
            Stage::Wave => self.plan.waves.get(self.wave),
            Stage::Soak | Stage::Halt(_) => None,
        };
        wave.into_iter().flatten().filter(|step| {
            !self.tasks.contains_key(&step.base) && !self.left_out.contains_key(&step.base)
        })
    }

    /// What the verifier shall look at on a base.
    fn watch(&self, base: &str, observation: Uuid, soak_ms: u64) -> Option<verify::Requested> {
        let task = self.tasks.get(base)?;
        let step = self.plan.steps().find(|step| step.base == base)?;
        let wanted = self.plan.want(step);
        Some(verify::Requested {
            observation,
            task: task.task,
            plan: self.id.clone(),
            run: self.requested.run,
            module: self.requested.module.clone(),
            environment: self.requested.environment.clone(),
            base: base.to_owned(),
            biz: self.release.biz.name.clone(),
            probe: wanted.and_then(|_| self.plan.judge.probe.clone()),
            soak_ms: if wanted.is_some() { soak_ms } else { 0 },
            version: wanted.map(|want| want.version.clone()),
            revision: task.revision,
        })
    }
}

/// Bases by their names, so many as a person reads.
fn named<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    let names: Vec<&str> = steps.map(|step| step.base.as_str()).collect();
    match names.len().saturating_sub(NAMED_MAX) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..NAMED_MAX].join(", ")),
    }
}

/// Milliseconds as they stand in a plan.
pub(super) fn delta(millis: u64) -> TimeDelta {
    i64::try_from(millis)
        .ok()
        .and_then(TimeDelta::try_milliseconds)
        .unwrap_or(TimeDelta::MAX)
}

/// When a wave that begins now has ended, with the time for bases that are being restarted.
fn wave_ends(context: &Context, active: &Active, away: Option<Timestamp>) -> Timestamp {
    away.unwrap_or_default().max(context.now) + wave_limit(context, active)
}

/// By when a wave has ended whatever happens: the sum of the limits of all that it does on one base, as often
/// as the installer has its hands full.
fn wave_limit(context: &Context, active: &Active) -> TimeDelta {
    let installer = &context.config.installer;
    let judge = &active.plan.judge;
    let probe = judge.probe.as_ref().map_or(0, |probe| probe.deadline_ms);
    let (module, environment) = (&active.requested.module, &active.requested.environment);
    let changing = (installer.install_timeout + installer.uninstall_timeout) * 2
        + context.config.drain_time(module, environment);
    let wave = active.plan.waves.get(active.wave).map_or(1, Vec::len);
    let turns = wave.div_ceil((installer.parallel as usize).max(1)).max(1);
    let turns = i32::try_from(turns).unwrap_or(i32::MAX);
    let changing = TimeDelta::from_std(changing).unwrap_or(TimeDelta::hours(1));
    changing * turns + delta(judge.soak_ms.saturating_add(probe)) + SLACK
}
