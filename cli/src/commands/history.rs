//! `ferry history MODULE`. In: a module. Out: what was live where and when, a table or JSON.

use anyhow::Result;
use ferry_api::HistoryQuery;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry history`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry history hello\n  ferry history hello --env prod --json")]
pub struct Args {
    /// The module
    module: String,
    /// Only this environment
    #[arg(long = "env", value_name = "E", alias = "environment")]
    environment: Option<String>,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let query = HistoryQuery {
        environment: args.environment,
    };
    let client = args.gateway.client()?;
    let history = client.history(&args.module, &query).await?;
    Output::new(args.json.json).print(&history, |paint| screen::history(&history, paint))?;
    Ok(Exit::Success)
}
