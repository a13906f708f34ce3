//! `ferry pushes show ID`. In: a push's id, as the forge was answered. Out: what
//! became of it.

use anyhow::Result;
use ferry_events::PushId;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{Output, now};
use crate::screen;

/// What to do with pushes.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Show what became of one push
    Show(Args),
}

/// Arguments of `ferry pushes show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The forge's list of deliveries shows the push's id in the answer.\n\nExamples:\n  ferry pushes show 7d1c6c1e-52e4-5a0b-9e9e-f0e770fe2217"
)]
pub struct Args {
    /// The push's id
    push: PushId,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(task: Task) -> Result<Exit> {
    let Task::Show(args) = task;
    let push = args.gateway.client()?.push(args.push).await?;
    Output::new(args.json.json).print(&push, |paint| screen::push(&push, now(), paint))?;
    Ok(Exit::Success)
}
