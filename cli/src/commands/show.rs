//! `ferry show RUN`. In: a run's id or its first digits. Out: why it is where it is.

use anyhow::Result;

use super::Json;
use crate::exit::Exit;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::{Output, now};
use crate::screen;

/// Arguments of `ferry show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry show 1a2b3c4d\n  ferry show 1a2b --json | jq .stop")]
pub struct Args {
    /// The run's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: String,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let run = args.gateway.client()?.run(&args.run).await?;
    Output::new(args.json.json).print(&run, |paint| screen::run(&run, now(), paint))?;
    Ok(Exit::Success)
}
