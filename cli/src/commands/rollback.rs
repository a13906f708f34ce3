//! `ferry rollback MODULE`. In: a module, where, why. Out: the run.

use anyhow::Result;
use ferry_api::RollbackRequest;

use super::Json;
use super::asked::Wait;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;

/// Arguments of `ferry rollback`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry rollback hello --why 'prices are wrong'\n  ferry rollback hello --env pre --to 1.0.0-1a2b3c4d-0123456789ab --why 'trying' --wait"
)]
pub struct Args {
    /// The module
    module: String,
    /// The environment; default: the module's last
    #[arg(long = "env", value_name = "E", alias = "environment")]
    environment: Option<String>,
    /// The version; default: the verified one before
    #[arg(long, value_name = "V")]
    to: Option<String>,
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

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let client = args.gateway.client()?;
    let ask = RollbackRequest {
        environment: args.environment,
        to: args.to,
        why: Some(args.why),
    };
    let answer = client.rollback(&args.module, &ask).await?;
    args.wait
        .after(&client, answer, Output::new(args.json.json))
        .await
}
