//! `ferry modules`. In: the gateway's modules. Out: a table or JSON.

use anyhow::Result;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{Output, now};
use crate::screen;

/// Arguments of `ferry modules`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry modules\n  ferry modules --json")]
pub struct Args {
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let modules = args.gateway.client()?.modules().await?;
    let output = Output::new(args.json.json);
    output.print(&modules, |paint| screen::modules(&modules, now(), paint))?;
    Ok(Exit::Success)
}
