//! What follows for a branch from a push, a command, and what git found.
//!
//! In: pushes and commands of one branch, and git's answers. Out: `push.resolved`, `change.merged`,
//! `command.settled`; a deployed jar's `artifact.packaged`.

use ferry_config::Config;
use ferry_events::{
    Body, Command, PushId, Reason, RunId, Scope, Stop, Verb, artifact,
    command::Settled,
    push::{ChangeMerged, Received, Resolution, RunOf},
};
use ferry_runtime::{Context, Decision, Fault, Input};

use super::{
    Outcome, State,
    head::{Ask, Found, Head, Present, TEXT_MAX, Telling, branch_of, short},
    joints,
    relate::{Relation, relate},
    touched,
};

/// Pushes of one branch that wait. A push carries the changes of those before it, so that beyond
/// this the oldest one that waits gives way; a handful is more than a branch ever has.
const PUSHES_MAX: usize = 16;
/// Runs told in one write. The bus takes 500 messages in one; the record and the push's own are among them.
const RUNS_TOLD: usize = 400;
/// Commands of one branch that wait for git. More is a script gone wrong; it is told.
const COMMANDS_MAX: usize = 16;

/// Decides for a branch.
///
/// # Errors
/// When a glob of the configuration is broken.
pub fn decide(
    state: &State,
    input: &Input<Outcome>,
    context: &Context,
) -> Result<Decision<State>, Fault> {
    let head = match state {
        State::Head(head) => head.clone(),
        _ => Head::default(),
    };
    let unchanged = || Ok(Decision::to(state.clone()));
    let config = &*context.config;
    match input {
        Input::Event(event) => match &event.body {
            Body::PushReceived(push) => Ok(received(head, push, config)),
            _ => unchanged(),
        },
        Input::Command(command) => Ok(commanded(head, command, config)),
        Input::Outcome(Outcome::Resolved { ask, found }) => {
            if head.asks.front().is_none_or(|front| front.id() != *ask) {
                return unchanged();
            }
            answered(head, found.as_deref(), config)
        }
        Input::Outcome(Outcome::Told { push }) if head.is_telling(*push) => Ok(tell(head, config)),
        Input::GivenUp { .. } if head.telling.is_some() => Ok(tell(head, config)),
        Input::GivenUp { tries, stop } => {
            if head.asks.is_empty() {
                return unchanged();
            }
            let detail = format!("the builder ended {tries} times while it asked git");
            let lost = || Stop::new(Reason::FetchFailed, detail);
            answered(head, Err(&stop.clone().unwrap_or_else(lost)), config)
        }
        _ => unchanged(),
    }
}

fn received(mut head: Head, push: &Received, config: &Config) -> Decision<State> {
    head.repository.clone_from(&push.repository);
    head.branch.clone_from(&push.branch);
    let known =
        head.pushes.contains(&push.push) || head.asks.iter().any(|ask| ask.id() == push.push.0);
    if known {
        return Decision::to(State::Head(head));
    }
    let scope = head.scope(config);
    if !config.repositories.contains_key(&push.repository) {
        let stop = Stop::new(Reason::UnknownRepository, push.repository.clone());
        let mut resolved = head.resolved(
            push.push,
            Resolution::Failed,
            Reason::UnknownRepository.what(),
        );
        resolved.stop = Some(stop);
        return Decision::to(State::Head(head)).say(scope, resolved);
    }
    head.asks.push_back(Ask::Push {
        push: push.push,
        // One that is cut is no object's id.
        after: short(&push.after),
        author: push.author.as_deref().map(short),
        message: push.message.as_deref().map(short),
    });
    let mut gone = None;
    if head.asks.iter().filter(|ask| ask.is_push()).count() > PUSHES_MAX {
        let waiting = head
            .asks
            .iter()
            .skip(1)
            .position(Ask::is_push)
            .map(|at| at + 1);
        gone = waiting.and_then(|at| head.asks.remove(at));
    }
    let said = match gone {
        Some(Ask::Push { push, .. }) => {
            head.remember_push(push);
            let why = "newer pushes of the branch wait; they carry its changes";
            Some(head.resolved(push, Resolution::Outdated, why))
        }
        _ => None,
    };
    let decision = Decision::to(State::Head(head));
    match said {
        Some(resolved) => decision.say(scope, resolved),
        None => decision,
    }
}

