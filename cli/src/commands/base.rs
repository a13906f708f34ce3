//! `ferry base hold`, `release` and `restart`. In: a base, why. Out: what became of it. `inspect` and `diff` are in
//! `slim.rs`.

use anyhow::Result;
use ferry_api::{BaseRequest, Client, ClientError, CommandAnswer};

use super::asked::once_settled;
use super::{Json, slim};
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;

/// What to do with a base.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Have a base left alone by rollouts and repairs, so that a person can mend it
    Hold(HoldArgs),
    /// Give a base back; it is brought up to date
    Release(ReleaseArgs),
    /// Have a base restarted by its pool's driver, once its modules can spare it
    Restart(RestartArgs),
    /// Write down what a base's jar provides
    Inspect(slim::InspectArgs),
    /// Tell what changed from one build of a base to another
    Diff(slim::DiffArgs),
}

#[derive(Debug, clap::Args)]
struct Args {
    /// The base
    base: String,
    /// Why, in your words; shown wherever it bites
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Arguments of `ferry base hold`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is being changed on it at this moment is finished first.\n\nExamples:\n  ferry base hold prod-2 --why 'its disk is replaced'"
)]
pub struct HoldArgs {
    #[command(flatten)]
    args: Args,
}

/// Arguments of `ferry base release`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry base release prod-2 --why 'the new disk is in'")]
pub struct ReleaseArgs {
    #[command(flatten)]
    args: Args,
}

/// Arguments of `ferry base restart`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "One base of an environment is restarted at a time: it is taken out of its load balancer, restarted with the command of [pools.NAME.restart], and put back once its modules are there again. `ferry bases` tells how far it is.\n\nExamples:\n  ferry base restart prod-2 --why 'its metaspace is nearly full'"
)]
pub struct RestartArgs {
    #[command(flatten)]
    args: Args,
}

/// Runs it.
pub async fn run(task: Task) -> Result<Exit> {
    match task {
        Task::Hold(HoldArgs { args }) => ask(args, Client::hold_base).await,
        Task::Release(ReleaseArgs { args }) => ask(args, Client::release_base).await,
        Task::Restart(RestartArgs { args }) => ask(args, Client::restart_base).await,
        Task::Inspect(args) => slim::inspect(args),
        Task::Diff(args) => slim::diff(args),
    }
}

async fn ask(
    args: Args,
    act: impl AsyncFnOnce(&Client, &str, &BaseRequest) -> Result<CommandAnswer, ClientError>,
) -> Result<Exit> {
    let client = args.gateway.client()?;
    let answer = act(&client, &args.base, &BaseRequest { why: args.why }).await?;
    once_settled(&client, &answer, Output::new(args.json.json)).await
}
