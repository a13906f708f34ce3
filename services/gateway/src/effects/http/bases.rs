//! What people ask for a base: to leave it alone, to take it back, to restart it.
//!
//! In: a caller, a base, why. Out: the id of the command. Whether it is held already is the scheduler's to
//! say: it settles the command.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use ferry_api::{BaseRequest, CommandAnswer, Stretch};
use ferry_events::{Verb, command::OnBase};
use futures::{FutureExt as _, future::BoxFuture};

use super::body;
use super::commands::{not_granted, send, text};
use super::line::no_why;
use super::reads::place_of;
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::effects::app::App;

type Answer = Result<(StatusCode, Json<CommandAnswer>), Refusal>;

/// Takes what a caller asks for a base.
pub(super) fn ask(
    verb: fn(OnBase) -> Verb,
) -> impl Fn(State<App>, Caller, Path<String>, HeaderMap, Body) -> BoxFuture<'static, Answer> + Clone
{
    move |State(app), caller, Path(base), headers, body| {
        async move { act(&app, &caller, &base, &headers, body, verb).await }.boxed()
    }
}

async fn act(
    app: &App,
    caller: &Caller,
    name: &str,
    headers: &HeaderMap,
    body: Body,
    verb: fn(OnBase) -> Verb,
) -> Answer {
    let ask: BaseRequest = body::json(headers, body).await?;
    let why = text("why", Some(ask.why))?.ok_or_else(no_why)?;
    let config = app.config();
    let environment =
        place_of(app, caller, name).ok_or_else(|| Refusal::not_found("base", name))?;
    let on = OnBase {
        base: name.to_owned(),
        environment,
    };
    let stretch = Stretch::of_base(&on.base, &on.environment);
    if let Err(on) = caller.operates_stretch(&config, &stretch, &[]) {
        return Err(not_granted(caller, "operate", &on));
    }
    send(app, caller, verb(on), Some(why), headers).await
}
