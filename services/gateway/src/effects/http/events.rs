//! `GET /events`: what happens, as it happens.
//!
//! In: a filter, and after which event to begin. Out: server-sent events whose
//! ids are the stream's sequences, so that a client can take it up again.

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use ferry_api::EventsQuery;
use ferry_bus::{BusError, Start};
use ferry_events::name::token;
use ferry_events::{Event, Kind, subject};
use futures::{Stream, StreamExt as _};
use tokio_stream::wrappers::ReceiverStream;

use super::reads::silent;
use super::refusal::Refusal;
use super::{KEEP_ALIVE, body};
use crate::decide::access::{self, Caller};
use crate::effects::app::App;

/// The header with which a client says what it saw last.
pub(super) const LAST: &str = "last-event-id";

pub(super) async fn stream(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Refusal> {
    let query: EventsQuery = body::query(&uri)?;
    let kinds = kinds(query.kind.as_deref())?;
    let after = last(&headers)?.or(query.after);
    let turn = turn(&app)?;
    let until = if query.once { Some(head(&app)?) } else { None };
    let start = after.map_or(Start::New, |after| Start::At(after.saturating_add(1)));
    let start = if until.is_some() && after.is_none() {
        Start::First
    } else {
        start
    };
    // To know the end, every event must be seen to pass.
    let filters = if until.is_some() {
        vec![subject::ALL_EVENTS.to_owned()]
    } else {
        filters(&query, kinds.as_deref())
    };
    let nothing = until.is_some_and(|until| after.unwrap_or_default() >= until || until == 0);
    // Behind the end there is nothing to begin with: the bus would take it for a restored stream.
    let start = if nothing { Start::New } else { start };
    let mut messages = app
        .bus
        .watch(subject::STREAM, filters, start)
        .await
        .map_err(silent)?;

    let drain = app.drain.clone();
    let events = async_stream(move |out| async move {
        let _turn = turn;
        if nothing {
            return end(&out).await;
        }
        // A message that cannot be had comes again: the watch goes on by itself.
        while let Some(message) = messages.next().await {
            let message = match message {
                Ok(message) => message,
                // The stream was put back: what the client saw last is not in it any more.
                Err(BusError::Damaged(_)) => return Some(()),
                Err(_) => continue,
            };
            if let Ok(event) = Event::decode(&message.payload)
                && wanted(&query, kinds.as_deref(), &event)
            {
                let config = app.config();
                // A token that was taken away ends its streams.
                if !access::still_there(&config, &caller) {
                    return Some(());
                }
                if caller.sees(&config, &event) {
                    let item = Message::default()
                        .id(message.sequence.to_string())
                        .event(event.body.kind().short_name())
                        .data(String::from_utf8_lossy(&message.payload));
                    out.send(item).await.ok()?;
                }
            }
            if until.is_some_and(|until| message.sequence >= until) {
                return end(&out).await;
            }
        }
        Some(())
    });
    let events = events.take_until(drain.cancelled_owned());
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

type Out = tokio::sync::mpsc::Sender<Message>;

/// Messages on their way to one client; a slow one holds up only itself.
const BUFFER: usize = 64;

/// A stream of what a task sends. The task ends with its client: its next send
/// fails, and until then it only waits.
pub(super) fn async_stream<F>(work: impl FnOnce(Out) -> F) -> ReceiverStream<Message>
where
    F: Future<Output = Option<()>> + Send + 'static,
{
    let (out, items) = tokio::sync::mpsc::channel(BUFFER);
    let closed = out.clone();
    let work = work(out);
    tokio::spawn(async move {
        tokio::select! {
        biased;
                    _ = work => {}
                    () = closed.closed() => {}
                }
    });
    ReceiverStream::new(items)
}

/// The last message of a stream that is complete, so that clients do not come
/// again.
pub(super) async fn end(out: &Out) -> Option<()> {
    let end = ferry_api::event::END;
    out.send(Message::default().event(end).data(end)).await.ok()
}

pub(super) fn turn(app: &App) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
    let full = || Refusal::unavailable("streams-full", "too many streams are open");
    app.streams.clone().try_acquire_owned().map_err(|_| full())
}

/// What the client saw last.
pub(super) fn last(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(given) = headers.get(LAST) else {
        return Ok(None);
    };
    let number = given
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let bad = || Refusal::bad_request("Last-Event-ID is no number that this gateway gave");
    number.map(Some).ok_or_else(bad)
}

/// Where the stream ends now.
fn head(app: &App) -> Result<u64, Refusal> {
    let progress = *app.progress().borrow();
    if progress.caught_up {
        Ok(app.see(crate::decide::views::Views::head))
    } else {
        Err(Refusal::unavailable(
            "catching-up",
            "the gateway has just started and catches up",
        ))
    }
}

/// The kinds that a filter names: one, or all of a subject.
fn kinds(filter: Option<&str>) -> Result<Option<Vec<Kind>>, Refusal> {
    let Some(filter) = filter else {
        return Ok(None);
    };
    let named = |kind: &&Kind| kind.short_name() == filter || kind.subject() == filter;
    let kinds: Vec<Kind> = Kind::ALL.iter().filter(named).copied().collect();
    if kinds.is_empty() {
        let known: Vec<String> = Kind::ALL.iter().map(|kind| kind.short_name()).collect();
        let shown: String = filter.chars().take(80).collect();
        return Err(
            Refusal::bad_request(format!("there is no event type {shown:?}"))
                .next(format!("one of: {}", known.join(", "))),
        );
    }
    Ok(Some(kinds))
}

/// What the bus may leave out already. A run's events are told apart here.
fn filters(query: &EventsQuery, kinds: Option<&[Kind]>) -> Vec<String> {
    let module = query
        .module
        .as_deref()
        .map_or_else(|| "*".to_owned(), token);
    match kinds {
        None => vec![format!("ferry.events.*.{module}.>")],
        Some(kinds) => kinds
            .iter()
            .map(|kind| {
                format!(
                    "ferry.events.*.{module}.*.{}.{}",
                    kind.subject(),
                    kind.predicate()
                )
            })
            .collect(),
    }
}

fn wanted(query: &EventsQuery, kinds: Option<&[Kind]>, event: &Event) -> bool {
    query
        .module
        .as_ref()
        .is_none_or(|module| event.scope.module.as_ref() == Some(module))
        && kinds.is_none_or(|kinds| kinds.contains(&event.body.kind()))
        && query.run.is_none_or(|run| event.run() == Some(run))
}
