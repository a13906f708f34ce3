//! A run: from its change through its environments, in order, to its end.
//!
//! In: the change, the build's and the slimmer's results, each rollout's end, a rollback command.
//! Out: `pipelinerun.*` and one `rollout.requested` an environment. Every input may come twice,
//! late, or before another one: what comes early is kept until the change is known.

use ferry_events::{
    Body, Command, Reason, RunId, Stop, Verb,
    artifact::Release,
    command::Settled,
    joint::{Joint, Progress, Reported},
    push::ChangeMerged,
    rollout::{Aim, Requested, RolloutOutcome},
    run::{Finished, Outcome, Queued, RunKind, Started},
};
use ferry_runtime::{Context, Decision, Fault, Input};
use serde::{Deserialize, Serialize};

use super::{Nothing, run_uri, scope};

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What it is; none before its change is known.
    queued: Option<Queued>,
    /// The head's sequence in its branch.
    order: u64,
    /// Whether it may go where the same artifact failed before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    force: bool,
    /// What it carries, once that is published.
    release: Option<Release>,
    /// The release of several modules that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joint: Option<Joint>,
    /// Whether it made the profile of a base, where that was heard before the change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    profiled: bool,
    /// Why it stopped before its first environment, where that was heard before the change.
    early: Option<Stop>,
    /// The environment that it is in, by its place in the list.
    at: Option<usize>,
    /// How it ended.
    outcome: Option<Outcome>,
}

impl Run {
    /// What it carries, once that is published.
    pub fn release(&self) -> Option<&Release> {
        self.release.as_ref()
    }

    /// Who wrote the change, or asked for it.
    pub(super) fn author(&self) -> Option<String> {
        self.queued.as_ref()?.author.clone()
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.outcome.is_some()
    }

    pub(super) fn decide(
        &self,
        input: &Input<Nothing>,
        context: &Context,
    ) -> Result<Decision<Run>, Fault> {
        if self.is_finished() {
            return Ok(Decision::to(self.clone()));
        }
        match input {
            Input::Event(event) => Ok(match &event.body {
                Body::ChangeMerged(change) => self.begin(change, context),
                Body::BuildFinished(build) => match &build.stop {
                    Some(stop) => self.stopped(stop, context),
                    None => Decision::to(self.clone()),
                },
                Body::ArtifactRefused(refused) => self.stopped(&refused.stop, context),
                Body::ArtifactPublished(published) => self.published(&published.release, context),
                Body::ProfilePublished(_) => self.profiled(context),
                Body::RolloutFinished(finished) => self.passed(finished, context),
                _ => Decision::to(self.clone()),
            }),
            Input::Command(command) => Ok(self.rollback(command, context)),
            Input::Outcome(nothing) | Input::Report(nothing) => match *nothing {},
            Input::Due | Input::GivenUp { .. } => Ok(Decision::to(self.clone())),
        }
    }

    fn begin(&self, change: &ChangeMerged, context: &Context) -> Decision<Run> {
        if self.queued.is_some() {
            return Decision::to(self.clone());
        }
        let config = &context.config;
        let environments = config.environments_of_module(&change.module);
        let queued = Queued {
            run: change.run,
            module: change.module.clone(),
            kind: RunKind::Change,
            environments: environments.into_iter().map(Into::into).collect(),
            repository: change.repository.clone(),
            branch: change.branch.clone(),
            commit: Some(change.commit.clone()),
            author: change.author.clone(),
            message: change.message.clone(),
            push: change.push,
            command: change.command,
        };
        let run = Run {
            queued: Some(queued.clone()),
            order: change.order,
            force: change.force,
            joint: change.joint.clone(),
            ..self.clone()
        };
        let decision = run.announce(queued, context);
        let run = &decision.state.clone();
        if let Some(stop) = &run.early {
            return join(decision, run.stopped(stop, context));
        }
        if run.profiled {
            return join(decision, run.profiled(context));
        }
        match run.release.clone() {
            Some(release) => join(decision, run.published(&release, context)),
            None => decision,
        }
    }

