//! What was asked for, and what became of it.
//!
//! In: a command's answer or view. Out: a line or two.

use ferry_api::{CommandAnswer, CommandState, CommandView};

use super::Paint;
use super::run::stop;
use super::text::clean;

/// The gateway took it.
pub fn asked(answer: &CommandAnswer) -> String {
    format!("asked: {} (command {})", clean(&answer.what), answer.id)
}

/// What became of it.
pub fn settled(command: &CommandView, paint: Paint) -> String {
    match command.state {
        CommandState::Waiting => format!("command {} waits for its service", command.id),
        CommandState::Taken => match command.run {
            Some(run) => format!(
                "{}: run {run}; `ferry watch {}`",
                paint.good("taken"),
                run.short()
            ),
            None => paint.good("taken"),
        },
        CommandState::Refused => {
            let why = command
                .stop
                .as_ref()
                .map(|why| format!("\n{}", stop(why, paint)));
            format!("{}{}", paint.bad("refused"), why.unwrap_or_default())
        }
    }
}
