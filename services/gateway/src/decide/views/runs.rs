//! Runs as the events tell them: states, environments, steps with times.
//!
//! In: events. Out: [`RunView`]s, newest first. What happens to single bases is
//! in `tasks.rs`, what they wait for in `gates.rs`.

#[path = "gates.rs"]
mod gates;
#[path = "tasks.rs"]
mod tasks;

use std::collections::BTreeMap;

use ferry_api::{
    EnvironmentState, EnvironmentView, RunState, RunSummary, RunView, RunsQuery, StepView, WaitView,
};
use ferry_events::rollout::RolloutOutcome;
use ferry_events::run::{self, Outcome, RunKind};
use ferry_events::{Body, Event, RunId, Stop, Timestamp, Traceparent, artifact, push, rollout};

use super::Kept;

/// Every run that is held.
#[derive(Debug, Default)]
pub struct Runs(Kept<RunId, RunView>);

/// What a look-up by the first digits of an id gave.
#[derive(Debug)]
pub enum Found<'a> {
    /// Exactly one run.
    One(&'a RunView),
    /// Several runs' ids begin so.
    Several(Vec<RunId>),
    /// None does.
    None,
}

impl Runs {
    /// A run.
    pub fn get(&self, id: RunId) -> Option<&RunView> {
        self.0.get(&id)
    }

    /// A run by its id or the id's first digits, of those that `seen` lets through.
    pub fn find(&self, prefix: &str, seen: impl Fn(&RunView) -> bool) -> Found<'_> {
        if let Ok(id) = prefix.parse() {
            return self
                .get(id)
                .filter(|run| seen(run))
                .map_or(Found::None, Found::One);
        }
        let found: Vec<&RunView> = self
            .0
            .newest()
            .filter(|run| seen(run) && run.summary.id.to_string().starts_with(prefix))
            .collect();
        match found.as_slice() {
            [] => Found::None,
            [one] => Found::One(one),
            several => Found::Several(several.iter().map(|run| run.summary.id).collect()),
        }
    }

    /// The runs that a query asks for, newest first.
    pub fn list(&self, query: &RunsQuery, seen: impl Fn(&RunView) -> bool) -> Vec<RunSummary> {
        let limit = query
            .limit
            .unwrap_or(RunsQuery::DEFAULT_LIMIT)
            .min(RunsQuery::MAX_LIMIT);
        self.0
            .newest()
            .filter(|run| {
                query
                    .module
                    .as_ref()
                    .is_none_or(|module| *module == run.summary.module)
            })
            .filter(|run| query.state.is_none_or(|state| state == run.summary.state))
            .filter(|run| seen(run))
            .take(limit)
            .map(|run| run.summary.clone())
            .collect()
    }

    /// What the runs that `seen` lets through wait for, the oldest first.
    pub(super) fn waiting(&self, seen: impl Fn(&RunView) -> bool) -> Vec<WaitView> {
        let mut waiting: Vec<WaitView> = Vec::new();
        for run in self.0.newest().filter(|run| seen(run)) {
            for there in &run.environments {
                waiting.extend(there.gates.iter().map(|gate| WaitView {
                    run: run.summary.id,
                    module: run.summary.module.clone(),
                    environment: there.name.clone(),
                    gate: gate.clone(),
                }));
            }
        }
        waiting.sort_by_key(|it| (it.gate.since, it.run, it.gate.gate));
        waiting
    }

    /// Whether no more lines of a run's build log will come.
    pub fn log_is_complete(&self, id: RunId) -> bool {
        self.get(id).is_some_and(|run| {
            run.summary.state.is_over()
                || run
                    .steps
                    .iter()
                    .any(|step| step.name == "build" && step.ended_at.is_some())
        })
    }

    pub(super) fn apply(&mut self, event: &Event, received_at: Option<Timestamp>) {
        let Some(id) = event.run() else { return };
        let Some(module) = event.scope.module.as_deref() else {
            return;
        };
        // Of a command that was settled only the id is known: its run comes with
        // an event of its own.
        // A letter or a pause may be about a run that is long forgotten.
        if matches!(
            event.body,
            Body::CommandSettled(_)
                | Body::LineChanged(_)
                | Body::LetterReplayed(_)
                | Body::LetterDropped(_)
        ) {
            return;
        }
        if self.0.get(&id).is_none() {
            self.0.put(id, unknown(id, module, event.time));
        }
        let Some(run) = self.0.get_mut(&id) else {
            return;
        };
        if run.trace.is_none() {
            run.trace = event.trace.map(Traceparent::trace_id);
        }
        progress(run, event, received_at);
        tasks::progress(run, event);
        gates::progress(run, event);
    }
}

