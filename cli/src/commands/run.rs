//! `ferry run MODULE --commit C`. In: a module and a commit. Out: the run.

use anyhow::Result;
use ferry_api::RunRequest;

use super::Json;
use super::asked::Wait;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;

/// Arguments of `ferry run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry run hello --commit main\n  ferry run hello --commit 1a2b3c4d --why 'the hook was missed' --wait"
)]
pub struct Args {
    /// The module
    module: String,
    /// The commit, or anything that git resolves to one
    #[arg(long, value_name = "C")]
    commit: String,
    /// The branch; default: the repository's first, or main
    #[arg(long, value_name = "B")]
    branch: Option<String>,
    /// Why, in your words; kept with the run
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Let it go where the same artifact failed before; needs --why
    #[arg(long, requires = "why")]
    force: bool,
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
    let ask = RunRequest {
        commit: args.commit,
        branch: args.branch,
        force: args.force,
        why: args.why,
    };
    let answer = client.run_commit(&args.module, &ask).await?;
    args.wait
        .after(&client, answer, Output::new(args.json.json))
        .await
}
