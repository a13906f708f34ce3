//! What happens after something was asked for: what its service made of it, and
//! with `--wait` the run to its end.
//!
//! In: the gateway's answer. Out: lines, and the exit code.

use std::time::Duration;

use anyhow::Result;
use ferry_api::{Client, CommandAnswer, CommandState, CommandView};
use ferry_events::{Reason, RunId};
use tokio::time::{Instant, sleep};

use super::follow::{Limit, follow_new};
use crate::exit::Exit;
use crate::gateway::LOOK_EVERY;
use crate::output::{Output, say};
use crate::screen;

/// How long a command's service may take to look at it. Without `--wait` nobody
/// is kept for longer: the command is durable, and its id was printed.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Whether to wait, and for how long.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Wait {
    /// Follow the run to its end; its outcome is the exit code
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    limit: Limit,
}

impl Wait {
    /// Whether the run is to be followed to its end.
    pub fn is_wanted(self) -> bool {
        self.wait
    }

    /// Prints what became of a command that causes a run.
    pub async fn after(
        self,
        client: &Client,
        answer: CommandAnswer,
        output: Output,
    ) -> Result<Exit> {
        self.after_on(client, answer, None, output).await
    }

    /// The same of a command on a run that there is.
    pub async fn after_on(
        self,
        client: &Client,
        answer: CommandAnswer,
        run: Option<RunId>,
        output: Output,
    ) -> Result<Exit> {
        if !output.json {
            say(&screen::asked(&answer))?;
        }
        self.limit
            .hold(self.see(client, &answer, run, output))
            .await
    }

    async fn see(
        self,
        client: &Client,
        answer: &CommandAnswer,
        run: Option<RunId>,
        output: Output,
    ) -> Result<Exit> {
        let command = settled(client, answer, self.wait).await?;
        // With --wait JSON lines follow, so this is one too.
        if self.wait {
            output.line(&command, |paint| screen::settled(&command, paint))?;
        } else {
            output.print(&command, |paint| screen::settled(&command, paint))?;
        }
        match (command.state, command.run.or(run)) {
            (CommandState::Refused, _) => Ok(refused(&command)),
            (CommandState::Waiting, _) if self.wait => Ok(Exit::Unfinished),
            (CommandState::Taken, Some(run)) if self.wait => follow_new(client, run, output).await,
            _ => Ok(Exit::Success),
        }
    }
}

/// Prints what became of a command that causes no run.
pub async fn once_settled(client: &Client, answer: &CommandAnswer, output: Output) -> Result<Exit> {
    if !output.json {
        say(&screen::asked(answer))?;
    }
    let command = settled(client, answer, false).await?;
    output.print(&command, |paint| screen::settled(&command, paint))?;
    Ok(match command.state {
        CommandState::Refused => refused(&command),
        CommandState::Taken | CommandState::Waiting => Exit::Success,
    })
}

/// Whoever may not do it is told so as by the gateway itself.
fn refused(command: &CommandView) -> Exit {
    match &command.stop {
        Some(stop) if stop.code == Reason::NotAllowed => Exit::NotAllowed,
        _ => Exit::Failed,
    }
}

/// The command, once it was looked at; while it waits with `--wait` there is no
/// other limit than `--timeout`.
pub(super) async fn settled(
    client: &Client,
    answer: &CommandAnswer,
    wait: bool,
) -> Result<CommandView> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let command = client.command(answer.id).await?;
        if command.state != CommandState::Waiting || (!wait && Instant::now() >= deadline) {
            return Ok(command);
        }
        sleep(LOOK_EVERY).await;
    }
}