/// A run of which nothing is known but that it is. Events of different services
/// may come in any order between them.
fn unknown(id: RunId, module: &str, at: Timestamp) -> RunView {
    RunView {
        summary: RunSummary {
            id,
            module: module.to_owned(),
            kind: RunKind::Change,
            state: RunState::Queued,
            environment: None,
            repository: String::new(),
            branch: String::new(),
            commit: None,
            author: None,
            message: None,
            began_at: at,
            ended_at: None,
            stop: None,
        },
        push: None,
        command: None,
        trace: None,
        packaged: None,
        slimmed: BTreeMap::new(),
        profile: None,
        own: Vec::new(),
        version: None,
        environments: Vec::new(),
        steps: Vec::new(),
        retry: None,
        paused: Vec::new(),
    }
}

fn progress(run: &mut RunView, event: &Event, received_at: Option<Timestamp>) {
    let at = event.time;
    // Whatever its service says next of the run, it went on.
    match &event.body {
        Body::WorkRetried(it) => run.retry = Some(it.as_ref().into()),
        Body::RunFinished(_) => run.retry = None,
        _ if run
            .retry
            .as_ref()
            .is_some_and(|retry| retry.service == event.source) =>
        {
            run.retry = None;
        }
        _ => {}
    }
    match &event.body {
        Body::ChangeMerged(it) => merged(run, it, received_at.unwrap_or(at), at),
        Body::BuildQueued(_) => begin(run, "queue", None, String::new(), at),
        Body::BuildStarted(_) => {
            end(run, "queue", None, at, None);
            begin(run, "build", None, String::new(), at);
            come(run, RunState::Building);
        }
        Body::BuildFinished(it) => {
            end(run, "queue", None, at, None);
            // A reused build never began.
            if !run.steps.iter().any(|step| step.name == "build") {
                let note = if it.reused { "reused" } else { "" };
                begin(run, "build", None, note.to_owned(), at);
            }
            end(run, "build", None, at, it.stop.as_ref());
        }
        Body::ArtifactPackaged(it) => {
            run.packaged = Some(it.digest.clone());
            run.own = own_of(it.own.as_ref());
            begin(run, "slim", None, it.biz.version.clone(), at);
            come(run, RunState::Slimming);
        }
        Body::ArtifactPublished(it) => {
            run.version = Some(it.release.version().to_owned());
            run.packaged = Some(it.release.packaged.clone());
            run.slimmed = it.release.pools.clone();
            end(run, "slim", None, at, None);
        }
        Body::ProfilePublished(it) => {
            run.profile = Some(it.as_ref().clone());
            end(run, "slim", None, at, None);
        }
        Body::ArtifactRefused(it) => end(run, "slim", None, at, Some(&it.stop)),
        Body::RunQueued(it) => queued(run, it),
        Body::RunFinished(it) => finished(run, it, at),
        Body::RolloutRequested(it) => {
            run.summary.environment = Some(it.environment.clone());
            environment(run, &it.environment);
            begin(run, "rollout", Some(&it.environment), String::new(), at);
            come(run, RunState::RollingOut);
        }
        Body::RolloutPlanned(it) if it.plan.direction != rollout::Direction::Back => {
            run.version = run.version.take().or_else(|| it.version.clone());
        }
        Body::RolloutFinished(it) => rolled_out(run, it, at),
        Body::WaveStarted(it) => {
            environment(run, &it.environment).wave = it.number;
            begin(run, "wave", Some(&it.environment), note_of(it), at);
        }
        Body::WaveFinished(it) => {
            end(run, "wave", Some(&it.environment), at, it.stop.as_ref());
        }
        _ => {}
    }
}

/// What the module set for itself.
fn own_of(own: Option<&artifact::Own>) -> Vec<String> {
    own.map(|own| own.keys.clone()).unwrap_or_default()
}

fn note_of(wave: &rollout::Wave) -> String {
    let back = match wave.direction {
        rollout::Direction::Forward => "",
        rollout::Direction::Back => "back, ",
        rollout::Direction::Repair => "repair, ",
    };
    format!(
        "{back}{} of {}: {}",
        wave.number,
        wave.of,
        wave.bases.join(", ")
    )
}

