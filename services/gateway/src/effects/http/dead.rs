//! Dead letters: what there is, and the wish to replay or drop one.
//!
//! In: a caller and a letter. Out: letters that it may see; a durable command for the service whose
//! letter it is.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use ferry_api::{CloseRequest, CommandAnswer, LetterSummary, LetterView, LettersQuery};
use ferry_bus::DeadLetter;
use ferry_events::letter::Letter;
use ferry_events::{Verb, subject};

use super::body;
use super::commands::{self, text};
use super::reads::{UpToDate, silent};
use super::refusal::Refusal;
use crate::decide::access::Caller;
use crate::decide::views::{FoundLetter, Held};
use crate::effects::app::App;

pub(super) async fn list(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Vec<LetterSummary>>, Refusal> {
    let query: LettersQuery = body::query(&uri)?;
    let seen = |letter: &LetterSummary| caller.sees_letter(letter);
    Ok(Json(app.see(|views| views.letters().list(&query, seen))))
}

pub(super) async fn show(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<LetterView>, Refusal> {
    let Held {
        mut summary,
        place,
        own,
    } = find(&app, &caller, &id)?;
    let mut errors = Vec::new();
    let mut payload = None;
    if own {
        let stored = app
            .bus
            .read_at(subject::DEAD, place)
            .await
            .map_err(silent)?;
        let letter =
            stored.and_then(|(_, it)| serde_json::from_slice::<DeadLetter>(&it.payload).ok());
        if let Some(letter) = letter {
            errors = letter.errors;
            payload = letter.whole.then_some(letter.payload);
        }
    }
    // The bus's word on a message does not hold it, and a large one is not held by its letter.
    if payload.is_none() && summary.stream == subject::STREAM {
        let stored = app.bus.read_at(subject::STREAM, summary.sequence).await;
        if let Some((subject, record)) = stored.map_err(silent)? {
            summary.subject = subject;
            payload = Some(String::from_utf8_lossy(&record.payload).into_owned());
        }
    }
    Ok(Json(LetterView {
        text: summary.reason.what().to_owned(),
        next: summary.reason.next_step().to_owned(),
        summary,
        errors,
        payload,
    }))
}

pub(super) async fn replay(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    close(&app, &caller, &id, &headers, body, Verb::Replay).await
}

pub(super) async fn drop(
    _: UpToDate,
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    close(&app, &caller, &id, &headers, body, Verb::Drop).await
}

async fn close(
    app: &App,
    caller: &Caller,
    id: &str,
    headers: &HeaderMap,
    body: Body,
    verb: fn(Letter) -> Verb,
) -> Result<(StatusCode, Json<CommandAnswer>), Refusal> {
    let ask: CloseRequest = body::json(headers, body).await?;
    let held = find(app, caller, id)?;
    if !caller.operates_letter(&held.summary) {
        let module = held.summary.module.as_deref().unwrap_or("every module");
        return Err(Refusal::forbidden(format!(
            "token {:?} has no grant with role \"operate\" for {module}, which this letter is about",
            caller.name
        )));
    }
    let why = text("why", Some(ask.why))?;
    if why.is_none() {
        return Err(Refusal::bad_request("why is empty"));
    }
    commands::send(app, caller, verb(held.letter()), why, headers).await
}

/// A letter by its id or the id's first digits.
fn find(app: &App, caller: &Caller, id: &str) -> Result<Held, Refusal> {
    let seen = |letter: &LetterSummary| caller.sees_letter(letter);
    match app.see(|views| views.letters().find(id, seen)) {
        FoundLetter::One(held) => Ok(*held),
        FoundLetter::None => Err(Refusal::not_found("letter", id)),
        FoundLetter::Several(letters) => {
            let shown: Vec<String> = letters.iter().take(5).map(ToString::to_string).collect();
            let detail = format!(
                "{} dead letters begin with {id}: {}",
                letters.len(),
                shown.join(", ")
            );
            Err(
                Refusal::new(StatusCode::CONFLICT, "ambiguous-letter", detail)
                    .next("give more digits of the letter's id"),
            )
        }
    }
}
