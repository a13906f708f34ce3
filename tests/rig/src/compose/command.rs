//! Commands of the container engine: run to their end, with a limit.
//!
//! In: a command. Out: what it wrote. A group of its own, so that Ctrl-C reaches
//! only this program, which then takes down what is up.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::time::timeout;

/// How many lines of a failed command an error shows: a failed step of an image's
/// build fits.
const TAIL_LINES: usize = 40;

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// The end of all that it wrote.
    pub fn said(&self) -> String {
        let lines: Vec<&str> = self.err.lines().chain(self.out.lines()).collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

/// Runs a command that may say no.
pub async fn run(mut command: Command, limit: Duration) -> Result<Ran> {
    let name = name_of(&command);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let done = timeout(limit, child.wait_with_output())
        .await
        .with_context(|| format!("{name} still runs after {limit:?}"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran {
        status: done.status,
        out: text(&done.stdout),
        err: text(&done.stderr),
    })
}

/// Runs a command that has to succeed, and gives its standard output.
pub async fn must(command: Command, limit: Duration) -> Result<String> {
    let name = name_of(&command);
    let ran = run(command, limit).await?;
    if ran.status.success() {
        return Ok(ran.out);
    }
    bail!("{name} ended with {}:\n{}", ran.status, ran.said())
}

fn name_of(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
