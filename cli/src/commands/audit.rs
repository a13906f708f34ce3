//! `ferry audit export`. In: since when, of which module. Out: the acts that are kept, one CloudEvent a line.

use anyhow::Result;
use ferry_api::AuditQuery;
use futures::StreamExt as _;

use super::why::Since;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::{now, say};

/// What to do with what is kept.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Write every act, decision and outcome to stdout: a CloudEvent (JSON) a line, the oldest first
    Export(ExportArgs),
}

/// Arguments of `ferry audit export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry audit export > acts.ndjson\n  ferry audit export --since 2026-01-01 --module hello | jq -r '[.time, .type] | @tsv'"
)]
pub struct ExportArgs {
    /// Since when: a time ago, a day, or a moment; default: all that is kept
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    since: Option<Since>,
    /// Only this module's
    #[arg(long, value_name = "MODULE")]
    module: Option<String>,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(task: Task) -> Result<Exit> {
    let Task::Export(args) = task;
    let query = AuditQuery {
        since: args.since.map(|since| since.moment(now())),
        module: args.module,
    };
    let client = args.gateway.client()?;
    // One at a time: however much is kept, no more of it is held.
    let mut acts = std::pin::pin!(client.audit(&query));
    while let Some(act) = acts.next().await {
        say(&serde_json::to_string(&act?.event)?)?;
    }
    Ok(Exit::Success)
}
