//! `ferry logs RUN`. In: a run. Out: its build log.

use anyhow::Result;
use futures::StreamExt as _;

use super::Json;
use crate::exit::Exit;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry logs 1a2b3c4d\n  ferry logs 1a2b --follow")]
pub struct Args {
    /// The run's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: String,
    /// Stay until the build has ended, and print each line as it is written
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let client = args.gateway.client()?;
    let output = Output::new(args.json.json);
    let run = client.run(&args.run).await?.summary.id;
    if args.follow {
        let mut lines = std::pin::pin!(client.follow_log(run));
        while let Some(line) = lines.next().await {
            let line = line?;
            output.line(&line, |_| screen::log_line(&line))?;
        }
        return Ok(Exit::Success);
    }
    let log = client.log(run).await?;
    if log.lines.is_empty() && !output.json {
        eprintln!("no lines: the build has not begun, was not needed, or its log is past its time");
        return Ok(Exit::Success);
    }
    output.print(&log, |_| {
        let lines: Vec<String> = log.lines.iter().map(screen::log_line).collect();
        lines.join("\n")
    })?;
    Ok(Exit::Success)
}
