//! A module in an environment: the unit of consistency.
//!
//! In: requested rollouts, what became of tasks and observations, time. Out: plans, waves, tasks,
//! observations, and how each rollout ended. At most one plan is in force; its name is a fact, which
//! the installer reads before each change. How a failed rollout goes back is in `back.rs`, how bases that
//! run something else are brought back in `repair.rs`.

use std::collections::BTreeMap;

use ferry_events::{
    Body, Digest, Reason, RunId, Scope, Stop, TaskId, Timestamp,
    artifact::Release,
    body::{ServiceDeployed, ServiceRolledback, ServiceUpgraded, WaveFinished, WaveStarted},
    fact::ActivePlan,
    ids::derive,
    rollout::{Aim, Direction, Finished, Plan, Planned, Requested, RolloutOutcome, Service, Wave},
    subject, task, verify,
};
use ferry_runtime::{Context, Decision, Fault, Input};
use serde::{Deserialize, Serialize};

use super::{Nothing, back::WayBack, care::Care, plan, repair::Repairs, scope, wanted};

/// Verified releases kept for going back by hand; the jars of older ones may be collected.
const VERIFIED_MAX: usize = 10;
/// Runs remembered as settled, so that a repeat of their request says nothing again.
const SETTLED_MAX: usize = 32;
/// Versions remembered as decided against: more than fail in a row before somebody looks.
const REJECTED_MAX: usize = 32;
/// Room for what a wave waits for besides its own limits: a restart of a service, a queue on a base.
const SLACK: chrono::TimeDelta = chrono::TimeDelta::minutes(2);

/// A module in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Counts the plans.
    pub(super) generation: u64,
    /// What was verified here, the newest first: the first is what is live at rest.
    pub(super) verified: Vec<Release>,
    /// The rollout in hand.
    pub(super) active: Option<Active>,
    /// The rollout that waits for it.
    pub(super) queued: Option<Requested>,
    /// The highest order seen, by branch.
    newest: BTreeMap<String, u64>,
    /// The last runs that ended here.
    settled: Vec<RunId>,
    /// The module; empty before anything was asked of it.
    #[serde(default)]
    pub(super) module: String,
    /// The environment.
    #[serde(default)]
    pub(super) environment: String,
    /// What is remembered of bases between plans.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) care: BTreeMap<String, Care>,
    /// The last release that failed: where none was ever verified, what bases may still carry of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Release>,
    /// Versions of releases that failed, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rejected: Vec<String>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The base is being changed.
    Changing,
    /// It is being looked at.
    Observing,
    /// It is well.
    Verified,
    /// It is not.
    Failed,
}

/// One base under the plan in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The task.
    pub task: TaskId,
    /// Its phase.
    pub phase: Phase,
    /// The revision that the installer left; a verdict on another one is ignored.
    pub revision: u64,
}

/// A rollout in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// What asked for it.
    pub requested: Requested,
    /// What it brings.
    pub release: Release,
    /// The plan in force.
    pub plan: Plan,
    /// Its name.
    pub id: Digest,
    /// The wave in hand, from 0.
    pub wave: usize,
    /// The tasks of that wave, by base.
    pub tasks: BTreeMap<String, Task>,
    /// Bases for which a change was requested, with their pools: what a rollback must bring back.
    pub touched: BTreeMap<String, String>,
    /// Why the way forward ended.
    pub failure: Option<Stop>,
    /// Bases that could not be brought back.
    pub broken: Vec<Stop>,
    /// By when the wave must have ended.
    pub deadline: Timestamp,
}

/// A decision in the making.
pub(super) type Making = Decision<Unit>;

