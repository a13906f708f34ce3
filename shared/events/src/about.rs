//! What an event is about, whatever its kind: for those who trace or list events without reading each.
//!
//! In: a body. Out: what it began with, its base, task, version and reason, where it has one.

use uuid::Uuid;

use crate::{Body, CommandId, PushId, RunId, Stop};

impl Body {
    /// The push that it is about, where it says so.
    pub fn push(&self) -> Option<PushId> {
        match self {
            Body::PushReceived(it) => Some(it.push),
            Body::PushResolved(it) => Some(it.push),
            Body::ChangeMerged(it) => it.push,
            Body::RunQueued(it) => it.push,
            Body::WorkRetried(it) => it.push,
            _ => None,
        }
    }

    /// The command that it came of, where it says so.
    pub fn command(&self) -> Option<CommandId> {
        match self {
            Body::ChangeMerged(it) => it.command,
            Body::RunQueued(it) => it.command,
            Body::LineChanged(it) => it.command,
            Body::CommandSettled(it) => Some(it.command),
            Body::WorkRetried(it) => it.command,
            Body::LetterReplayed(it) => Some(it.command),
            Body::LetterDropped(it) => Some(it.command),
            _ => None,
        }
    }

    /// What its trace may have begun with, the likeliest first. An act of a person belongs to its command, although
    /// it may be about a run of another trace.
    pub fn origins(&self) -> impl Iterator<Item = Uuid> {
        let run = self.run().map(|RunId(id)| id);
        let push = self.push().map(|PushId(id)| id);
        let command = self.command().map(|CommandId(id)| id);
        let acts = matches!(
            self,
            Body::LineChanged(_)
                | Body::CommandSettled(_)
                | Body::LetterReplayed(_)
                | Body::LetterDropped(_)
        );
        let order = if acts {
            [command, run, push]
        } else {
            [run, push, command]
        };
        order.into_iter().flatten()
    }

    /// Why something stopped, failed or was refused, where it says so.
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            Body::PushResolved(it) => it.stop.as_ref(),
            Body::BuildFinished(it) => it.stop.as_ref(),
            Body::ArtifactRefused(it) => Some(&it.stop),
            Body::RunFinished(it) => it.stop.as_ref(),
            Body::RolloutFinished(it) => it.stop.as_ref(),
            Body::WaveFinished(it) => it.stop.as_ref(),
            Body::GateFinished(it) => it.stop.as_ref(),
            Body::TaskFinished(it) => it.stop.as_ref(),
            Body::ObservationFinished(it) => it.stop.as_ref(),
            Body::BaseQuarantined(it) => Some(&it.stop),
            Body::RestartGiven(it) => it.stop.as_ref(),
            Body::RestartFinished(it) => it.stop.as_ref(),
            Body::RestartOver(it) => it.stop.as_ref(),
            Body::ModuleGivenUp(it) => Some(&it.stop),
            Body::CommandSettled(it) => it.stop.as_ref(),
            Body::WorkRetried(it) => Some(&it.stop),
            _ => None,
        }
    }

    /// The base that it is about, where it is about one.
    pub fn base(&self) -> Option<&str> {
        Some(match self {
            Body::TaskRequested(it) => &it.base,
            Body::TaskStarted(it) => &it.base,
            Body::TaskFinished(it) => &it.base,
            Body::ObservationRequested(it) => &it.base,
            Body::ModuleAnswering(it) => &it.base,
            Body::ObservationFinished(it) => &it.base,
            Body::BaseJoined(it) => &it.base,
            Body::BaseChanged(it) => &it.base,
            Body::BaseLost(it) => &it.base,
            Body::ModuleDrifted(it) => &it.base,
            Body::BaseQuarantined(it) => &it.base,
            Body::BaseMended(it) => &it.base,
            Body::RestartListed(it) => &it.base,
            Body::RestartAsked(it) => &it.turn.base,
            Body::RestartGiven(it) => &it.turn.base,
            Body::RestartRequested(it) => &it.turn.base,
            Body::RestartFinished(it) => &it.turn.base,
            Body::RestartOver(it) => &it.base,
            Body::ModuleGivenUp(it) => &it.base,
            _ => return None,
        })
    }

    /// The pool that it is about, where it is about one.
    pub fn pool(&self) -> Option<&str> {
        Some(match self {
            Body::ArtifactRefused(it) => it.pool.as_deref()?,
            Body::BaseJoined(it) => &it.pool,
            Body::BaseChanged(it) => &it.pool,
            Body::BaseLost(it) => &it.pool,
            Body::RestartListed(it) => &it.pool,
            Body::RestartAsked(it) => &it.turn.pool,
            Body::RestartGiven(it) => &it.turn.pool,
            Body::RestartRequested(it) => &it.turn.pool,
            Body::RestartFinished(it) => &it.turn.pool,
            Body::RestartOver(it) => &it.pool,
            _ => return None,
        })
    }

    /// CDEvents' taskRun that it is about: a build, a task, an observation or a gate.
    pub fn task_run(&self) -> Option<Uuid> {
        Some(match self {
            Body::BuildQueued(it) => it.build,
            Body::BuildStarted(it) => it.build,
            Body::BuildFinished(it) => it.build,
            Body::TaskRequested(it) => it.task.0,
            Body::TaskStarted(it) => it.task.0,
            Body::TaskFinished(it) => it.task.0,
            Body::ObservationRequested(it) => it.observation,
            Body::ModuleAnswering(it) => it.observation,
            Body::ObservationFinished(it) => it.observation,
            Body::GateRequested(it) => it.gate,
            Body::GateJudged(it) => it.gate,
            Body::GateFinished(it) => it.gate,
            _ => return None,
        })
    }

    /// The module's version that it is about, as people read it.
    pub fn version(&self) -> Option<&str> {
        Some(match self {
            Body::ArtifactPackaged(it) => &it.biz.version,
            Body::ArtifactPublished(it) => it.release.version(),
            Body::RolloutPlanned(it) => it.version.as_deref()?,
            Body::GateRequested(it) => &it.version,
            Body::TaskRequested(it) => &it.want.as_ref()?.version,
            Body::TaskFinished(it) => it.running.as_deref()?,
            Body::ObservationRequested(it) => it.version.as_deref()?,
            Body::ModuleAnswering(it) => it.version.as_deref()?,
            Body::ServiceDeployed(it) => &it.version,
            Body::ServiceUpgraded(it) => &it.version,
            Body::ServiceRolledback(it) => &it.version,
            _ => return None,
        })
    }

    /// The commit that it is about, where it says so.
    pub fn commit(&self) -> Option<&str> {
        Some(match self {
            Body::PushReceived(it) => &it.after,
            Body::PushResolved(it) => it.commit.as_deref()?,
            Body::ChangeMerged(it) => &it.commit,
            Body::BuildQueued(it) => &it.commit,
            Body::BuildStarted(it) => &it.commit,
            Body::ArtifactPackaged(it) => it.commit.as_deref()?,
            Body::RunQueued(it) => it.commit.as_deref()?,
            _ => return None,
        })
    }
}
