//! `ferry dead`: messages that could not be handled.
//!
//! In: letters, by id or selected. Out: what there is, what one says, what became of those that were
//! replayed or dropped.

use anyhow::Result;
use ferry_api::{Client, CloseRequest, CommandState, CommandView, LettersQuery};
use ferry_events::{Reason, Service};
use serde::Serialize;

use super::Json;
use super::asked::settled;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::{Output, now};
use crate::screen;

/// What to do with dead letters.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// List the dead letters that wait for a person
    List(ListArgs),
    /// Show one: its message, its errors, what to do next
    Show(ShowArgs),
    /// Have the message handled after all, by the service that could not
    Replay(CloseArgs),
    /// Close it; the message will not be handled
    Drop(CloseArgs),
}

/// Which letters.
#[derive(Debug, Clone, clap::Args)]
pub struct Selection {
    /// Only with this reason
    #[arg(long, value_name = "CODE", value_parser = reason)]
    reason: Option<Reason>,
    /// Only about this module
    #[arg(long, value_name = "MODULE")]
    module: Option<String>,
    /// Only of this service
    #[arg(long, value_name = "SERVICE", value_parser = service)]
    service: Option<Service>,
}

impl Selection {
    fn query(&self, all: bool) -> LettersQuery {
        LettersQuery {
            service: self.service,
            reason: self.reason,
            module: self.module.clone(),
            all,
        }
    }

    fn is_empty(&self) -> bool {
        self.reason.is_none() && self.module.is_none() && self.service.is_none()
    }
}

fn reason(text: &str) -> Result<Reason, String> {
    let found = Reason::ALL.iter().find(|reason| reason.code() == text);
    found
        .copied()
        .ok_or_else(|| format!("{text:?} is no reason; docs/reasons.md lists them"))
}

fn service(text: &str) -> Result<Service, String> {
    let names = Service::ALL.map(Service::name).join(", ");
    let found = Service::ALL.into_iter().find(|it| it.name() == text);
    found.ok_or_else(|| format!("{text:?} is no service; there are {names}"))
}

/// Arguments of `ferry dead list`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry dead list\n  ferry dead list --service slimmer --reason our-fault\n  ferry dead list --all --json"
)]
pub struct ListArgs {
    #[command(flatten)]
    selection: Selection,
    /// Those that were replayed or dropped too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Arguments of `ferry dead show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry dead show 1a2b3c4d\n  ferry dead show 1a2b --json | jq .errors"
)]
pub struct ShowArgs {
    /// The letter's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    letter: String,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Arguments of `ferry dead replay` and `ferry dead drop`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Name letters, or select open ones by --reason, --module, --service.\n\nExamples:\n  ferry dead replay 1a2b3c4d --why 'the slimmer is mended'\n  ferry dead replay --service slimmer --reason our-fault --why 'version 1.4.2 is out'\n  ferry dead drop 1a2b3c4d --why 'the repository is gone'"
)]
pub struct CloseArgs {
    /// Ids, or at least four of their first digits
    #[arg(value_name = "LETTER", value_parser = run_id)]
    letters: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Why, in your words; kept with what is done
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// What became of one letter.
#[derive(Debug, Serialize)]
struct Closed {
    letter: String,
    #[serde(flatten)]
    command: CommandView,
}

/// Runs it.
pub async fn run(task: Task) -> Result<Exit> {
    match task {
        Task::List(args) => list(args).await,
        Task::Show(args) => show(args).await,
        Task::Replay(args) => close(args, true).await,
        Task::Drop(args) => close(args, false).await,
    }
}

async fn list(args: ListArgs) -> Result<Exit> {
    let query = args.selection.query(args.all);
    let letters = args.gateway.client()?.letters(&query).await?;
    Output::new(args.json.json).print(&letters, |paint| screen::letters(&letters, now(), paint))?;
    Ok(Exit::Success)
}

async fn show(args: ShowArgs) -> Result<Exit> {
    let letter = args.gateway.client()?.letter(&args.letter).await?;
    Output::new(args.json.json).print(&letter, |paint| screen::letter(&letter, now(), paint))?;
    Ok(Exit::Success)
}

async fn close(args: CloseArgs, replay: bool) -> Result<Exit> {
    let client = args.gateway.client()?;
    let output = Output::new(args.json.json);
    let mut exit = Exit::Success;
    let mut closed = Vec::new();
    let ask = CloseRequest {
        why: args.why.clone(),
    };
    for letter in chosen(&args, &client).await? {
        let answer = if replay {
            client.replay_letter(&letter, &ask).await?
        } else {
            client.drop_letter(&letter, &ask).await?
        };
        let command = settled(&client, &answer, false).await?;
        exit = match command.state {
            CommandState::Refused => Exit::Failed,
            CommandState::Waiting if exit == Exit::Success => Exit::Unfinished,
            _ => exit,
        };
        closed.push(Closed { letter, command });
    }
    output.print(&closed, |paint| {
        if closed.is_empty() {
            return "no such dead letters are open".to_owned();
        }
        let lines = closed
            .iter()
            .map(|it| screen::closed(&it.letter, replay, &it.command, paint));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    Ok(exit)
}

/// The letters that are named, or the open ones that are selected, oldest first.
async fn chosen(args: &CloseArgs, client: &Client) -> Result<Vec<String>> {
    match (args.letters.is_empty(), args.selection.is_empty()) {
        (false, true) => Ok(args.letters.clone()),
        (true, false) => {
            let open = client.letters(&args.selection.query(false)).await?;
            let ids = open.iter().rev().map(|letter| letter.id.to_string());
            Ok(ids.collect())
        }
        (both_missing, _) => {
            let what = if both_missing {
                "no dead letter is named"
            } else {
                "letters are named and selected at once"
            };
            Err(Stopped::new(Exit::Usage, what)
                .next("name letters by their ids, or select some by --reason, --module, --service")
                .into())
        }
    }
}