fn commanded(mut head: Head, command: &Command, config: &Config) -> Decision<State> {
    let known = head.commands.contains_key(&command.id)
        || head.asks.iter().any(|ask| ask.id() == command.id.0);
    if known {
        return Decision::to(State::Head(head));
    }
    let module = command.verb.module();
    let there = branch_of(command, config);
    if let Some((repository, branch)) = there.as_ref().filter(|_| head.repository.is_empty()) {
        head.repository.clone_from(repository);
        head.branch.clone_from(branch);
    }
    let scope = head.scope_of(config, module);
    let refusal = if head.settled_until.is_some_and(|until| command.at <= until) {
        let detail = "it was asked before commands that are settled and forgotten; ask again";
        Some(Stop::new(Reason::CommandTooOld, detail))
    } else if there.is_none_or(|(repository, _)| repository != head.repository) {
        Some(Stop::new(
            Reason::UnknownModule,
            format!("there is no module {module:?} in this repository any more"),
        ))
    } else if head.asks.iter().filter(|ask| !ask.is_push()).count() >= COMMANDS_MAX {
        Some(Stop::new(
            Reason::TooMany,
            format!("{COMMANDS_MAX} commands wait for git on this branch"),
        ))
    } else if matches!(&command.verb, Verb::Run { commit, .. } if commit.len() > TEXT_MAX) {
        Some(Stop::new(
            Reason::CommitNotFound,
            format!("a commit's name has at most {TEXT_MAX} bytes"),
        ))
    } else {
        None
    };
    if refusal.is_some() {
        head.remember_command(command);
        return settled(
            Decision::to(State::Head(head)),
            command,
            Some(scope),
            refusal,
        );
    }
    match &command.verb {
        Verb::Deploy {
            digest,
            size,
            biz,
            commit,
            force,
            ..
        } => {
            let run = RunId::of_command(command.id, module);
            let mut change = change_of(
                &mut head,
                command,
                commit.clone().unwrap_or_else(|| digest.to_string()),
            );
            change.uploaded = true;
            change.force = *force;
            change.message = command.why.as_deref().map(short);
            let packaged = artifact::Packaged {
                origin: change.origin(),
                run,
                module: module.to_owned(),
                digest: digest.clone(),
                size: *size,
                commit: commit.clone(),
                biz: biz.clone(),
                // A jar that was built elsewhere comes without its sources.
                own: None,
                rules: Vec::new(),
            };
            head.remember_command(command);
            settled(
                Decision::to(State::Head(head)),
                command,
                Some(scope.clone()),
                None,
            )
            .say(scope.clone(), change)
            .say(scope, packaged)
        }
        _ => {
            let why = command.why.as_deref().map(short);
            head.asks.push_back(Ask::Run(Command {
                why,
                ..command.clone()
            }));
            Decision::to(State::Head(head))
        }
    }
}

/// Takes a sequence for a command's run.
fn change_of(head: &mut Head, command: &Command, commit: String) -> ChangeMerged {
    head.sequence += 1;
    let module = command.verb.module();
    ChangeMerged {
        run: RunId::of_command(command.id, module),
        module: module.to_owned(),
        repository: head.repository.clone(),
        branch: head.branch.clone(),
        order: head.sequence,
        commit,
        push: None,
        command: Some(command.id),
        author: Some(command.actor.clone()),
        message: None,
        uploaded: false,
        force: matches!(command.verb, Verb::Run { force: true, .. }),
        joint: None,
    }
}

/// Git answered the first ask, or could not.
fn answered(
    mut head: Head,
    found: Result<&Found, &Stop>,
    config: &Config,
) -> Result<Decision<State>, Fault> {
    match head.asks.pop_front() {
        None => Ok(Decision::to(State::Head(head))),
        Some(Ask::Run(command)) => Ok(run_answered(head, &command, found, config)),
        Some(Ask::Push {
            push,
            author,
            message,
            ..
        }) => {
            let scope = head.scope(config);
            let found = match found {
                Ok(found) => found,
                // Not remembered: a redelivery tries again.
                Err(stop) => {
                    let mut resolved = head.resolved(push, Resolution::Failed, stop.reason.what());
                    resolved.stop = Some(stop.clone());
                    return Ok(Decision::to(State::Head(head)).say(scope, resolved));
                }
            };
            head.remember_push(push);
            push_answered(head, push, (author, message), found, config)
        }
    }
}