    /// Says that the run is known and begins; stops it where it has nowhere to go.
    fn announce(&self, queued: Queued, context: &Context) -> Decision<Run> {
        let uri = run_uri(&context.config, queued.run);
        let scope = scope(&context.config, &queued.module);
        let (run, module) = (queued.run, queued.module.clone());
        // The jar of a base has nowhere to go: its profile is all.
        let nowhere = queued.environments.is_empty() && !context.config.is_base(&queued.module);
        let known = context.config.module(&module).is_some();
        let decision = Decision::to(self.clone()).say(scope.clone(), queued).say(
            scope,
            Started {
                run,
                module: module.clone(),
                uri,
            },
        );
        if !nowhere {
            return decision;
        }
        let stop = if known {
            Stop::new(
                Reason::NoBases,
                format!("{module} has no pool with bases in any environment"),
            )
        } else {
            Stop::new(Reason::UnknownModule, module)
        };
        join(
            decision,
            self.end(Outcome::Failure, Some(stop), None, context),
        )
    }

    /// The profile of a base is all that is wanted of it.
    fn profiled(&self, context: &Context) -> Decision<Run> {
        if self.queued.is_none() {
            return Decision::to(Run {
                profiled: true,
                ..self.clone()
            });
        }
        self.end(Outcome::Success, None, None, context)
    }

    fn stopped(&self, stop: &Stop, context: &Context) -> Decision<Run> {
        if self.queued.is_none() {
            return Decision::to(Run {
                early: Some(stop.clone()),
                ..self.clone()
            });
        }
        // A jar that is being rolled out was built and published, whatever a late repeat says.
        if self.at.is_some() {
            return Decision::to(self.clone());
        }
        self.end(Outcome::Failure, Some(stop.clone()), None, context)
    }

    fn published(&self, release: &Release, context: &Context) -> Decision<Run> {
        let run = Run {
            release: Some(release.clone()),
            ..self.clone()
        };
        let Some(queued) = run.queued.as_ref().filter(|_| run.at.is_none()) else {
            return Decision::to(run);
        };
        // It was a base's when its run began.
        if queued.environments.is_empty() {
            let detail = format!(
                "{} had no pool with bases when its run began",
                queued.module
            );
            let stop = Stop::new(Reason::NoBases, detail);
            return run.end(Outcome::Failure, Some(stop), None, context);
        }
        run.enter(0, Aim::Release(Box::new(release.clone())), context)
    }

    fn enter(&self, at: usize, aim: Aim, context: &Context) -> Decision<Run> {
        let Some(queued) = &self.queued else {
            return Decision::to(self.clone());
        };
        let environment = queued.environments[at].clone();
        let scope = scope(&context.config, &queued.module).within(&environment);
        Decision::to(Run {
            at: Some(at),
            ..self.clone()
        })
        .say(
            scope,
            Requested {
                run: queued.run,
                module: queued.module.clone(),
                environment,
                branch: queued.branch.clone(),
                order: self.order,
                aim,
                author: queued.author.clone(),
                force: self.force,
                passed: queued.environments[..at].to_vec(),
                joint: self.joint.clone(),
            },
        )
    }

    fn passed(
        &self,
        finished: &ferry_events::rollout::Finished,
        context: &Context,
    ) -> Decision<Run> {
        let (Some(queued), Some(at)) = (&self.queued, self.at) else {
            return Decision::to(self.clone());
        };
        if queued.environments[at] != finished.environment {
            return Decision::to(self.clone());
        }
        let outcome = match finished.outcome {
            RolloutOutcome::Verified => match (&self.release, at + 1 < queued.environments.len()) {
                (Some(release), true) => {
                    return self.enter(at + 1, Aim::Release(Box::new(release.clone())), context);
                }
                _ => Outcome::Success,
            },
            RolloutOutcome::RolledBack | RolloutOutcome::Stopped => Outcome::Failure,
            RolloutOutcome::Broken => Outcome::Error,
            RolloutOutcome::Superseded => Outcome::Cancel,
        };
        self.end(
            outcome,
            finished.stop.clone(),
            Some(finished.environment.clone()),
            context,
        )
    }

