//! `GET /runs/{id}/log`: a run's build log, so far or as it is written.
//!
//! In: the run. Out: its lines; with `follow`, as server-sent events until the
//! build has ended.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use ferry_api::{LogLine, LogQuery, LogView};
use ferry_bus::Start;
use ferry_events::{RunId, subject};
use futures::StreamExt as _;

use super::events::{async_stream, end, last, turn};
use super::reads::{find, silent};
use super::refusal::Refusal;
use super::{KEEP_ALIVE, body};
use crate::decide::access::Caller;
use crate::effects::app::App;

/// A log without lines never says that it has none: after this long it is taken
/// for empty. The bus answers within milliseconds.
const QUIET: Duration = Duration::from_millis(500);

/// How long reading a whole log may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The most lines of one reply, at about 100 bytes each some ten megabytes; the
/// rest is read by following.
const LINES_MAX: usize = 100_000;

pub(super) async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let query: LogQuery = body::query(&uri)?;
    let run = find(&app, &caller, &id)?.summary.id;
    if query.follow {
        return follow(app, run, last(&headers)?.unwrap_or_default()).await;
    }
    whole(&app, run)
        .await
        .map(|view| Json(view).into_response())
}

async fn whole(app: &App, run: RunId) -> Result<LogView, Refusal> {
    // Asked first: whatever is written before the end is then read too.
    let complete = app.see(|views| views.runs().log_is_complete(run));
    let mut messages = watch(app, run).await?;
    let mut lines = Vec::new();
    let read = async {
        while let Ok(Some(message)) = tokio::time::timeout(QUIET, messages.next()).await {
            let message = message.map_err(silent)?;
            if let Ok(line) = serde_json::from_slice::<LogLine>(&message.payload) {
                lines.push(line);
            }
            if message.pending == 0 || lines.len() == LINES_MAX {
                break;
            }
        }
        Ok::<_, Refusal>(())
    };
    tokio::time::timeout(DEADLINE, read)
        .await
        .unwrap_or_else(|_| {
            Err(Refusal::unavailable(
                "bus-silent",
                "the log did not come in time",
            ))
        })?;
    let complete = complete && lines.len() < LINES_MAX;
    Ok(LogView { lines, complete })
}

async fn follow(app: App, run: RunId, after: u64) -> Result<Response, Refusal> {
    let turn = turn(&app)?;
    let mut messages = watch(&app, run).await?;
    let drain = app.drain.clone();
    let lines = async_stream(move |out| async move {
        let _turn = turn;
        let mut progress = app.progress();
        loop {
            // Looked at before waiting: what is written until then is read first.
            progress.mark_unchanged();
            let complete = app.see(|views| views.runs().log_is_complete(run));
            let quiet = async {
                if complete {
                    tokio::time::sleep(QUIET).await;
                } else {
                    let _ = progress.changed().await;
                }
            };
            let message = tokio::select! {
                biased;
                message = messages.next() => message?,
                () = quiet => {
                    if complete {
                        return end(&out).await;
                    }
                    continue;
                }
            };
            let Ok(message) = message else { continue };
            let Ok(line) = serde_json::from_slice::<LogLine>(&message.payload) else {
                continue;
            };
            // The client has it from an earlier connection.
            if line.number <= after {
                continue;
            }
            let data = serde_json::to_string(&line).ok()?;
            let item = Message::default()
                .id(line.number.to_string())
                .event("line")
                .data(data);
            out.send(item).await.ok()?;
        }
    });
    let lines = lines
        .take_until(drain.cancelled_owned())
        .map(Ok::<_, std::convert::Infallible>);
    Ok(Sse::new(lines)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response())
}

type Messages =
    futures::stream::BoxStream<'static, Result<ferry_bus::Message, ferry_bus::BusError>>;

async fn watch(app: &App, run: RunId) -> Result<Messages, Refusal> {
    let filters = vec![subject::log(run)];
    app.bus
        .watch(subject::LOGS, filters, Start::First)
        .await
        .map_err(silent)
}