impl Unit {
    /// The wave's deadline, or when the next repair may begin.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match &self.active {
            Some(active) => Some(active.deadline),
            None => self.care.values().filter_map(Care::next).min(),
        }
    }

    /// Learns whose unit it is.
    pub(super) fn is_of(&mut self, module: &str, environment: &str) {
        if self.module.is_empty() {
            module.clone_into(&mut self.module);
            environment.clone_into(&mut self.environment);
        }
    }

    /// Remembers that a release was decided against.
    pub(super) fn reject(&mut self, release: &Release) {
        let versions = release.pools.values().map(|slimmed| &slimmed.version);
        self.rejected
            .retain(|earlier| !versions.clone().any(|version| version == earlier));
        let mut new: Vec<String> = versions.cloned().collect();
        new.dedup();
        self.rejected.extend(new);
        let surplus = self.rejected.len().saturating_sub(REJECTED_MAX);
        self.rejected.drain(..surplus);
        self.failed = Some(release.clone());
    }

    pub(super) fn decide(
        &self,
        input: &Input<Nothing>,
        context: &Context,
    ) -> Result<Making, Fault> {
        let making = Decision::to(self.clone());
        let decided = match input {
            Input::Event(event) => match &event.body {
                Body::RolloutRequested(requested) => making.requested(requested, context),
                Body::TaskFinished(finished) => making.task_finished(finished, context),
                Body::ObservationFinished(finished) => making.observed(finished, context),
                Body::ModuleDrifted(drifted) => making.drifted(drifted, context),
                Body::BaseJoined(seen) => making.joined(seen, context),
                Body::BaseLost(lost) => making.lost(lost, context),
                _ => making,
            },
            Input::Due => making.overdue(context),
            Input::Outcome(nothing) | Input::Report(nothing) => match *nothing {},
            Input::Command(_) | Input::GivenUp { .. } => making,
        };
        Ok(wanted::keep(self, decided))
    }
}

/// Steps of a decision. Each takes what was decided so far and adds to it.
pub(super) trait Steps: Sized {
    fn requested(self, requested: &Requested, context: &Context) -> Self;
    fn begin(self, requested: Requested, context: &Context) -> Self;
    fn start_wave(self, context: &Context) -> Self;
    fn task_finished(self, finished: &task::Finished, context: &Context) -> Self;
    fn observed(self, finished: &verify::Finished, context: &Context) -> Self;
    fn overdue(self, context: &Context) -> Self;
    fn advance(self, context: &Context) -> Self;
    fn finish(self, finished: Finished, context: &Context) -> Self;
    fn next(self, context: &Context) -> Self;
}

pub(super) fn unit_scope(context: &Context, requested: &Requested) -> Scope {
    scope(&context.config, &requested.module).within(&requested.environment)
}

pub(super) fn ended(
    requested: &Requested,
    outcome: RolloutOutcome,
    live: Option<&Release>,
    stop: Option<Stop>,
) -> Finished {
    Finished {
        run: requested.run,
        module: requested.module.clone(),
        environment: requested.environment.clone(),
        outcome,
        live: live.map(|release| release.version().to_owned()),
        stop,
    }
}

