//! What the API shows: pushes, runs, bases, modules.
//!
//! In: a caller and what it asks for. Out: the views, without what it must not
//! see.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use ferry_api::{BaseView, ModuleView, PushState, PushView, RunSummary, RunView, RunsQuery};
use ferry_events::PushId;
use ferry_events::push::Received;

use super::body;
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::decide::{record, views};
use crate::effects::app::App;

/// A request that is answered only once the views have heard all that was said before this
/// process began: half of the truth would look like "there is no such run".
pub(super) struct UpToDate;

impl FromRequestParts<App> for UpToDate {
    type Rejection = Refusal;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, Refusal> {
        up_to_date(app).map(|()| Self)
    }
}

/// The same, where only some requests need the views.
pub(super) fn up_to_date(app: &App) -> Result<(), Refusal> {
    let progress = *app.progress().borrow();
    if progress.caught_up {
        return Ok(());
    }
    let detail = format!(
        "the views are catching up: {} messages to go",
        progress.pending
    );
    Err(Refusal::unavailable("catching-up", detail))
}

pub(super) async fn push(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<PushView>, Refusal> {
    let unknown = || Refusal::not_found("push", &id);
    let push: PushId = id.parse().map_err(|_| unknown())?;
    let view = match app.see(|views| views.push(push).cloned()) {
        Some(view) => view,
        None => recorded(&app, push).await?.ok_or_else(unknown)?,
    };
    let seen = caller.sees_repository(&app.config(), &view.repository);
    seen.then_some(Json(view)).ok_or_else(unknown)
}

/// A push that the views do not have: so new that it is in the inbox or on its
/// way from the bus, or so old that they forgot it.
async fn recorded(app: &App, push: PushId) -> Result<Option<PushView>, Refusal> {
    if let Some(waits) = app.inbox.get(push) {
        return Ok(Some(views::received(&waits, PushState::Inbox)));
    }
    let record = app
        .bus
        .read(&record::subject_of(push))
        .await
        .map_err(silent)?;
    let received = record.and_then(|it| serde_json::from_slice::<Received>(&it.payload).ok());
    Ok(received.map(|it| views::received(&it, PushState::Received)))
}

pub(super) fn silent(error: ferry_bus::BusError) -> Refusal {
    Refusal::unavailable("bus-silent", error.to_string())
}

pub(super) async fn runs(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Vec<RunSummary>>, Refusal> {
    let query: RunsQuery = body::query(&uri)?;
    let seen = |run: &RunView| caller.sees_module(&run.summary.module);
    Ok(Json(app.see(|views| views.runs().list(&query, seen))))
}

pub(super) async fn run(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<RunView>, Refusal> {
    let run = find(&app, &caller, &id)?;
    Ok(Json(app.see(|views| views.whole(&run))))
}

/// A run by its id or the id's first digits.
pub(super) fn find(app: &App, caller: &Caller, id: &str) -> Result<RunView, Refusal> {
    let seen = |run: &RunView| caller.sees_module(&run.summary.module);
    app.see(|views| match views.runs().find(id, seen) {
        views::Found::One(run) => Ok(run.clone()),
        views::Found::None => Err(Refusal::not_found("run", id)),
        views::Found::Several(runs) => {
            let shown: Vec<String> = runs.iter().take(5).map(ToString::to_string).collect();
            let detail = format!("{} runs begin with {id}: {}", runs.len(), shown.join(", "));
            Err(Refusal::new(StatusCode::CONFLICT, "ambiguous-run", detail)
                .next("give more digits of the run's id"))
        }
    })
}

pub(super) async fn bases(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
) -> Json<Vec<BaseView>> {
    Json(seen_bases(&app, &caller))
}

/// The bases as they are now, without what a caller must not see.
pub(super) fn seen_bases(app: &App, caller: &Caller) -> Vec<BaseView> {
    let config = app.config();
    let mut bases = app.see(|views| views.bases(&config));
    bases.retain(|base| caller.sees_environment(&base.environment));
    for base in &mut bases {
        base.wanted.retain(|it| caller.sees_module(&it.module));
    }
    bases
}

/// The environment of a base that a caller may see.
pub(super) fn place_of(app: &App, caller: &Caller, base: &str) -> Option<String> {
    let config = app.config();
    let environment = config.environment_of_base(base)?;
    let seen = caller.sees_environment(environment);
    seen.then(|| environment.to_owned())
}

pub(super) async fn modules(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
) -> Json<Vec<ModuleView>> {
    let config = app.config();
    let seen = config
        .modules
        .keys()
        .filter(|module| caller.sees_module(module));
    Json(app.see(|views| {
        seen.filter_map(|module| views.module(&config, module))
            .collect()
    }))
}

pub(super) async fn module(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(module): Path<String>,
) -> Result<Json<ModuleView>, Refusal> {
    let config = app.config();
    let view = app.see(|views| views.module(&config, &module));
    view.filter(|_| caller.sees_module(&module))
        .map(Json)
        .ok_or_else(|| Refusal::not_found("module", &module))
}
