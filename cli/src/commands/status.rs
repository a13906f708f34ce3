//! `ferry status`. In: the gateway's runs, bases, modules and dead letters, what stands still. Out: what
//! waits and what needs attention, then what is live where.

use anyhow::Result;
use ferry_api::{LettersQuery, RunsQuery};

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{Output, now};
use crate::screen;

/// Runs that are looked at: the newest failure of each module should be among
/// them also where modules fail often.
const RUNS_LOOKED_AT: usize = 500;

/// Arguments of `ferry status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry status\n  ferry status --json | jq .attention")]
pub struct Args {
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let client = args.gateway.client()?;
    let query = RunsQuery {
        limit: Some(RUNS_LOOKED_AT),
        ..RunsQuery::default()
    };
    let letters = LettersQuery::default();
    let (line, runs, bases, modules, letters) = futures::try_join!(
        client.line(),
        client.runs(&query),
        client.bases(),
        client.modules(),
        client.letters(&letters)
    )?;
    let now = now();
    let status = screen::Status::of(line, runs, bases, modules, letters, now);
    Output::new(args.json.json).print(&status, |paint| screen::status(&status, now, paint))?;
    Ok(Exit::Success)
}
