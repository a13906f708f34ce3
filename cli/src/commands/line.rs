//! `ferry pause`, `ferry resume` and `ferry abort`. In: a run, a module, an environment or everything; why.
//! Out: what became of it.

use anyhow::Result;
use ferry_api::{Client, ClientError, CommandAnswer, StretchRequest};

use super::Json;
use super::asked::Wait;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::Output;

/// What it concerns: exactly one.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A run: its id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: Option<String>,
    /// A module, in every environment
    #[arg(long, value_name = "M")]
    module: Option<String>,
    /// An environment
    #[arg(long = "env", value_name = "E", alias = "environment")]
    environment: Option<String>,
    /// Everything
    #[arg(long)]
    everything: bool,
}

#[derive(Debug, clap::Args)]
struct Rest {
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Arguments of `ferry pause`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry pause 1a2b3c4d --why 'let us look at the graphs'\n  ferry pause --module hello --why 'prices are wrong'\n  ferry pause --env prod --why 'the database is moved'\n  ferry pause --everything --why 'the network is unsteady'"
)]
pub struct PauseArgs {
    #[command(flatten)]
    what: What,
    /// Why, in your words; shown wherever it bites
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    rest: Rest,
}

/// Arguments of `ferry resume`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What was paused is named as it was for the pause.\n\nExamples:\n  ferry resume 1a2b3c4d --wait\n  ferry resume --env prod --why 'the database is moved'"
)]
pub struct ResumeArgs {
    #[command(flatten)]
    what: What,
    /// Why, in your words; kept with the run
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    rest: Rest,
}

/// Arguments of `ferry abort`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every base that was touched is brought back to what was verified last.\n\nExamples:\n  ferry abort 1a2b3c4d --why 'prices are wrong'\n  ferry abort --env prod --why 'not during the sale'"
)]
pub struct AbortArgs {
    #[command(flatten)]
    what: What,
    /// Why, in your words; kept with the run
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    rest: Rest,
}

/// Lets no wave begin.
pub async fn pause(args: PauseArgs) -> Result<Exit> {
    ask(args.what, Some(args.why), args.rest, async |client, ask| {
        client.pause(ask).await
    })
    .await
}

/// Lifts a pause.
pub async fn resume(args: ResumeArgs) -> Result<Exit> {
    ask(args.what, args.why, args.rest, async |client, ask| {
        client.resume(ask).await
    })
    .await
}

/// Stops what is being rolled out, and takes it back.
pub async fn abort(args: AbortArgs) -> Result<Exit> {
    ask(args.what, Some(args.why), args.rest, async |client, ask| {
        client.abort(ask).await
    })
    .await
}

async fn ask(
    what: What,
    why: Option<String>,
    rest: Rest,
    act: impl AsyncFnOnce(&Client, &StretchRequest) -> Result<CommandAnswer, ClientError>,
) -> Result<Exit> {
    let client = rest.gateway.client()?;
    let run = match (&what.run, rest.wait.is_wanted()) {
        (Some(run), true) => Some(client.run(run).await?.summary.id),
        (None, true) => {
            return Err(
                Stopped::new(Exit::Usage, "--wait follows a run, and none is named")
                    .next("name a run, or look at `ferry status`")
                    .into(),
            );
        }
        (_, false) => None,
    };
    let ask = StretchRequest {
        run: what.run,
        module: what.module,
        environment: what.environment,
        everything: what.everything,
        why,
    };
    let answer = act(&client, &ask).await?;
    rest.wait
        .after_on(&client, answer, run, Output::new(rest.json.json))
        .await
}
