//! `GET /why/{id}`, `/modules/{module}/history`, `/audit`: what is kept of who did what, when and why.
//!
//! In: a caller, a run, base or module. Out: its story, its history, or the acts themselves; all from `FERRY_AUDIT`,
//! one event at a time, without what the caller must not see.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use chrono::TimeDelta;
use ferry_api::{
    About, AuditQuery, HistoryQuery, HistoryView, RunView, RunsQuery, WhyQuery, WhyView,
};
use ferry_bus::Start;
use ferry_events::name::token;
use ferry_events::{Body, Event, PushId, RunId, Timestamp, subject};
use futures::{Stream, StreamExt as _};

use super::commands::known;
use super::events::{async_stream, end, last, turn};
use super::reads::{UpToDate, find, place_of, seen_bases, silent};
use super::refusal::Refusal;
use super::{KEEP_ALIVE, body};
use crate::decide::access::{self, Caller};
use crate::decide::why::{History, Known, OfBase, OfModule, OfRun};
use crate::effects::app::App;

/// So much of the past is told of a base or a module, unless it is said since when.
const PAST: TimeDelta = TimeDelta::days(30);
/// A run's story begins with the push, which may have waited in the inbox, and for the forge.
const BEFORE: TimeDelta = TimeDelta::hours(1);
/// Fewer digits of a run's id fit too many runs.
const DIGITS_MIN: usize = 4;