fn merged(run: &mut RunView, it: &push::ChangeMerged, received_at: Timestamp, at: Timestamp) {
    let summary = &mut run.summary;
    summary.repository.clone_from(&it.repository);
    summary.branch.clone_from(&it.branch);
    summary.commit = Some(it.commit.clone());
    summary.author.clone_from(&it.author);
    summary.message.clone_from(&it.message);
    summary.began_at = received_at.min(summary.began_at);
    (run.push, run.command) = (it.push, it.command);
    begin(run, "resolve", None, String::new(), received_at);
    end(run, "resolve", None, at, None);
}

fn queued(run: &mut RunView, it: &run::Queued) {
    let summary = &mut run.summary;
    summary.kind = it.kind;
    summary.repository.clone_from(&it.repository);
    summary.branch.clone_from(&it.branch);
    // The builder tells them too, and knows them better.
    summary.commit = summary.commit.take().or_else(|| it.commit.clone());
    summary.author = summary.author.take().or_else(|| it.author.clone());
    summary.message = summary.message.take().or_else(|| it.message.clone());
    run.push = run.push.or(it.push);
    run.command = run.command.or(it.command);
    for name in &it.environments {
        environment(run, name);
    }
}

fn finished(run: &mut RunView, it: &run::Finished, at: Timestamp) {
    run.summary.state = match it.outcome {
        Outcome::Success => RunState::Succeeded,
        Outcome::Failure => RunState::Failed,
        Outcome::Cancel => RunState::Superseded,
        Outcome::Error => RunState::Broken,
    };
    run.summary.ended_at = Some(at);
    run.summary.stop = it.stop.as_ref().map(Into::into);
    if it.environment.is_some() {
        run.summary.environment.clone_from(&it.environment);
    }
    let names: Vec<String> = run.environments.iter().map(|it| it.name.clone()).collect();
    for name in names {
        gates::close(run, &name, at);
    }
    // What never came to its end ended here.
    for step in run.steps.iter_mut().filter(|step| step.ended_at.is_none()) {
        step.ended_at = Some(at);
    }
}

fn rolled_out(run: &mut RunView, it: &rollout::Finished, at: Timestamp) {
    let there = environment(run, &it.environment);
    there.state = match it.outcome {
        RolloutOutcome::Verified => EnvironmentState::Verified,
        RolloutOutcome::RolledBack => EnvironmentState::RolledBack,
        RolloutOutcome::Broken => EnvironmentState::Broken,
        RolloutOutcome::Stopped => EnvironmentState::Stopped,
        RolloutOutcome::Superseded => EnvironmentState::Superseded,
    };
    there.live.clone_from(&it.live);
    there.stop = it.stop.as_ref().map(Into::into);
    gates::close(run, &it.environment, at);
    end(run, "rollout", Some(&it.environment), at, it.stop.as_ref());
}

/// A run only comes forward: a late event does not take it back.
fn come(run: &mut RunView, state: RunState) {
    run.summary.state = run.summary.state.max(state);
}

fn environment<'a>(run: &'a mut RunView, name: &str) -> &'a mut EnvironmentView {
    let index = run
        .environments
        .iter()
        .position(|one| one.name == name)
        .unwrap_or_else(|| {
            run.environments.push(EnvironmentView {
                name: name.to_owned(),
                state: EnvironmentState::Waiting,
                live: None,
                plan: None,
                wave: 0,
                waves: 0,
                gates: Vec::new(),
                tasks: Vec::new(),
                stop: None,
            });
            run.environments.len() - 1
        });
    &mut run.environments[index]
}

fn begin(run: &mut RunView, name: &str, environment: Option<&str>, note: String, at: Timestamp) {
    run.steps.push(StepView {
        name: name.to_owned(),
        environment: environment.map(ToOwned::to_owned),
        note,
        began_at: at,
        ended_at: None,
        stop: None,
    });
}

fn end(
    run: &mut RunView,
    name: &str,
    environment: Option<&str>,
    at: Timestamp,
    stop: Option<&Stop>,
) {
    let open = run.steps.iter_mut().rev().find(|step| {
        step.name == name && step.environment.as_deref() == environment && step.ended_at.is_none()
    });
    if let Some(step) = open {
        step.ended_at = Some(at);
        step.stop = stop.map(Into::into);
    }
}