fn push_answered(
    mut head: Head,
    push: PushId,
    (author, message): (Option<String>, Option<String>),
    found: &Found,
    config: &Config,
) -> Result<Decision<State>, Fault> {
    let scope = head.scope(config);
    let present = head.present.as_ref().map(|present| present.commit.as_str());
    let relation = relate(present, &found.ancestry);
    let commit = &found.ancestry.after;
    let mut resolved = head.resolved(push, Resolution::Outdated, relation.why());
    resolved.commit = Some(commit.clone());
    if relation == Relation::AlreadyThere {
        resolved.resolution = Resolution::AlreadyThere;
        resolved.runs = head.runs();
    }
    if !relation.moves() {
        return Ok(Decision::to(State::Head(head)).say(scope, resolved));
    }
    head.sequence += 1;
    head.present = Some(Present {
        commit: commit.clone(),
        sequence: head.sequence,
        modules: touched::modules(config, &head.repository, &found.changed)?,
    });
    resolved.runs = head.runs();
    resolved.resolution = Resolution::Started;
    if resolved.runs.is_empty() {
        resolved.resolution = Resolution::NothingTouched;
        resolved.why = format!("{}, which touches no module's paths", relation.why());
    }
    head.telling = Some(Telling {
        push,
        told: 0,
        author: author.unwrap_or_else(|| short(&found.author)),
        message: message.unwrap_or_else(|| short(&found.subject)),
        joints: joints::of(config, push, &resolved.runs),
    });
    let told = tell(head, config);
    let mut decision = Decision::to(told.state).say(scope, resolved);
    decision.events.extend(told.events);
    Ok(decision)
}

/// Tells the next runs of the push that moved the head: as many as one write holds.
fn tell(mut head: Head, config: &Config) -> Decision<State> {
    let Some(telling) = head.telling.take() else {
        return Decision::to(State::Head(head));
    };
    let runs = head.runs();
    let next = runs.iter().skip(telling.told).take(RUNS_TOLD);
    let changes: Vec<(Scope, ChangeMerged)> = next
        .map(|RunOf { run, module }| {
            let joint = telling.joints.iter().find(|it| it.member(*run).is_some());
            let present = head.present.as_ref();
            let change = ChangeMerged {
                joint: joint.cloned(),
                run: *run,
                module: module.clone(),
                repository: head.repository.clone(),
                branch: head.branch.clone(),
                // A command may have taken a sequence meanwhile.
                order: present.map_or(head.sequence, |it| it.sequence),
                commit: present.map(|it| it.commit.clone()).unwrap_or_default(),
                push: Some(telling.push),
                command: None,
                author: Some(telling.author.clone()),
                message: Some(telling.message.clone()),
                uploaded: false,
                force: false,
            };
            (head.scope_of(config, module), change)
        })
        .collect();
    let told = telling.told + changes.len();
    head.telling = (told < runs.len()).then_some(Telling { told, ..telling });
    changes.into_iter().fold(
        Decision::to(State::Head(head)),
        |decision, (scope, change)| decision.say(scope, change),
    )
}

fn run_answered(
    mut head: Head,
    command: &Command,
    found: Result<&Found, &Stop>,
    config: &Config,
) -> Decision<State> {
    let scope = head.scope_of(config, command.verb.module());
    head.remember_command(command);
    match found {
        Err(stop) => settled(
            Decision::to(State::Head(head)),
            command,
            Some(scope),
            Some(stop.clone()),
        ),
        Ok(found) => {
            // The head stays where it is: the branch's own push still moves it, for every module.
            let mut change = change_of(&mut head, command, found.ancestry.after.clone());
            change.message = Some(short(&found.subject));
            settled(
                Decision::to(State::Head(head)),
                command,
                Some(scope.clone()),
                None,
            )
            .say(scope, change)
        }
    }
}

/// Says what became of a command. Its run exists unless it was refused.
pub(super) fn settled(
    decision: Decision<State>,
    command: &Command,
    scope: Option<Scope>,
    stop: Option<Stop>,
) -> Decision<State> {
    let module = command.verb.module();
    let run = stop
        .is_none()
        .then(|| RunId::of_command(command.id, module));
    let scope = scope.unwrap_or_else(|| Scope::module(None, module));
    decision.say(scope, Settled::of(command, run, stop))
}