pub(super) async fn why(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<WhyView>, Refusal> {
    let query: WhyQuery = body::query(&uri)?;
    let _turn = turn(&app)?;
    let config = app.config();
    let since = query.since.unwrap_or_else(|| app.clock.now() - PAST);
    let of_module = config.module(&name).is_some() && caller.sees_module(&name);
    let view = match (query.about, place_of(&app, &caller, &name)) {
        (Some(About::Module), _) if !of_module => return Err(Refusal::not_found("module", &name)),
        (None | Some(About::Module), _) if of_module => module(&app, &caller, &name, since).await?,
        (None | Some(About::Base), Some(there)) => {
            base(&app, &caller, &name, &there, since).await?
        }
        (Some(About::Base), None) => return Err(Refusal::not_found("base", &name)),
        _ => run(&app, &caller, &name).await?,
    };
    Ok(Json(view))
}

/// Feeds acts to a story until it is over.
async fn feed(
    app: &App,
    caller: &Caller,
    filters: Vec<String>,
    start: Start,
    mut take: impl FnMut(&Event) -> ControlFlow<()>,
) -> Result<(), Refusal> {
    let config = app.config();
    let past = app.bus.past(subject::AUDIT, filters, start).await;
    let mut acts = past.map_err(silent)?;
    while let Some(message) = acts.next().await {
        let message = message.map_err(silent)?;
        // One of a newer version is left out, as of the views.
        let Ok(event) = Event::decode(&message.payload) else {
            continue;
        };
        if caller.sees(&config, &event) && take(&event).is_break() {
            break;
        }
    }
    Ok(())
}

/// Of a module: its own acts, those on its line, and what is about no module.
fn around(module: &str) -> Vec<String> {
    let own = format!("ferry.events.*.{}.>", token(module));
    let others = ["line", "base", "push"].map(|what| format!("ferry.events.*._.*.{what}.*"));
    [own].into_iter().chain(others).collect()
}

async fn module(
    app: &App,
    caller: &Caller,
    name: &str,
    since: Timestamp,
) -> Result<WhyView, Refusal> {
    let mut story = OfModule::new(name);
    feed(app, caller, around(name), Start::Since(since), |event| {
        if event.time >= since {
            story.take(event);
        }
        ControlFlow::Continue(())
    })
    .await?;
    let config = app.config();
    let query = RunsQuery {
        module: Some(name.to_owned()),
        limit: Some(1),
        ..RunsQuery::default()
    };
    Ok(app.see(|views| {
        let last = views.runs().list(&query, |_| true).pop();
        story.told(views.module(&config, name).as_ref(), last.as_ref())
    }))
}

async fn base(
    app: &App,
    caller: &Caller,
    name: &str,
    environment: &str,
    since: Timestamp,
) -> Result<WhyView, Refusal> {
    let mut story = OfBase::new(name);
    let filters = vec![format!("ferry.events.*.*.{}.>", token(environment))];
    feed(app, caller, filters, Start::Since(since), |event| {
        if event.time >= since {
            story.take(event);
        }
        ControlFlow::Continue(())
    })
    .await?;
    let now = seen_bases(app, caller);
    Ok(story.told(now.iter().find(|base| base.name == name)))
}

/// A run that is to be told of.
struct Meant {
    run: RunId,
    module: String,
    push: Option<PushId>,
    began: Timestamp,
    view: Option<RunView>,
}

async fn run(app: &App, caller: &Caller, id: &str) -> Result<WhyView, Refusal> {
    let meant = match find(app, caller, id) {
        Ok(view) => Meant {
            run: view.summary.id,
            module: view.summary.module.clone(),
            push: view.push,
            began: view.summary.began_at,
            view: Some(view),
        },
        Err(refusal) if refusal.is_not_found() => long_ago(app, caller, id).await?,
        Err(refusal) => return Err(refusal),
    };
    let mut story = OfRun::new(meant.run, &meant.module, meant.push);
    let start = Start::Since(meant.began - BEFORE);
    feed(app, caller, around(&meant.module), start, |event| {
        story.take(event)
    })
    .await?;
    let (bases, config) = (seen_bases(app, caller), app.config());
    let past = app.see(|views| past(&meant, views.module(&config, &meant.module)));
    let known = Known {
        run: meant.view.as_ref(),
        bases: &bases,
        past: &past,
    };
    Ok(story.told(known))
}

/// Environments in which something else became live since, or is on its way: how bases stand there now is not this
/// run's.
fn past(meant: &Meant, module: Option<ferry_api::ModuleView>) -> BTreeSet<String> {
    let ended = meant.view.as_ref().and_then(|view| view.summary.ended_at);
    let environments = module.into_iter().flat_map(|it| it.environments);
    environments
        .filter(|there| {
            let other = there.run.is_some_and(|run| run != meant.run);
            let since = ended.is_none_or(|ended| there.since.is_some_and(|since| since > ended));
            meant.view.is_none() || other && ended.is_some() && since
        })
        .map(|there| there.environment)
        .collect()
}

/// A run that the views do not remember.
async fn long_ago(app: &App, caller: &Caller, id: &str) -> Result<Meant, Refusal> {
    let digits = id.chars().filter(char::is_ascii_hexdigit).count();
    if digits < DIGITS_MIN {
        return Err(Refusal::not_found("run, base or module", id));
    }
    let mut found: Vec<Meant> = Vec::new();
    let filters = vec!["ferry.events.*.*.*.pipelinerun.queued".to_owned()];
    feed(app, caller, filters, Start::First, |event| {
        if let Body::RunQueued(it) = &event.body
            && it.run.to_string().starts_with(id)
            && found.len() < 5
        {
            found.push(Meant {
                run: it.run,
                module: it.module.clone(),
                push: it.push,
                began: event.time,
                view: None,
            });
        }
        ControlFlow::Continue(())
    })
    .await?;
    let all: Vec<String> = found.iter().map(|one| one.run.to_string()).collect();
    match (found.pop(), all.len()) {
        (Some(one), 1) => Ok(one),
        (None, _) => Err(Refusal::not_found("run, base or module", id)),
        (Some(_), _) => {
            let detail = format!("several runs begin with {id}: {}", all.join(", "));
            Err(Refusal::new(StatusCode::CONFLICT, "ambiguous-run", detail)
                .next("give more digits of the run's id"))
        }
    }
}

pub(super) async fn history(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Json<HistoryView>, Refusal> {
    let query: HistoryQuery = body::query(&uri)?;
    known(&app.config(), &caller, &name)?;
    let _turn = turn(&app)?;
    let mut history = History::new(&name, query.environment.as_deref());
    // What is said of single bases does not change it.
    let kinds = [
        "change.merged",
        "artifact.published",
        "pipelinerun.queued",
        "rollout.planned",
        "rollout.finished",
        "wave.started",
        "service.*",
    ];
    let name = token(&name);
    let filters = kinds.map(|kind| format!("ferry.events.*.{name}.*.{kind}"));
    feed(&app, &caller, filters.into(), Start::First, |event| {
        history.take(event);
        ControlFlow::Continue(())
    })
    .await?;
    Ok(Json(history.told()))
}

pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Message, Infallible>>>, Refusal> {
    let query: AuditQuery = body::query(&uri)?;
    let turn = turn(&app)?;
    // The stream took it a little later than it happened, or long after: never before.
    let start = match (last(&headers)?, query.since) {
        (Some(last), _) => Start::At(last.saturating_add(1)),
        (None, Some(since)) => Start::Since(since),
        (None, None) => Start::First,
    };
    let filter = match &query.module {
        Some(module) => format!("ferry.events.*.{}.>", token(module)),
        None => subject::ALL_EVENTS.to_owned(),
    };
    let past = app.bus.past(subject::AUDIT, vec![filter], start).await;
    let mut acts = past.map_err(silent)?;
    let drain = app.drain.clone();
    let events = async_stream(move |out| async move {
        let _turn = turn;
        while let Some(message) = acts.next().await {
            // The client comes again behind what it has.
            let message = message.ok()?;
            let Ok(event) = Event::decode(&message.payload) else {
                continue;
            };
            let config = app.config();
            if !access::still_there(&config, &caller) {
                return None;
            }
            let wanted = query.since.is_none_or(|since| event.time >= since);
            if wanted && caller.sees(&config, &event) {
                let item = Message::default()
                    .id(message.sequence.to_string())
                    .event(event.body.kind().short_name())
                    .data(String::from_utf8_lossy(&message.payload));
                out.send(item).await.ok()?;
            }
        }
        end(&out).await
    });
    let events = events.take_until(drain.cancelled_owned());
    Ok(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
