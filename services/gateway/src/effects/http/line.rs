//! Stopping the line and letting it go on: what stands still, and the acts of people on it.
//!
//! In: a caller, a run or another stretch, why. Out: what is paused and waits; the id of the command.
//! Whether a rollout waits, and whether somebody is among those who may approve it, is the scheduler's to
//! decide: it settles the command.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use ferry_api::{
    CommandAnswer, EnvironmentState, LineView, RolloutRequest, RunView, Stretch, StretchRequest,
};
use ferry_events::{Verb, command::Rollout};

use super::body;
use super::commands::{in_one, known, not_granted, send, text};
use super::reads::{UpToDate, find, up_to_date};
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::effects::app::App;

type Answer = Result<(StatusCode, Json<CommandAnswer>), Refusal>;

pub(super) async fn show(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
) -> Result<Json<LineView>, Refusal> {
    let seen = |run: &RunView| caller.sees_module(&run.summary.module);
    let mut line = app.see(|views| views.line(seen));
    line.paused.retain(|one| caller.sees_stretch(&one.stretch));
    Ok(Json(line))
}

pub(super) async fn approve(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let ask = body::json(&headers, body).await?;
    let (rollout, why) = rollout(&app, &caller, &id, ask)?;
    send(&app, &caller, Verb::Approve(rollout), Some(why), &headers).await
}

pub(super) async fn promote(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let ask = body::json(&headers, body).await?;
    let (rollout, why) = rollout(&app, &caller, &id, ask)?;
    send(&app, &caller, Verb::Promote(rollout), Some(why), &headers).await
}

/// The rollout that is meant, of a run that the caller sees and in an environment where it may approve.
fn rollout(
    app: &App,
    caller: &Caller,
    id: &str,
    ask: RolloutRequest,
) -> Result<(Rollout, String), Refusal> {
    let run = find(app, caller, id)?;
    let environment = environment(&run, text("environment", ask.environment)?)?;
    let module = run.summary.module;
    if !caller.approves(&module, &environment) {
        let on = in_one(&module, &environment);
        return Err(not_granted(caller, "approve", &on));
    }
    let why = text("why", Some(ask.why))?.ok_or_else(no_why)?;
    let rollout = Rollout {
        run: run.summary.id,
        module,
        environment,
    };
    Ok((rollout, why))
}

/// The environment that is named, else the one where the run waits, else the one that it is in.
fn environment(run: &RunView, named: Option<String>) -> Result<String, Refusal> {
    let all: Vec<&str> = run.environments.iter().map(|it| it.name.as_str()).collect();
    match named {
        Some(name) if all.contains(&name.as_str()) => Ok(name),
        Some(name) => {
            let short = run.summary.id.short();
            let detail = match all.as_slice() {
                [] => format!("run {short} has not come to environment {name:?}"),
                all => format!(
                    "run {short} does not go to environment {name:?}, but to: {}",
                    all.join(", ")
                ),
            };
            Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "unknown-environment",
                detail,
            ))
        }
        None => {
            let waits = run
                .environments
                .iter()
                .find(|it| it.state == EnvironmentState::WaitingForGate);
            let name = waits.map(|it| it.name.clone());
            name.or_else(|| run.summary.environment.clone())
                .ok_or_else(|| {
                    let short = run.summary.id.short();
                    let detail = format!("run {short} has not come to any environment yet");
                    Refusal::new(StatusCode::CONFLICT, "nowhere-yet", detail)
                        .next(format!("look where it is with `ferry show {short}`"))
                })
        }
    }
}

pub(super) fn no_why() -> Refusal {
    Refusal::bad_request("why is empty: say in a few words why")
}

pub(super) async fn pause(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    act(&app, &caller, &headers, body, true, Verb::Pause).await
}

pub(super) async fn resume(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    act(&app, &caller, &headers, body, false, Verb::Resume).await
}

pub(super) async fn abort(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    act(&app, &caller, &headers, body, true, Verb::Abort).await
}

async fn act(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    needs_why: bool,
    verb: fn(Stretch) -> Verb,
) -> Answer {
    let mut ask: StretchRequest = body::json(headers, body).await?;
    let why = text("why", ask.why.take())?;
    let (stretch, through) = stretch(app, caller, ask)?;
    if let Err(on) = caller.operates_stretch(&app.config(), &stretch, &through) {
        return Err(not_granted(caller, "operate", &on));
    }
    if needs_why && why.is_none() {
        return Err(no_why());
    }
    send(app, caller, verb(stretch), why, headers).await
}

/// What is meant, and of a run the environments that it goes through.
fn stretch(
    app: &App,
    caller: &Caller,
    ask: StretchRequest,
) -> Result<(Stretch, Vec<String>), Refusal> {
    let StretchRequest {
        run,
        module,
        environment,
        everything,
        ..
    } = ask;
    let config = app.config();
    match (run, module, environment, everything) {
        (Some(id), None, None, false) => {
            up_to_date(app)?;
            let run = find(app, caller, &id)?;
            let through = run.environments.into_iter().map(|it| it.name).collect();
            let (run, module) = (run.summary.id, run.summary.module);
            Ok((Stretch::Run { run, module }, through))
        }
        (None, Some(module), None, false) => {
            known(&config, caller, &module)?;
            Ok((Stretch::Module(module), Vec::new()))
        }
        (None, None, Some(name), false) => {
            if !config.environments.contains_key(&name) || !caller.sees_environment(&name) {
                return Err(Refusal::not_found("environment", &name));
            }
            Ok((Stretch::Environment(name), Vec::new()))
        }
        (None, None, None, true) => Ok((Stretch::Everything, Vec::new())),
        _ => Err(Refusal::bad_request(
            "exactly one of \"run\", \"module\", \"environment\" and \"everything\" says what it concerns",
        )),
    }
}
