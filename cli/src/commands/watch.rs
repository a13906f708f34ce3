//! `ferry watch RUN`. In: a run. Out: a line a step until it is over; then its
//! outcome as the exit code.

use anyhow::Result;

use super::Json;
use super::follow::{Limit, follow};
use crate::exit::Exit;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::Output;

/// Arguments of `ferry watch`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry watch 1a2b3c4d\n  ferry watch 1a2b --timeout 10m && echo live"
)]
pub struct Args {
    /// The run's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: String,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let client = args.gateway.client()?;
    let run = client.run(&args.run).await?;
    args.limit
        .hold(follow(&client, run, Output::new(args.json.json)))
        .await
}
