//! What a person asks for: durable before 202, and what became of it.
//!
//! In: a caller and its wish. Out: the command's id; its fate.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use ferry_api::{CommandAnswer, CommandState, CommandView, RollbackRequest, RunRequest};
use ferry_config::Config;
use ferry_events::{Command, CommandId, Verb};
use tracing::info;
use uuid::Uuid;

use super::body;
use super::hooks::traceparent;
use super::reads::silent;
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::decide::command;
use crate::effects::accept::once;
use crate::effects::app::App;

/// How long a commit may take before the person is told. Unlike a forge, people
/// can ask again, so nothing is kept aside for them.
const COMMIT_DEADLINE: Duration = Duration::from_secs(5);

/// The header by which a client repeats a request without asking twice.
const KEY: &str = "idempotency-key";

pub(super) async fn run(
    State(app): State<App>,
    caller: Caller,
    Path(module): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    let ask: RunRequest = body::json(&headers, body).await?;
    may_start(&app.config(), &caller, &module)?;
    let commit =
        text("commit", Some(ask.commit))?.ok_or_else(|| Refusal::bad_request("commit is empty"))?;
    let (branch, why) = (text("branch", ask.branch)?, text("why", ask.why)?);
    let why = forced(ask.force, why)?;
    send(
        &app,
        &caller,
        Verb::Run {
            module,
            commit,
            branch,
            force: ask.force,
        },
        why,
        &headers,
    )
    .await
}

pub(super) async fn rollback(
    State(app): State<App>,
    caller: Caller,
    Path(module): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    let ask: RollbackRequest = body::json(&headers, body).await?;
    let config = app.config();
    known(&config, &caller, &module)?;
    let environments = config.environments_of_module(&module);
    let environment = match text("environment", ask.environment)? {
        Some(name) if environments.contains(&name.as_str()) => name,
        Some(name) => {
            let there = environments.join(", ");
            let detail = format!("module {module} is not in environment {name:?}, but in: {there}");
            return Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "unknown-environment",
                detail,
            ));
        }
        None => match environments.last() {
            Some(last) => (*last).to_owned(),
            None => {
                let detail = format!("module {module} has no bases in any environment");
                return Err(Refusal::new(StatusCode::CONFLICT, "no-bases", detail));
            }
        },
    };
    if !caller.operates(&module, &environment) {
        return Err(not_granted(
            &caller,
            "operate",
            &in_one(&module, &environment),
        ));
    }
    let (to, why) = (text("to", ask.to)?, text("why", ask.why)?);
    send(
        &app,
        &caller,
        Verb::Rollback {
            module,
            environment,
            to,
        },
        why,
        &headers,
    )
    .await
}

pub(super) async fn look(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<CommandView>, Refusal> {
    let unknown = || Refusal::not_found("command", &id);
    let command: CommandId = id.parse().map_err(|_| unknown())?;
    let view = match app.see(|views| views.command(command).cloned()) {
        Some(view) => view,
        None => waiting(&app, command).await?.ok_or_else(unknown)?,
    };
    // Whoever asked may know, though a command on a base is about no module.
    (caller.sees_module(&view.module) || view.actor == caller.name)
        .then_some(Json(view))
        .ok_or_else(unknown)
}

async fn waiting(app: &App, id: CommandId) -> Result<Option<CommandView>, Refusal> {
    let record = app
        .bus
        .read(&command::subject_of(id))
        .await
        .map_err(silent)?;
    let command = record.and_then(|it| serde_json::from_slice::<Command>(&it.payload).ok());
    Ok(command.map(|command| CommandView {
        id,
        state: CommandState::Waiting,
        actor: command.actor,
        module: command.verb.module().to_owned(),
        settled_at: None,
        run: None,
        stop: None,
    }))
}

pub(super) fn text(name: &str, given: Option<String>) -> Result<Option<String>, Refusal> {
    command::text(name, given).map_err(Refusal::bad_request)
}

/// Holds who forces something to a reason.
pub(super) fn forced(force: bool, why: Option<String>) -> Result<Option<String>, Refusal> {
    match why {
        None if force => Err(Refusal::bad_request(
            "\"force\" needs \"why\": say why what failed before may go there again",
        )),
        why => Ok(why),
    }
}

/// Holds the caller to modules that there are and that it sees.
pub(super) fn known(config: &Config, caller: &Caller, module: &str) -> Result<(), Refusal> {
    match config.module(module) {
        Some(_) if caller.sees_module(module) => Ok(()),
        _ => Err(Refusal::not_found("module", module)),
    }
}

/// Holds the caller to modules that it may carry through all their environments.
pub(super) fn may_start(config: &Config, caller: &Caller, module: &str) -> Result<(), Refusal> {
    known(config, caller, module)?;
    match caller.not_operating(config, module) {
        Some(environment) => Err(not_granted(caller, "operate", &in_one(module, environment))),
        None => Ok(()),
    }
}

pub(super) fn in_one(module: &str, environment: &str) -> String {
    format!("module {module} in {environment}")
}

/// The refusal of a caller who lacks a role on something.
pub(super) fn not_granted(caller: &Caller, role: &str, on: &str) -> Refusal {
    let name = &caller.name;
    Refusal::forbidden(format!(
        "token {name:?} has no grant with role {role:?} for {on}"
    ))
}

/// Makes a command durable.
pub(super) async fn send(
    app: &App,
    caller: &Caller,
    verb: Verb,
    why: Option<String>,
    headers: &HeaderMap,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    let what = command::told(&verb);
    let given = headers
        .get(KEY)
        .and_then(|it| it.to_str().ok())
        .map(ToOwned::to_owned);
    let key = given.unwrap_or_else(chance);
    let now = app.clock.now();
    let head = app.see(crate::decide::views::Views::head);
    let command = command::command(&caller.name, verb, why, &key, head, now);
    let record = command::subject_of(command.id);
    let commit = once(&app.bus, command::batch(&command), &record);
    match tokio::time::timeout(COMMIT_DEADLINE, commit).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(unsure(command.id, &error.to_string())),
        Err(_) => {
            return Err(unsure(
                command.id,
                &format!("the bus was silent for {COMMIT_DEADLINE:?}"),
            ));
        }
    }
    app.tracer
        .asked(&command, traceparent(headers), app.clock.exact());
    info!(command = %command.id, actor = caller.name, what, "command");
    Ok((
        StatusCode::ACCEPTED,
        Json(CommandAnswer {
            id: command.id,
            what,
        }),
    ))
}

/// The key of a request that names none: it is like no other.
#[allow(
    clippy::disallowed_methods,
    reason = "nothing but chance tells two equal wishes apart"
)]
fn chance() -> String {
    Uuid::new_v4().to_string()
}

fn unsure(id: CommandId, reason: &str) -> Refusal {
    Refusal::unavailable(
        "bus-silent",
        format!("the command may not have been taken: {reason}"),
    )
    .next(format!("ask GET /commands/{id} before asking for it again"))
}
