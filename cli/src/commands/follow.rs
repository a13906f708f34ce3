//! A run, followed to its end.
//!
//! In: the run. Out: a line a step as it happens, and the exit code.

use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_api::{Client, EventsQuery, RunState, RunView, StreamedEvent};
use ferry_events::run::Outcome;
use ferry_events::{Body, RunId};
use futures::{Stream, StreamExt as _};

use crate::exit::Exit;
use crate::gateway::run_soon;
use crate::output::{Output, say};
use crate::screen;

/// How long to wait for an end.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Limit {
    /// Give up waiting after so long, such as 90s or 10m (exit code 6)
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
}

impl Limit {
    /// Waits for work within the limit.
    pub async fn hold(self, work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
        match self.timeout {
            None => work.await,
            Some(limit) => match tokio::time::timeout(limit, work).await {
                Ok(done) => done,
                Err(_) => {
                    let limit = humantime::format_duration(limit);
                    eprintln!("still going on after {limit}; it goes on without this command");
                    Ok(Exit::Unfinished)
                }
            },
        }
    }
}

/// Prints what happens to a run, from its beginning, until it is over.
pub async fn follow(client: &Client, run: RunView, output: Output) -> Result<Exit> {
    let (id, began) = (run.summary.id, run.summary.began_at);
    if let Some(push) = run.push.filter(|_| !output.json) {
        // A push of long ago may be forgotten; the run is not.
        if let Ok(push) = client.push(push).await {
            say(&screen::push_line(began, &push, output.paint()))?;
        }
    }
    let over = run.summary.state.is_over();
    let query = EventsQuery {
        run: Some(id),
        after: Some(0),
        once: over,
        ..EventsQuery::default()
    };
    let events = client.events(&query);
    if let Some(exit) = print_all(std::pin::pin!(events), id, began, output).await? {
        return Ok(exit);
    }
    // Its last event is older than the stream keeps: the gateway still knows.
    let state = if over {
        run.summary.state
    } else {
        client.run(&id.to_string()).await?.summary.state
    };
    Ok(exit_of_state(state))
}

/// Follows a run that was just begun.
pub async fn follow_new(client: &Client, id: RunId, output: Output) -> Result<Exit> {
    let run = run_soon(client, &id.to_string())
        .await
        .context("the run that was begun")?;
    follow(client, run, output).await
}

async fn print_all<S, E>(
    mut events: std::pin::Pin<&mut S>,
    id: RunId,
    began: ferry_events::Timestamp,
    output: Output,
) -> Result<Option<Exit>>
where
    S: Stream<Item = Result<StreamedEvent, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    while let Some(streamed) = events.next().await {
        let streamed = streamed?;
        let Ok(event) = streamed.decode() else {
            output.line(&streamed, |paint| screen::history_line(&streamed, paint))?;
            continue;
        };
        output.line(&streamed, |paint| screen::event_line(began, &event, paint))?;
        if let Body::RunFinished(finished) = &event.body
            && finished.run == id
        {
            if !output.json {
                say(&format!(
                    "\n{}",
                    screen::end_of_run(finished, output.paint())
                ))?;
            }
            return Ok(Some(exit_of_outcome(finished.outcome)));
        }
    }
    Ok(None)
}

fn exit_of_outcome(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Success => Exit::Success,
        Outcome::Failure | Outcome::Error => Exit::Failed,
        Outcome::Cancel => Exit::Superseded,
    }
}

fn exit_of_state(state: RunState) -> Exit {
    match state {
        RunState::Succeeded => Exit::Success,
        RunState::Failed | RunState::Broken => Exit::Failed,
        RunState::Superseded => Exit::Superseded,
        _ => Exit::Unfinished,
    }
}
