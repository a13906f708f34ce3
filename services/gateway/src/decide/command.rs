//! What a person asks for, as a durable command.
//!
//! In: a checked request, who asks, the time. Out: the [`Command`] and the batch
//! that makes it durable once.

use std::time::Duration;

use ferry_bus::{Batch, Keep, Write};
use ferry_events::{Command, CommandId, Service, Timestamp, Verb, ids, subject};

/// How long a command's record is kept: as long as a push's.
const COMMAND_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// The longest reason or name of a commit that a person may give, in bytes: a
/// paragraph; states that quote it stay small.
pub const TEXT_MAX: usize = 1000;

/// The command for a wish. `key` tells two equal wishes of one person apart; a
/// client that repeats a request repeats its key.
#[must_use]
pub fn command(
    actor: &str,
    verb: Verb,
    why: Option<String>,
    key: &str,
    based_on: u64,
    now: Timestamp,
) -> Command {
    let id = ids::derive("command", &[actor, verb.token(), verb.module(), key]);
    Command {
        id: CommandId(id),
        at: now,
        actor: actor.to_owned(),
        why,
        based_on: Some(based_on),
        verb,
    }
}

/// Where a command's record stands on the bus.
#[must_use]
pub fn subject_of(command: CommandId) -> String {
    subject::state(Service::Gateway, &format!("command.{command}"))
}

/// The batch: the record, only if there is none, and the command itself.
#[must_use]
pub fn batch(command: &Command) -> Batch {
    let record = serde_json::to_vec(command).expect("a command is always JSON");
    vec![
        Write::state(subject_of(command.id), record, 0, Keep::For(COMMAND_KEPT)),
        Write::command(command),
    ]
    .into()
}

/// A text that a person gave: trimmed, nothing where it is empty.
///
/// # Errors
/// When it is longer than [`TEXT_MAX`].
pub fn text(name: &str, given: Option<String>) -> Result<Option<String>, String> {
    let Some(given) = given else { return Ok(None) };
    let given = given.trim();
    if given.len() > TEXT_MAX {
        return Err(format!(
            "{name} has {} bytes; at most {TEXT_MAX} are taken",
            given.len()
        ));
    }
    Ok(Some(given.to_owned()).filter(|text| !text.is_empty()))
}

/// What was understood, in words.
#[must_use]
pub fn told(verb: &Verb) -> String {
    match verb {
        Verb::Run {
            module,
            commit,
            branch: Some(branch),
            ..
        } => {
            format!("run commit {commit} of branch {branch} for module {module}")
        }
        Verb::Run {
            module,
            commit,
            branch: None,
            ..
        } => {
            format!("run commit {commit} for module {module}")
        }
        Verb::Deploy { module, biz, .. } => {
            format!(
                "deploy the uploaded jar ({} {}) as module {module}",
                biz.name, biz.version
            )
        }
        Verb::Rollback {
            module,
            environment,
            to: Some(to),
        } => {
            format!("roll module {module} in {environment} back to version {to}")
        }
        Verb::Rollback {
            module,
            environment,
            to: None,
        } => {
            format!("roll module {module} in {environment} back to the verified version before")
        }
        Verb::Approve(rollout) => format!(
            "approve run {} of {} in {}",
            rollout.run.short(),
            rollout.module,
            rollout.environment
        ),
        Verb::Promote(rollout) => format!(
            "let run {} of {} go on in {}",
            rollout.run.short(),
            rollout.module,
            rollout.environment
        ),
        Verb::Pause(stretch) => format!("pause {stretch}"),
        Verb::Resume(stretch) => format!("resume {stretch}"),
        Verb::Abort(stretch) => format!("abort {stretch}"),
        Verb::Hold(it) => format!("leave base {} alone", it.base),
        Verb::Release(it) => format!("give base {} back", it.base),
        Verb::Restart(it) => format!("restart base {}", it.base),
        Verb::Replay(letter) => format!(
            "hand dead letter {} to the {} again",
            letter.letter.short(),
            letter.service
        ),
        Verb::Drop(letter) => format!(
            "drop dead letter {} of the {}",
            letter.letter.short(),
            letter.service
        ),
    }
}