impl Steps for Making {
    fn requested(mut self, requested: &Requested, context: &Context) -> Self {
        let unit = &mut self.state;
        unit.is_of(&requested.module, &requested.environment);
        let run = requested.run;
        let known = unit.settled.contains(&run)
            || unit
                .active
                .as_ref()
                .is_some_and(|active| active.requested.run == run)
            || unit.queued.as_ref().is_some_and(|queued| queued.run == run);
        if known {
            return self;
        }
        if let Aim::Release(_) = requested.aim {
            let newest = unit.newest.entry(requested.branch.clone()).or_default();
            if requested.order < *newest {
                let why = format!("a newer commit of {} came first", requested.branch);
                let live = unit.verified.first().cloned();
                return self.finish(
                    ended(
                        requested,
                        RolloutOutcome::Superseded,
                        live.as_ref(),
                        Some(Stop::new(Reason::Superseded, why)),
                    ),
                    context,
                );
            }
            *newest = requested.order;
        }
        let waits = unit
            .active
            .as_ref()
            .is_some_and(|active| active.plan.direction != Direction::Repair);
        if !waits {
            return self.begin(requested.clone(), context).next(context);
        }
        match unit.queued.replace(requested.clone()) {
            None => self,
            Some(older) => {
                let live = unit.verified.first().cloned();
                let why = format!("run {} took its place", requested.run.short());
                self.finish(
                    ended(
                        &older,
                        RolloutOutcome::Superseded,
                        live.as_ref(),
                        Some(Stop::new(Reason::Superseded, why)),
                    ),
                    context,
                )
            }
        }
    }

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
            Some(release) => plan::forward(
                requested.run,
                &release,
                &requested.environment,
                unit.generation + 1,
                &context.config,
                &context.revision,
            )
            .map(|plan| (release, plan)),
        };
        let (release, plan) = match planned {
            Ok(planned) => planned,
            Err(stop) => {
                return self.finish(
                    ended(
                        &requested,
                        RolloutOutcome::Stopped,
                        live.as_ref(),
                        Some(stop),
                    ),
                    context,
                );
            }
        };
        // A repair makes way: its bases are in the new plan too, and its tasks end at the fence.
        if unit.active.is_some() {
            self = self.give_way(&requested, context);
        }
        let unit = &mut self.state;
        unit.generation = plan.generation;
        unit.care
            .retain(|base, _| plan.bases().any(|planned| planned == base));
        unit.care
            .values_mut()
            .for_each(|care| care.reset(context.now));
        unit.active = Some(Active::new(requested, release, plan, context.now));
        self.start_wave(context)
    }

    fn start_wave(mut self, context: &Context) -> Self {
        let restore = self.state.verified.first().cloned();
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let (requested, plan) = (active.requested.clone(), active.plan.clone());
        let forward = plan.direction == Direction::Forward;
        let scope = unit_scope(context, &requested);
        let mut said = Vec::new();
        let mut facts = Vec::new();
        if active.wave == 0 {
            let version = if forward {
                Some(active.release.version().to_owned())
            } else {
                restore.as_ref().map(|r| r.version().to_owned())
            };
            said.push(Body::from(Planned {
                id: active.id.clone(),
                plan: plan.clone(),
                version,
            }));
            let in_force = ActivePlan {
                plan: Some(active.id.clone()),
                run: Some(requested.run),
            };
            facts.push((
                subject::plan_fact(&requested.module, &requested.environment),
                in_force,
            ));
        }
        said.push(WaveStarted(active.describe_wave(None)).into());
        active.tasks.clear();
        for step in &plan.waves[active.wave] {
            let task = TaskId::of(&active.id, &step.base);
            active.touched.insert(step.base.clone(), step.pool.clone());
            active.tasks.insert(
                step.base.clone(),
                Task {
                    task,
                    phase: Phase::Changing,
                    revision: 0,
                },
            );
            let restore = restore
                .as_ref()
                .filter(|_| forward)
                .and_then(|release| plan::want(release, &step.pool));
            said.push(Body::from(task::Requested {
                task,
                plan: active.id.clone(),
                run: requested.run,
                module: requested.module.clone(),
                environment: requested.environment.clone(),
                base: step.base.clone(),
                biz: active.release.biz.name.clone(),
                want: step.want.clone(),
                restore,
            }));
        }
        active.deadline = context.now + wave_limit(context, &requested.module);
        for body in said {
            self = self.say(scope.clone(), body);
        }
        for (subject, value) in facts {
            self = self.fact(subject, &value);
        }
        self
    }

    fn task_finished(mut self, finished: &task::Finished, context: &Context) -> Self {
        if self.state.known_as().is_none() {
            return self;
        }
        let care = self.state.care.entry(finished.base.clone()).or_default();
        care.revision = care.revision.max(finished.revision);
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let forward = active.plan.direction == Direction::Forward;
        let Some(task) = active.current(
            &finished.plan,
            &finished.base,
            finished.task,
            Phase::Changing,
        ) else {
            return self;
        };
        task.revision = finished.revision;
        if let Some(stop) = &finished.stop {
            task.phase = Phase::Failed;
            let stop = Stop {
                base: Some(finished.base.clone()),
                ..stop.clone()
            };
            active.fail(stop);
            return self.advance(context);
        }
        task.phase = Phase::Observing;
        // It was looked at and is right; what was seen of it before is past.
        care.owed = None;
        let wanted = active.plan.waves[active.wave]
            .iter()
            .find(|step| step.base == finished.base)
            .and_then(|step| step.want.clone());
        let module = context.config.module(&finished.module);
        let probe = module
            .and_then(|module| module.probe.as_ref())
            .map(|probe| verify::Probe {
                path: probe.path.clone(),
                status: probe.status,
                contains: probe.contains.clone(),
                timeout_ms: millis(probe.timeout),
                deadline_ms: millis(probe.deadline),
                interval_ms: millis(probe.interval),
            });
        // What was verified before has soaked already: going back is not made to wait for it.
        let soak = module
            .map(|module| module.soak)
            .filter(|_| forward)
            .unwrap_or_default();
        let body = verify::Requested {
            observation: derive("observation", &[&finished.task.to_string()]),
            task: finished.task,
            plan: finished.plan.clone(),
            run: finished.run,
            module: finished.module.clone(),
            environment: finished.environment.clone(),
            base: finished.base.clone(),
            biz: active.release.biz.name.clone(),
            probe: probe.filter(|_| wanted.is_some()),
            soak_ms: if wanted.is_some() { millis(soak) } else { 0 },
            version: wanted.map(|want| want.version),
            revision: finished.revision,
        };
        let scope = unit_scope(context, &active.requested);
        self.say(scope, body)
    }

    fn observed(mut self, finished: &verify::Finished, context: &Context) -> Self {
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let Some(task) = active.current(
            &finished.plan,
            &finished.base,
            finished.task,
            Phase::Observing,
        ) else {
            return self;
        };
        if task.revision != finished.revision {
            return self;
        }
        match &finished.stop {
            None => task.phase = Phase::Verified,
            Some(stop) => {
                task.phase = Phase::Failed;
                let stop = Stop {
                    base: Some(finished.base.clone()),
                    ..stop.clone()
                };
                active.fail(stop);
            }
        }
        self.advance(context)
    }

    fn overdue(mut self, context: &Context) -> Self {
        let Some(active) = &mut self.state.active else {
            return self.reconcile(context);
        };
        if context.now < active.deadline {
            return self;
        }
        let mut late = Vec::new();
        for (base, task) in &mut active.tasks {
            if matches!(task.phase, Phase::Changing | Phase::Observing) {
                let what = if task.phase == Phase::Changing {
                    "changed"
                } else {
                    "observed"
                };
                late.push(
                    Stop::new(
                        Reason::Overdue,
                        format!("it was not {what} by {}", active.deadline),
                    )
                    .on(base),
                );
                task.phase = Phase::Failed;
            }
        }
        for stop in late {
            active.fail(stop);
        }
        self.advance(context)
    }

    /// Ends the wave if it has ended, and goes on from there.
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
            let wave = WaveFinished(active.describe_wave(Some(stop)));
            return self.say(scope, wave).turn_back(context);
        }
        if active
            .tasks
            .values()
            .any(|task| task.phase != Phase::Verified)
        {
            return self;
        }
        let wave = WaveFinished(active.describe_wave(None));
        self = self.say(scope.clone(), wave);
        let Some(active) = &mut self.state.active else {
            return self;
        };
        if active.wave + 1 < active.plan.waves.len() {
            active.wave += 1;
            return self.start_wave(context);
        }
        let (requested, release) = (active.requested.clone(), active.release.clone());
        let before = self
            .state
            .verified
            .first()
            .map(|before| before.version().to_owned());
        let service = Service {
            run: requested.run,
            module: requested.module.clone(),
            environment: requested.environment.clone(),
            version: release.version().to_owned(),
            packaged: release.packaged.clone(),
            before: before.clone(),
        };
        let said: Body = match (&requested.aim, before) {
            (Aim::Back { .. }, _) => ServiceRolledback(service).into(),
            (Aim::Release(_), None) => ServiceDeployed(service).into(),
            (Aim::Release(_), Some(_)) => ServiceUpgraded(service).into(),
        };
        self.state.rejected.retain(|version| {
            !release
                .pools
                .values()
                .any(|slimmed| slimmed.version == *version)
        });
        let verified = &mut self.state.verified;
        if let Aim::Back { .. } = requested.aim {
            // Whoever went back by hand has judged what came after: it is no place to go back to.
            let keep = verified
                .iter()
                .position(|earlier| *earlier == release)
                .unwrap_or(0);
            verified.drain(..keep);
        } else {
            verified.retain(|earlier| earlier.packaged != release.packaged);
            verified.insert(0, release.clone());
            verified.truncate(VERIFIED_MAX);
        }
        let ended = ended(&requested, RolloutOutcome::Verified, Some(&release), None);
        self.say(scope, said).finish(ended, context).next(context)
    }

    fn finish(mut self, finished: Finished, context: &Context) -> Self {
        let unit = &mut self.state;
        unit.settled.insert(0, finished.run);
        unit.settled.truncate(SETTLED_MAX);
        let scope = scope(&context.config, &finished.module).within(&finished.environment);
        let active = unit
            .active
            .take_if(|active| active.requested.run == finished.run);
        if active.is_some() {
            let subject = subject::plan_fact(&finished.module, &finished.environment);
            self = self.fact(
                subject,
                &ActivePlan {
                    plan: None,
                    run: None,
                },
            );
        }
        self.say(scope, finished)
    }

    /// Begins what waits, when nothing is in hand; where nothing waits, the repairs that are due.
    fn next(mut self, context: &Context) -> Self {
        while self.state.active.is_none() {
            let Some(queued) = self.state.queued.take() else {
                break;
            };
            self = self.begin(queued, context);
        }
        self.reconcile(context)
    }
}

