//! A module in an environment: the unit of consistency.
//!
//! In: requested rollouts, what became of tasks, observations and gates, commands, time. Out: plans,
//! waves, tasks, observations, gates, and how each rollout ended. Here is the state, and to whom an input
//! goes: who comes next is decided in `queue.rs`, what a rollout waits for in `halt.rs`, waves in
//! `rollout.rs`, the way back in `back.rs`, repairs of single bases in `repair.rs`.

use std::{collections::BTreeMap, sync::Arc};

use ferry_events::{
    Body, CommandId, Digest, Reason, RunId, Scope, Stop, TaskId, Timestamp,
    artifact::Release,
    rollout::{Aim, Direction, Finished, Plan, Requested, RolloutOutcome, Step, Wave},
};
use ferry_runtime::{Context, Decision, Fault, Input, Key};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Nothing,
    acts::Acts,
    by_base::ByBase,
    care::{Care, shortened},
    halt::{Halt, Halts},
    line::Heard,
    member::{Members, Part},
    quarantine::Quarantines,
    queue::{PassedOver, Queue},
    repair::Repairs,
    rollout::Rollouts,
    room::Rooms,
    scope,
    spare::{Away, Spares},
    wanted,
};

/// Runs remembered as settled, so that a repeat of their request says nothing again.
const SETTLED_MAX: usize = 32;
/// Versions remembered as decided against: more than fail in a row before somebody looks.
const REJECTED_MAX: usize = 32;
/// Commands remembered, so that a repeat of one says nothing again.
const COMMANDS_MAX: usize = 32;

/// A module in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// Counts the plans.
    pub(super) generation: u64,
    /// What was verified here, the newest first: the first is what is live at rest.
    pub(super) verified: Vec<Release>,
    /// The rollout in hand.
    pub(super) active: Option<Active>,
    /// The rollout that is planned and has not begun: it waits before its first wave. Bases may be repaired
    /// meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gated: Option<Active>,
    /// The rollout that waits for the one in hand.
    pub(super) queued: Option<Requested>,
    /// The newest one, where the one that waits may not be superseded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) later: Option<Requested>,
    /// How many runs were superseded since one went live.
    #[serde(default)]
    pub(super) passed_over: PassedOver,
    /// The highest order seen, by branch.
    pub(super) newest: BTreeMap<String, u64>,
    /// The last runs that ended here.
    pub(super) settled: Vec<RunId>,
    /// The module; empty before anything was asked of it.
    #[serde(default)]
    pub(super) module: String,
    /// The environment.
    #[serde(default)]
    pub(super) environment: String,
    /// What is remembered of bases between plans.
    #[serde(default, skip_serializing_if = "ByBase::is_empty")]
    pub(super) care: ByBase<Care>,
    /// The last release that failed: where none was ever verified, what bases may still carry of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<Release>,
    /// Versions of releases that failed, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rejected: Vec<String>,
    /// Artifacts that failed here by their own fault, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) banned: Vec<Banned>,
    /// What is paused.
    #[serde(default)]
    pub(super) line: Heard,
    /// Bases whose restart was asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) away: BTreeMap<String, Away>,
    /// What the last installs took of metaspace, by pool, in KiB, the newest last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) growths: BTreeMap<String, Vec<u64>>,
    /// The last turn of a restart that is over: word of an older one is late.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) turns_over: u64,
    /// The last commands that were taken or refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) commands: Vec<CommandId>,
}

/// An artifact that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Banned {
    /// The artifact.
    pub packaged: Digest,
    /// The run in which it did.
    pub run: RunId,
    /// Why.
    pub reason: Reason,
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
    /// The observation that is waited for.
    #[serde(default)]
    pub observation: Uuid,
}

/// How far a rollout is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A wave is in hand.
    #[default]
    Wave,
    /// All waves are done, and every base is watched.
    Soak,
    /// It waits.
    Halt(Halt),
}

/// A rollout in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Active {
    /// What asked for it.
    pub requested: Requested,
    /// What it brings.
    pub release: Release,
    /// The plan in force. It never changes, and is large.
    pub plan: Arc<Plan>,
    /// Its name.
    pub id: Digest,
    /// How far it is.
    #[serde(default)]
    pub stage: Stage,
    /// The wave in hand, from 0.
    pub wave: usize,
    /// The tasks of that wave that were begun, by base; of the soak: all.
    pub tasks: ByBase<Task>,
    /// Bases for which a change was requested, with their pools: what a rollback must bring back.
    pub touched: ByBase<String>,
    /// Why the way forward ended.
    pub failure: Option<Stop>,
    /// Bases that failed and were put up with; on the way back and in a repair: those that could not be
    /// brought back.
    pub broken: Vec<Stop>,
    /// By when the wave or the soak must have ended.
    pub deadline: Timestamp,
    /// Bases of the plan that were held before their turn came, and why: they are left alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, Stop>,
    /// Why a person let it go on outside of windows and in freezes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overridden: Option<String>,
    /// Its part in a release of several modules.
    #[serde(default, skip_serializing_if = "Part::is_none")]
    pub part: Part,
}

