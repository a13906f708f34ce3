//! `ferry bases`. In: the gateway's bases. Out: a table or JSON.

use anyhow::Result;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{Output, now};
use crate::screen;

/// Arguments of `ferry bases`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry bases\n  ferry bases --json")]
pub struct Args {
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let bases = args.gateway.client()?.bases().await?;
    Output::new(args.json.json).print(&bases, |paint| screen::bases(&bases, now(), paint))?;
    Ok(Exit::Success)
}
