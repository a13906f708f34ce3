//! What happens after something was asked for: what its service made of it, and
//! with `--wait` the run to its end.
//!
//! In: the gateway's answer. Out: lines, and the exit code.

use std::time::Duration;

use anyhow::Result;
use ferry_api::{Client, CommandAnswer, CommandState, CommandView};
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
    /// Prints what became of a command.
    pub async fn after(
        self,
        client: &Client,
        answer: CommandAnswer,
        output: Output,
    ) -> Result<Exit> {
        if !output.json {
            say(&screen::asked(&answer))?;
        }
        self.limit.hold(self.see(client, &answer, output)).await
    }

    async fn see(self, client: &Client, answer: &CommandAnswer, output: Output) -> Result<Exit> {
        let command = settled(client, answer, self.wait).await?;
        // With --wait JSON lines follow, so this is one too.
        if self.wait {
            output.line(&command, |paint| screen::settled(&command, paint))?;
        } else {
            output.print(&command, |paint| screen::settled(&command, paint))?;
        }
        match (command.state, command.run) {
            (CommandState::Refused, _) => Ok(Exit::Failed),
            (CommandState::Waiting, _) if self.wait => Ok(Exit::Unfinished),
            (CommandState::Taken, Some(run)) if self.wait => follow_new(client, run, output).await,
            _ => Ok(Exit::Success),
        }
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
