//! `ferry runs`. In: filters. Out: runs, newest first, as a table or JSON.

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use ferry_api::{RunState, RunsQuery};

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{Output, now};
use crate::screen;

/// The states by their words.
const STATES: [RunState; 8] = [
    RunState::Queued,
    RunState::Building,
    RunState::Slimming,
    RunState::RollingOut,
    RunState::Succeeded,
    RunState::Failed,
    RunState::Superseded,
    RunState::Broken,
];

/// Arguments of `ferry runs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry runs\n  ferry runs --module hello --state failed --limit 5"
)]
pub struct Args {
    /// Only this module's
    #[arg(long, value_name = "MODULE")]
    module: Option<String>,
    /// Only those in this state
    #[arg(
        long,
        value_name = "STATE",
        value_parser = PossibleValuesParser::new(STATES.map(RunState::as_str))
            .try_map(|word| state(&word))
    )]
    state: Option<RunState>,
    /// At most so many
    #[arg(
        long,
        value_name = "N",
        default_value_t = RunsQuery::DEFAULT_LIMIT as u64,
        value_parser = clap::value_parser!(u64).range(1..=RunsQuery::MAX_LIMIT as u64)
    )]
    limit: u64,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

fn state(word: &str) -> Result<RunState, String> {
    let found = STATES.into_iter().find(|state| state.as_str() == word);
    found.ok_or_else(|| format!("{word:?} is no state of a run"))
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let query = RunsQuery {
        module: args.module,
        state: args.state,
        limit: Some(usize::try_from(args.limit)?),
    };
    let runs = args.gateway.client()?.runs(&query).await?;
    Output::new(args.json.json).print(&runs, |paint| screen::runs(&runs, now(), paint))?;
    Ok(Exit::Success)
}