    fn rollback(&self, command: &Command, context: &Context) -> Decision<Run> {
        let Verb::Rollback {
            module,
            environment,
            to,
        } = &command.verb
        else {
            return Decision::to(self.clone());
        };
        if self.queued.is_some() {
            return Decision::to(self.clone());
        }
        let id = RunId::of_command(command.id, module);
        let settled = |run, stop| Settled::of(command, run, stop);
        let scope = scope(&context.config, module).within(environment);
        let Some(known) = context.config.module(module) else {
            let stop = Stop::new(Reason::UnknownModule, module.clone());
            let run = Run {
                outcome: Some(Outcome::Failure),
                ..self.clone()
            };
            return Decision::to(run).say(scope, settled(None, Some(stop)));
        };
        if !context
            .config
            .environments_of_module(module)
            .contains(&environment.as_str())
        {
            let stop = Stop::new(
                Reason::NoBases,
                format!("{module} has no bases in {environment:?}"),
            );
            let run = Run {
                outcome: Some(Outcome::Failure),
                ..self.clone()
            };
            return Decision::to(run).say(scope, settled(None, Some(stop)));
        }
        let queued = Queued {
            run: id,
            module: module.clone(),
            kind: RunKind::Rollback,
            environments: vec![environment.clone()],
            repository: known.repository.clone(),
            branch: String::new(),
            commit: None,
            author: Some(command.actor.clone()),
            message: command.why.clone(),
            push: None,
            command: Some(command.id),
        };
        let run = Run {
            queued: Some(queued.clone()),
            ..self.clone()
        };
        let settled = Decision::to(run.clone()).say(scope, settled(Some(id), None));
        let announced = join(settled, run.announce(queued, context));
        let run = announced.state.clone();
        join(
            announced,
            run.enter(0, Aim::Back { to: to.clone() }, context),
        )
    }

    fn end(
        &self,
        outcome: Outcome,
        stop: Option<Stop>,
        environment: Option<String>,
        context: &Context,
    ) -> Decision<Run> {
        let Some(queued) = &self.queued else {
            return Decision::to(self.clone());
        };
        let scope = scope(&context.config, &queued.module);
        let reported = self.reported(queued, stop.as_ref(), environment.as_deref());
        let finished = Finished {
            run: queued.run,
            module: queued.module.clone(),
            outcome,
            stop,
            environment,
        };
        let decision = Decision::to(Run {
            outcome: Some(outcome),
            ..self.clone()
        })
        .say(scope.clone(), finished);
        match reported {
            Some(reported) => decision.say(scope, reported),
            None => decision,
        }
    }

    /// What the others of its release must know of its end.
    fn reported(
        &self,
        queued: &Queued,
        stop: Option<&Stop>,
        environment: Option<&str>,
    ) -> Option<Reported> {
        let stop = stop.filter(|stop| stop.reason != Reason::ReleaseFailed)?;
        Some(Reported {
            joint: self.joint.clone()?,
            run: queued.run,
            module: queued.module.clone(),
            environment: environment.map(str::to_owned),
            progress: Progress::Failed(stop.clone()),
        })
    }
}

/// Two decisions, the second made from the first one's state, as one.
fn join(first: Decision<Run>, second: Decision<Run>) -> Decision<Run> {
    let (mut events, mut facts) = (first.events, first.facts);
    events.extend(second.events);
    facts.extend(second.facts);
    Decision {
        state: second.state,
        events,
        facts,
    }
}
