//! The change of each base within a run.
//!
//! In: events of plans, tasks and observations. Out: the run's `tasks`, in the
//! order of its plans.

use ferry_api::{EnvironmentState, RunView, TaskState, TaskView};
use ferry_events::rollout::{Direction, Planned};
use ferry_events::{Body, Event, Stop, Timestamp};

use super::{environment, gates};

pub(super) fn progress(run: &mut RunView, event: &Event) {
    match &event.body {
        Body::RolloutPlanned(it) => planned(run, it, event.time),
        Body::TaskRequested(it) => {
            change(run, &it.environment, &it.base, |task| {
                task.state = TaskState::Requested
            });
        }
        Body::TaskStarted(it) => {
            change(run, &it.environment, &it.base, |task| {
                task.state = TaskState::Installing
            });
        }
        Body::TaskFinished(it) => change(run, &it.environment, &it.base, |task| {
            task.running.clone_from(&it.running);
            task.steps.clone_from(&it.steps);
            settle(task, it.stop.as_ref(), TaskState::Verifying);
        }),
        Body::ObservationRequested(it) => {
            change(run, &it.environment, &it.base, |task| {
                task.state = TaskState::Verifying
            });
        }
        Body::ModuleAnswering(it) => change(run, &it.environment, &it.base, |task| {
            task.state = TaskState::Soaking;
            task.answer.clone_from(&it.answer);
        }),
        Body::ObservationFinished(it) => change(run, &it.environment, &it.base, |task| {
            if it.answer.is_some() {
                task.answer.clone_from(&it.answer);
            }
            settle(task, it.stop.as_ref(), TaskState::Verified);
        }),
        _ => {}
    }
}

/// A plan forward begins the environment's list; one back goes behind it, so
/// that what failed stays to be seen.
fn planned(run: &mut RunView, it: &Planned, at: Timestamp) {
    let direction = it.plan.direction;
    let there = environment(run, &it.plan.environment);
    there.plan = Some(it.id.clone());
    there.wave = 0;
    there.waves = u32::try_from(it.plan.waves.len()).unwrap_or(u32::MAX);
    match direction {
        Direction::Forward | Direction::Repair => {
            there.state = EnvironmentState::RollingOut;
            there.tasks.clear();
        }
        Direction::Back => {
            there.state = EnvironmentState::RollingBack;
            there
                .tasks
                .retain(|task| task.direction == Direction::Forward);
        }
    }
    there.tasks.extend(it.plan.steps().map(|step| TaskView {
        base: step.base.clone(),
        pool: step.pool.clone(),
        direction,
        state: TaskState::Waiting,
        wanted: it.plan.want(step).map(|want| want.version.clone()),
        running: None,
        answer: None,
        steps: Vec::new(),
        stop: None,
    }));
    gates::follow(run, &it.plan.environment, &it.id, at);
}

/// Of a base with a change forward and one back, the one back is the newer.
fn change(run: &mut RunView, name: &str, base: &str, with: impl FnOnce(&mut TaskView)) {
    let tasks = &mut environment(run, name).tasks;
    if let Some(task) = tasks.iter_mut().rev().find(|task| task.base == base) {
        with(task);
    }
}

fn settle(task: &mut TaskView, stop: Option<&Stop>, well: TaskState) {
    task.stop = stop.map(Into::into);
    task.state = if stop.is_some() {
        TaskState::Failed
    } else {
        well
    };
}
