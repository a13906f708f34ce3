//! `ferry plan MODULE`. In: a module, an artifact, an environment. Out: what would be done, and nothing done.

use anyhow::Result;
use ferry_api::PlanQuery;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry plan`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry plan hello\n  ferry plan hello --artifact 1.0.0-1a2b3c4d-0123456789ab --to prod\n  ferry plan hello --artifact 1a2b3c4d --json | jq '.environments[].plan.waves'"
)]
pub struct Args {
    /// The module
    module: String,
    /// An artifact: the first digits of its SHA-256, its version, or a run that made it; default: what is
    /// verified in the first environment that has something
    #[arg(long, value_name = "D")]
    artifact: Option<String>,
    /// Only this environment; default: all of the module's, in order
    #[arg(long, value_name = "ENV")]
    to: Option<String>,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it. A plan that would be stopped is no success.
pub async fn run(args: Args) -> Result<Exit> {
    let query = PlanQuery {
        artifact: args.artifact,
        to: args.to,
    };
    let plan = args.gateway.client()?.plan(&args.module, &query).await?;
    Output::new(args.json.json).print(&plan, |paint| screen::plan(&plan, paint))?;
    let stopped = plan
        .environments
        .iter()
        .any(|there| !there.preview.stops.is_empty());
    Ok(if stopped { Exit::Failed } else { Exit::Success })
}
