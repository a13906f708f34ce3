//! `ferry events`. In: filters. Out: events, one a line.

use anyhow::Result;
use ferry_api::EventsQuery;
use futures::StreamExt as _;

use super::Json;
use crate::exit::Exit;
use crate::gateway::GatewayArgs;
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry events`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry events                                  all that is kept\n  ferry events --follow                         from now on\n  ferry events --type base --since 1200         of bases, after a place in the stream\n  ferry events --type service.deployed --json | jq .event"
)]
pub struct Args {
    /// Only this module's
    #[arg(long, value_name = "MODULE")]
    module: Option<String>,
    /// Only this kind, such as push.received, or all of a subject, such as base
    #[arg(long = "type", value_name = "KIND")]
    kind: Option<String>,
    /// Stay, and print each event as it happens
    #[arg(long, short)]
    follow: bool,
    /// Begin after this place in the stream; default: the beginning, with
    /// --follow now
    #[arg(long, value_name = "SEQ")]
    since: Option<u64>,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let query = EventsQuery {
        module: args.module,
        kind: args.kind,
        run: None,
        after: args.since.or(if args.follow { None } else { Some(0) }),
        once: !args.follow,
    };
    let client = args.gateway.client()?;
    let output = Output::new(args.json.json);
    let mut events = std::pin::pin!(client.events(&query));
    while let Some(event) = events.next().await {
        let event = event?;
        output.line(&event, |paint| screen::history_line(&event, paint))?;
    }
    Ok(Exit::Success)
}