impl Active {
    /// A plan that comes into force.
    pub(super) fn new(requested: Requested, release: Release, plan: Plan, now: Timestamp) -> Self {
        Self {
            id: plan.id(),
            requested,
            release,
            plan,
            wave: 0,
            tasks: BTreeMap::new(),
            touched: BTreeMap::new(),
            failure: None,
            broken: Vec::new(),
            deadline: now,
        }
    }

    /// The task that a message is about, if it is the one in force and in that phase.
    fn current(
        &mut self,
        plan: &Digest,
        base: &str,
        task: TaskId,
        phase: Phase,
    ) -> Option<&mut Task> {
        if *plan != self.id {
            return None;
        }
        self.tasks
            .get_mut(base)
            .filter(|known| known.task == task && known.phase == phase)
    }

    fn fail(&mut self, stop: Stop) {
        if self.plan.direction != Direction::Forward {
            self.broken.push(stop);
        } else if self.failure.is_none() {
            self.failure = Some(stop);
        }
    }

    pub(super) fn describe_wave(&self, stop: Option<Stop>) -> Wave {
        Wave {
            run: self.requested.run,
            plan: self.id.clone(),
            module: self.requested.module.clone(),
            environment: self.requested.environment.clone(),
            direction: self.plan.direction,
            number: self.wave as u32 + 1,
            of: self.plan.waves.len() as u32,
            bases: self.plan.waves[self.wave]
                .iter()
                .map(|step| step.base.clone())
                .collect(),
            stop,
        }
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// By when a wave has ended whatever happens: the sum of the limits of all that it does on one base.
fn wave_limit(context: &Context, module: &str) -> chrono::TimeDelta {
    let installer = &context.config.installer;
    let changing = (installer.install_timeout + installer.uninstall_timeout) * 2;
    let watching = context
        .config
        .module(module)
        .map_or(std::time::Duration::ZERO, |module| {
            module.soak
                + module
                    .probe
                    .as_ref()
                    .map_or(std::time::Duration::ZERO, |probe| probe.deadline)
        });
    chrono::TimeDelta::from_std(changing + watching).unwrap_or(chrono::TimeDelta::hours(1)) + SLACK
}
