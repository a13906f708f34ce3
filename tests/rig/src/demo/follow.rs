//! One push, followed live to the end of its run.
//!
//! In: the events of the stack. Out: a line a step, with the time since the
//! push; how it ended.

use std::time::Duration;

use anyhow::{Result, bail};
use chrono::Utc;
use ferry_cli::screen::{end_of_run, event_line, is_bad};
use ferry_events::rollout::RolloutOutcome;
use ferry_events::run::Finished;
use ferry_events::{Body, CommandId, Event, Kind, PushId, RunId, Timestamp};

use crate::screen::Screen;
use crate::stack::Recorder;

/// The longest silence in a run is a build; with real artifacts at hand it takes
/// seconds, and a machine that is busy ten times as long.
pub(super) const SILENCE: Duration = Duration::from_secs(150);

/// What caused the run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    Push(PushId),
    Command(CommandId),
}

/// A run that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub run: RunId,
    pub finished: Finished,
    /// From the push to the last event, in milliseconds.
    pub millis: u64,
    /// From the push to the last base that answered well, where any did.
    pub answered: Option<u64>,
    /// Bases that were changed, each as often as it was.
    pub changed: Vec<String>,
}

/// Shows what happens until the run is over.
pub(super) async fn follow(
    events: &mut Recorder,
    cause: Cause,
    began: Timestamp,
    screen: &Screen,
) -> Result<Ended> {
    let step = screen.step("waiting for git");
    let mut run = None;
    let mut answered = None;
    let mut changed = Vec::new();
    loop {
        let event = events.next(SILENCE).await?;
        if run.is_none() {
            run = begun(&event, cause)?;
        }
        if !concerns(&event, cause, run) {
            continue;
        }
        if is_shown(&event) {
            screen.line(&event_line(began, &event, screen.paint()));
        }
        step.now(&now(&event));
        let millis = since(began, event.time);
        match &event.body {
            Body::ModuleAnswering(_) => answered = Some(millis),
            Body::TaskFinished(task) => changed.push(task.base.clone()),
            Body::RunFinished(finished) => {
                drop(step);
                screen.line(&end_of_run(finished, screen.paint()));
                let (run, finished) = (finished.run, finished.as_ref().clone());
                return Ok(Ended {
                    run,
                    finished,
                    millis,
                    answered,
                    changed,
                });
            }
            _ => {}
        }
    }
}

/// The run, where this event begins it.
fn begun(event: &Event, cause: Cause) -> Result<Option<RunId>> {
    Ok(match (&event.body, cause) {
        (Body::ChangeMerged(it), Cause::Push(push)) if it.push == Some(push) => Some(it.run),
        (Body::ChangeMerged(it), Cause::Command(command)) if it.command == Some(command) => {
            Some(it.run)
        }
        (Body::PushResolved(it), Cause::Push(push)) if it.push == push => match it.runs.first() {
            Some(run) => Some(run.run),
            None => bail!("the push caused no run: {}", it.why),
        },
        (Body::CommandSettled(it), Cause::Command(command)) if it.command == command => {
            match &it.stop {
                Some(stop) => bail!("the command was refused: {stop}"),
                None => it.run,
            }
        }
        _ => None,
    })
}

fn concerns(event: &Event, cause: Cause, run: Option<RunId>) -> bool {
    match (&event.body, cause) {
        (Body::PushReceived(it), Cause::Push(push)) => it.push == push,
        (Body::PushResolved(it), Cause::Push(push)) => it.push == push,
        _ => run.is_some() && event.run() == run,
    }
}

/// A step is told once: what only hands work on from one service to the next, and
/// what the line after it tells again, is in the record.
fn is_shown(event: &Event) -> bool {
    let told_again = match &event.body {
        Body::WaveFinished(wave) => wave.stop.is_none(),
        Body::RolloutFinished(it) => {
            matches!(
                it.outcome,
                RolloutOutcome::Verified | RolloutOutcome::RolledBack
            )
        }
        _ => false,
    };
    if told_again {
        return false;
    }
    let handed_on = matches!(
        event.body.kind(),
        Kind::ChangeMerged
            | Kind::BuildQueued
            | Kind::RunQueued
            | Kind::RunStarted
            | Kind::ArtifactPackaged
            | Kind::RolloutRequested
            | Kind::TaskRequested
            | Kind::ObservationRequested
            | Kind::CommandSettled
    );
    !handed_on || is_bad(event)
}

/// What goes on after an event, for the spinner.
fn now(event: &Event) -> String {
    match &event.body {
        Body::BuildStarted(it) => format!("Maven builds {}", it.module),
        Body::BuildFinished(_) | Body::ArtifactPackaged(_) => "slimming".to_owned(),
        Body::TaskStarted(it) => format!("installing on {}", it.base),
        Body::TaskFinished(it) => format!("waiting for an answer from {}", it.base),
        Body::ModuleAnswering(it) => format!("watching {} for a while", it.base),
        _ => "waiting for the next step".to_owned(),
    }
}

pub(super) fn since(began: Timestamp, at: Timestamp) -> u64 {
    (at - began).num_milliseconds().max(0).unsigned_abs()
}

#[allow(
    clippy::disallowed_methods,
    reason = "the screen shows when things happen to a person"
)]
pub(super) fn clock() -> Timestamp {
    Utc::now()
}
