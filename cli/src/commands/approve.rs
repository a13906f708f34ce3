//! `ferry approve RUN` and `ferry promote RUN`. In: a run that waits, why. Out: what became of it.

use anyhow::Result;
use ferry_api::RolloutRequest;

use super::Json;
use super::asked::Wait;
use crate::exit::Exit;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::Output;

/// Arguments of `ferry approve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry approve 1a2b3c4d --why 'tried in pre, looks good'\n  ferry approve 1a2b --env prod --why 'the release of May' --wait"
)]
pub struct ApproveArgs {
    #[command(flatten)]
    args: Args,
}

/// Arguments of `ferry promote`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry promote 1a2b3c4d --why 'the metric is known to be gone'\n  ferry promote 1a2b --env prod --why 'a hotfix for the outage of today' --wait"
)]
pub struct PromoteArgs {
    #[command(flatten)]
    args: Args,
}

/// What both take.
#[derive(Debug, clap::Args)]
struct Args {
    /// The run's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: String,
    /// The environment; default: the one that the run is in
    #[arg(long = "env", value_name = "E", alias = "environment")]
    environment: Option<String>,
    /// Why, in your words; kept with the run
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Says yes to a rollout that waits for approval.
pub async fn approve(args: ApproveArgs) -> Result<Exit> {
    ask(args.args, true).await
}

/// Lets a rollout go on without what it waits for.
pub async fn promote(args: PromoteArgs) -> Result<Exit> {
    ask(args.args, false).await
}

async fn ask(args: Args, approve: bool) -> Result<Exit> {
    let client = args.gateway.client()?;
    // The command causes no run: the one to be followed is this one.
    let run = match args.wait.is_wanted() {
        true => Some(client.run(&args.run).await?.summary.id),
        false => None,
    };
    let ask = RolloutRequest {
        environment: args.environment,
        why: args.why,
    };
    let answer = match approve {
        true => client.approve(&args.run, &ask).await?,
        false => client.promote(&args.run, &ask).await?,
    };
    args.wait
        .after_on(&client, answer, run, Output::new(args.json.json))
        .await
}