/// A decision in the making.
pub(super) type Making = Decision<Unit>;

impl Unit {
    /// When it must look again: a wave's deadline, the end of a wait, or when the next repair may begin.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let in_hand = match &self.active {
            Some(active) => active.deadline(),
            // Nothing is repaired while one that is queued waits for word of what is paused.
            None if self.queued.is_some() && self.gated.is_none() => None,
            None => self.repairs_due().map(|(_, next)| next).min(),
        };
        let gated = self.gated.as_ref().and_then(Active::deadline);
        let told = self.line.asked.map(|asked| asked + super::queue::ASK_AGAIN);
        let others = gated.into_iter().chain(told).chain(self.turns_past());
        in_hand.into_iter().chain(others).min()
    }

    /// When the next repair of each base may begin, where one may.
    pub(super) fn repairs_due(&self) -> impl Iterator<Item = (&String, Timestamp)> {
        let care = self.care.iter();
        care.filter(|(base, _)| !self.is_held(base) && !self.is_away(base))
            .filter_map(|(base, care)| Some((base, care.next()?)))
    }

    /// Whether a person has it left alone.
    pub(super) fn is_held(&self, base: &str) -> bool {
        self.line.hold(base).is_some_and(|hold| !hold.quarantined)
    }

    /// Why bases of the module there are left alone by rollouts, by name.
    pub(super) fn left_alone(&self, context: &Context) -> BTreeMap<String, Stop> {
        let bases = context.config.bases_of(&self.module, &self.environment);
        bases
            .into_iter()
            .filter_map(|(_, base)| Some((base.name.clone(), self.why_held(&base.name)?)))
            .collect()
    }

    /// Whether a base is left alone by rollouts: a person holds it, or it could not be brought back.
    pub(super) fn is_left_alone(&self, base: &str) -> bool {
        let care = self.care.get(base);
        care.is_some_and(|care| care.quarantined.is_some()) || self.line.hold(base).is_some()
    }

    /// Why a base is left alone by rollouts, where it is.
    pub(super) fn why_held(&self, base: &str) -> Option<Stop> {
        let care = self.care.get(base);
        let own = care.is_some_and(|care| care.quarantined.is_some());
        let stop = match self.line.hold(base) {
            Some(hold) if !hold.quarantined => Stop::new(Reason::BaseHeld, hold.to_string()),
            Some(hold) => Stop::new(Reason::BaseQuarantined, hold.to_string()),
            None if own => Stop::new(
                Reason::BaseQuarantined,
                format!("{} could not be brought back on {base}", self.module),
            ),
            None => return None,
        };
        Some(shortened(&stop).on(base))
    }

    /// Learns whose unit it is.
    pub(super) fn is_of(&mut self, module: &str, environment: &str) {
        if self.module.is_empty() {
            module.clone_into(&mut self.module);
            environment.clone_into(&mut self.environment);
        }
    }

    /// Whether a rollout has bases in hand; a repair is none.
    pub(super) fn is_rolling_out(&self) -> bool {
        self.active
            .as_ref()
            .is_some_and(|active| active.plan.direction != Direction::Repair)
    }

    /// Remembers that a release was decided against.
    pub(super) fn reject(&mut self, release: &Release) {
        let versions = release.pools.values().map(|slimmed| &slimmed.version);
        self.rejected
            .retain(|earlier| !versions.clone().any(|version| version == earlier));
        let mut new: Vec<String> = versions.cloned().collect();
        new.dedup();
        self.rejected.extend(new);
        keep_last(&mut self.rejected, REJECTED_MAX);
        self.failed = Some(release.clone());
    }

    /// Remembers that an artifact failed by its own fault.
    pub(super) fn ban(&mut self, release: &Release, run: RunId, reason: Reason) {
        self.banned
            .retain(|banned| banned.packaged != release.packaged);
        self.banned.push(Banned {
            packaged: release.packaged.clone(),
            run,
            reason,
        });
        keep_last(&mut self.banned, REJECTED_MAX);
    }

    /// Whether a command is new; then it is remembered.
    pub(super) fn is_new(&mut self, command: CommandId) -> bool {
        let new = !self.commands.contains(&command);
        if new {
            self.commands.push(command);
            keep_last(&mut self.commands, COMMANDS_MAX);
        }
        new
    }

    /// Remembers that a run has ended here.
    pub(super) fn settle(&mut self, run: RunId) {
        self.settled.insert(0, run);
        self.settled.truncate(SETTLED_MAX);
    }

    pub(super) fn decide(
        &self,
        key: &Key,
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
                Body::BaseJoined(seen) => making.sees_room(seen, context).joined(seen, context),
                Body::BaseChanged(seen) => making.sees_room(seen, context),
                Body::BaseLost(lost) => making.lost(lost, context),
                Body::GateJudged(judged) => making.judged(judged, context),
                Body::JointTold(told) => making.told_of_release(told, context),
                Body::RestartAsked(asked) => making.asked_to_spare(key, asked),
                Body::RestartFinished(it) => making.counts_on(it.turn.number, context),
                Body::RestartOver(it) => match it.turn {
                    Some(turn) => making.counts_on(turn, context),
                    None => making,
                },
                Body::LineTold(told) => making.told(told, context),
                Body::LineChanged(changed) => making.line_changed(changed, context),
                _ => making,
            },
            Input::Due => making.past_turns(context).overdue(context),
            Input::Command(command) => making.asked(command, context),
            Input::Outcome(nothing) | Input::Report(nothing) => match *nothing {},
            Input::GivenUp { .. } => making,
        };
        Ok(wanted::keep(self, decided.mend(context).spare(context)))
    }
}

pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Forgets the oldest of a list that has more than so many.
pub(super) fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    let surplus = list.len().saturating_sub(most);
    list.drain(..surplus);
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
        failed: Vec::new(),
    }
}

/// The bases that failed, as many as are named when a rollout ends.
pub(super) fn named(broken: &[Stop]) -> Vec<Stop> {
    broken.iter().take(Finished::FAILED_MAX).cloned().collect()
}

impl Active {
    /// A plan that has not begun.
    pub(super) fn new(requested: Requested, release: Release, plan: Plan, now: Timestamp) -> Self {
        Self {
            id: plan.id(),
            requested,
            release,
            plan: Arc::new(plan),
            stage: Stage::Wave,
            wave: 0,
            tasks: ByBase::default(),
            touched: ByBase::default(),
            failure: None,
            broken: Vec::new(),
            deadline: now,
            left_out: BTreeMap::new(),
            overridden: None,
            part: Part::default(),
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Wave | Stage::Soak => Some(self.deadline),
            Stage::Halt(halt) => halt.deadline(),
        }
    }

    /// Whether every base was changed and is only watched, or waited for.
    pub(super) fn is_at_its_end(&self) -> bool {
        match &self.stage {
            Stage::Wave => false,
            Stage::Soak => true,
            Stage::Halt(halt) => halt.point == ferry_events::gate::Point::End,
        }
    }

    /// The task that a message is about, if it is one of the plan in force and in that phase.
    pub(super) fn current(
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

    /// Whether a task is still being changed or looked at.
    pub(super) fn is_busy(&self) -> bool {
        let mut tasks = self.tasks.values();
        tasks.any(|task| matches!(task.phase, Phase::Changing | Phase::Observing))
    }

    /// A base failed. On the way forward so many are put up with as the plan says, though never all of a wave.
    pub(super) fn fail(&mut self, stop: Stop) {
        self.broken.push(shortened(&stop));
        if self.plan.direction != Direction::Forward {
            return;
        }
        let too_many = self.broken.len() > self.plan.limits.max_failures as usize;
        // Of what is side by side now: the wave, the soak. A person who goes back goes on as long as any base can.
        let tasks = match (&self.stage, &self.requested.aim) {
            (_, Aim::Back { .. }) => self.plan.bases().count() - self.left_out.len(),
            (Stage::Soak, _) => self.tasks.len(),
            _ => self.plan.waves.get(self.wave).map_or(0, |wave| {
                let left_out = |step: &&Step| self.left_out.contains_key(&step.base);
                wave.iter().filter(|step| !left_out(step)).count()
            }),
        };
        let failed = match &self.requested.aim {
            Aim::Back { .. } => self.broken.len(),
            Aim::Release(_) => {
                let tasks = self.tasks.values();
                tasks.filter(|task| task.phase == Phase::Failed).count()
            }
        };
        let none_left = tasks <= failed;
        if (too_many || none_left) && self.failure.is_none() {
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
