//! Errors at the edge: their text with cause and next step, and the exit code.
//!
//! In: an error with its chain. Out: lines for stderr, an [`Exit`].

use std::fmt::Write as _;
use std::io;

use anyhow::Error;
use ferry_api::ClientError;
use ferry_bus::{BusError, CommitError};

use crate::exit::Exit;
use crate::output::Output;

/// A failure whose exit code and next step the command knows.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Stopped {
    exit: Exit,
    what: String,
    next: Option<String>,
}

impl Stopped {
    /// What went wrong, and with which code the command ends.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            next: None,
        }
    }

    /// What to do next, in one sentence.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Whether the reader of stdout went away, as `head` does: no error of ours.
pub fn is_closed_pipe(error: &Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The exit code of an error.
pub fn exit_of(error: &Error) -> Exit {
    error
        .chain()
        .find_map(exit_of_cause)
        .unwrap_or(Exit::Failed)
}

fn exit_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(stopped) = cause.downcast_ref::<Stopped>() {
        return Some(stopped.exit);
    }
    if let Some(error) = cause.downcast_ref::<ClientError>() {
        return Some(exit_of_call(error));
    }
    if let Some(error) = cause.downcast_ref::<BusError>() {
        return Some(exit_of_bus(error));
    }
    match cause.downcast_ref::<CommitError>() {
        Some(CommitError::Bus(error)) => Some(exit_of_bus(error)),
        _ => None,
    }
}

fn exit_of_call(error: &ClientError) -> Exit {
    match error {
        ClientError::BadAddress { .. } => Exit::Usage,
        ClientError::Unreachable { .. } | ClientError::NotFerry { .. } => Exit::Unreachable,
        ClientError::Unauthorized { .. } => Exit::NotAllowed,
        ClientError::Refused(problem) => match problem.status {
            401 | 403 => Exit::NotAllowed,
            404 | 410 => Exit::NotFound,
            400 | 422 => Exit::Usage,
            502..=504 => Exit::Unreachable,
            _ => Exit::Failed,
        },
        ClientError::Broken { .. } => Exit::Failed,
    }
}

fn exit_of_bus(error: &BusError) -> Exit {
    match error {
        BusError::Unavailable(_) => Exit::Unreachable,
        _ => Exit::Failed,
    }
}

/// The lines for stderr: what, the chain of causes, the next step.
pub fn text(error: &Error, output: Output) -> String {
    let paint = output.paint();
    let mut text = format!("{} {error}\n", paint.bad("error:"));
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Some libraries repeat their source in their own text.
        if !said.contains(&cause) {
            let _ = writeln!(text, "  because: {cause}");
            said = cause;
        }
    }
    if let Some(next) = error.chain().find_map(next_step) {
        let _ = writeln!(text, "  next: {next}");
    }
    text
}

/// What to do next, where the error does not say it itself.
fn next_step<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a str> {
    if let Some(stopped) = cause.downcast_ref::<Stopped>() {
        return stopped.next.as_deref();
    }
    let problem = cause.downcast_ref::<ClientError>()?.problem()?;
    match (&problem.next, problem.status) {
        (None, 404) => Some("`ferry runs`, `ferry modules` and `ferry bases` list what there is"),
        (None, 403) => Some("use a token with a grant for it; `ferry token new` makes one"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_printed_once_with_the_next_step() {
        let inner = Stopped::new(Exit::NotFound, "no such thing").next("look elsewhere");
        let error = Error::from(inner).context("cannot do it");
        assert_eq!(
            text(&error, Output::plain()),
            "error: cannot do it\n  because: no such thing\n  next: look elsewhere\n"
        );
        assert_eq!(exit_of(&error), Exit::NotFound);
    }

    #[test]
    fn a_cause_that_is_repeated_is_said_once() {
        let error = Error::msg("disk full").context("cannot write: disk full");
        assert_eq!(
            text(&error, Output::plain()),
            "error: cannot write: disk full\n"
        );
        assert_eq!(exit_of(&error), Exit::Failed);
    }

    #[test]
    fn a_bus_that_is_silent_cannot_be_reached() {
        let error = Error::from(CommitError::Bus(BusError::Unavailable("no answer".into())));
        assert_eq!(exit_of(&error), Exit::Unreachable);
    }
}
