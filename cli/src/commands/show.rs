//! `ferry show RUN`. In: a run's id or its first digits. Out: why it is where it is.

use anyhow::Result;
use ferry_api::{Client, EventsQuery, RunView};
use futures::StreamExt as _;

use super::Json;
use crate::exit::Exit;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::{Output, now};
use crate::screen;
use crate::timing::Timing;

/// Arguments of `ferry show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry show 1a2b3c4d\n  ferry show 1a2b --timing\n  ferry show 1a2b --json | jq .stop"
)]
pub struct Args {
    /// The run's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: String,
    /// Show where its time went, hop by hop
    #[arg(long)]
    timing: bool,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let client = args.gateway.client()?;
    let run = client.run(&args.run).await?;
    if args.timing {
        let timing = timing(&client, &run).await?;
        Output::new(args.json.json).print(&timing, |paint| screen::timing(&timing, paint))?;
        return Ok(Exit::Success);
    }
    Output::new(args.json.json).print(&run, |paint| screen::run(&run, now(), paint))?;
    Ok(Exit::Success)
}

/// Takes a run apart by its events.
async fn timing(client: &Client, run: &RunView) -> Result<Timing> {
    let id = run.summary.id;
    let query = EventsQuery {
        run: Some(id),
        after: Some(0),
        once: true,
        ..EventsQuery::default()
    };
    let mut events = Vec::new();
    let mut stream = std::pin::pin!(client.events(&query));
    while let Some(event) = stream.next().await {
        // A kind that is not known here is in nobody's way.
        events.extend(event?.decode().ok());
    }
    Ok(Timing::of(id, run.summary.began_at, &events))
}
