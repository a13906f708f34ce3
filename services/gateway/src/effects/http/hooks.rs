//! `POST /hooks/{forge}`.
//!
//! In: a delivery. Out: 202 once an accepted push is durable, 200 for what has
//! nothing to run, with the reason; refusals tell nothing that the sender could
//! not know.

use std::path::Path as FilePath;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use ferry_api::{HookAnswer, RefAnswer, Verdict};
use ferry_config::{Config, Forge};
use ferry_events::push::Received;
use ferry_events::{Timestamp, Traceparent};
use tracing::{error, info};

use super::body;
use super::refusal::Refusal;
use crate::decide::filter;
use crate::decide::forge::{Change, Claim, Delivery, Headers, HookError, look};
use crate::decide::record::received;
use crate::effects::accept::{Safe, accept};
use crate::effects::app::App;
use crate::effects::inbox::InboxError;

/// A delivery that names no repository is tried with every secret of its forge.
/// Pings are small; what is larger is not worth the work.
const UNNAMED_MAX: usize = 64 * 1024;

/// A verified delivery, and the repository's name in the configuration.
type Believed = (Option<String>, Delivery);

pub(super) async fn take(
    State(app): State<App>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let forge = Forge::ALL.into_iter().find(|forge| forge.as_str() == slug);
    let forge = forge.ok_or_else(Refusal::no_route)?;
    let config = app.config();
    let raw = body::whole(&headers, body, "the delivery", config.gateway.body_limit).await?;
    let now = app.clock.now();
    let from = traceparent(&headers);

    // Parsing and hashing megabytes, and reading a secret's file, would hold up
    // the other requests of this thread.
    let (known, secrets) = (config.clone(), app.secrets.clone());
    let read = move || {
        let pairs = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let headers = Headers::new(pairs);
        believe(
            &known,
            &secrets,
            &look(forge, &headers, &raw).map_err(refused)?,
            forge,
            now,
            raw.len(),
        )
    };
    let (repository, delivery) = tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| Refusal::unavailable("our-fault", "the delivery could not be read"))??;

    let mut refs = Vec::with_capacity(delivery.what.len());
    for change in &delivery.what {
        refs.push(
            answer(
                &app,
                &config,
                repository.as_deref(),
                &delivery,
                change,
                now,
                from,
            )
            .await?,
        );
    }
    let answer = HookAnswer::of(refs);
    info!(
        forge = slug, delivery = delivery.delivery_id, repository, status = ?answer.status,
        push = answer.push.map(tracing::field::display), why = answer.why, "delivery"
    );
    let status = match answer.status {
        Verdict::Accepted => StatusCode::ACCEPTED,
        Verdict::Ignored => StatusCode::OK,
    };
    Ok((status, Json(answer)).into_response())
}

/// The sender's own span, where it has one (W3C Trace Context).
pub(super) fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// Looks up the secret by what is claimed, then checks the claim.
fn believe(
    config: &Config,
    secrets: &FilePath,
    claim: &Claim<'_>,
    forge: Forge,
    now: Timestamp,
    size: usize,
) -> Result<Believed, Refusal> {
    if let Some(full_name) = claim.repository() {
        let (name, it) = filter::repository(config, forge, full_name).ok_or_else(unknown)?;
        let secret = it.secret.resolve(secrets).map_err(|error| {
            error!(
                repository = name,
                error = &error as &dyn std::error::Error,
                "a webhook's secret cannot be had"
            );
            Refusal::unavailable(
                "secret-unavailable",
                "the delivery's signature cannot be checked now",
            )
        })?;
        let delivery = claim.verify(secret.bytes(), now).map_err(refused)?;
        return Ok((Some(name.to_owned()), delivery));
    }
    if size > UNNAMED_MAX {
        return Err(Refusal::too_large(
            "a delivery that names no repository",
            UNNAMED_MAX as u64,
        ));
    }
    let mut wrong = None;
    for it in config.repositories.values().filter(|it| it.forge == forge) {
        let Ok(secret) = it.secret.resolve(secrets) else {
            continue;
        };
        match claim.verify(secret.bytes(), now) {
            Ok(delivery) => return Ok((None, delivery)),
            Err(error) => wrong = Some(error),
        }
    }
    Err(wrong.map_or_else(unknown, refused))
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not-found", "not found")
}

fn refused(error: HookError) -> Refusal {
    let unauthorized = error.is_unauthorized();
    let status = if unauthorized {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::BAD_REQUEST
    };
    Refusal::new(status, error.code(), error.to_string())
}

async fn answer(
    app: &App,
    config: &Config,
    repository: Option<&str>,
    delivery: &Delivery,
    change: &Change,
    now: Timestamp,
    from: Option<Traceparent>,
) -> Result<RefAnswer, Refusal> {
    let ignored = |reference: Option<String>, why: &crate::decide::forge::Ignored| RefAnswer {
        reference,
        status: Verdict::Ignored,
        push: None,
        runs: Vec::new(),
        code: Some(why.code().to_owned()),
        why: why.to_string(),
    };
    let (push, repository) = match (change, repository) {
        (Change::Push(push), Some(repository)) => (push, repository),
        (Change::Ignored { reference, why }, _) => return Ok(ignored(reference.clone(), why)),
        // A push always names its repository: `look` holds that.
        (Change::Push(_), None) => return Err(unknown()),
    };
    if let Some(why) = filter::ignored(config, repository, push) {
        return Ok(ignored(Some(push.reference()), &why));
    }
    let record = received(delivery.forge, repository, &delivery.delivery_id, push, now);
    let first = app.see(|views| views.push(record.push).is_none());
    let safe = accept(&app.bus, &*app.inbox, config, &record)
        .await
        .map_err(nowhere)?;
    if first {
        app.tracer.accepted(&record, from, app.clock.exact());
    }
    Ok(accepted(app, push.reference(), &record, safe))
}

fn accepted(app: &App, reference: String, record: &Received, safe: Safe) -> RefAnswer {
    // A redelivery may find out more than the first one could.
    let (runs, known) = app.see(|views| {
        let view = views.push(record.push);
        view.map_or((Vec::new(), None), |view| {
            (view.runs.clone(), view.why.clone())
        })
    });
    let why = known.unwrap_or_else(|| match safe {
        Safe::Bus => "taken: git is asked what it moved".to_owned(),
        Safe::Inbox => {
            "taken into the inbox, because the bus does not answer; it goes on by itself".to_owned()
        }
    });
    RefAnswer {
        reference: Some(reference),
        status: Verdict::Accepted,
        push: Some(record.push),
        runs,
        code: None,
        why,
    }
}

fn nowhere(error: InboxError) -> Refusal {
    error!(
        error = &error as &dyn std::error::Error,
        "a push could not be made durable"
    );
    let code = match error {
        InboxError::Full { .. } => "inbox-full",
        InboxError::NoRoom { .. } => "disk-nearly-full",
        _ => "inbox-broken",
    };
    Refusal::unavailable(
        code,
        "the push could not be made durable: send it again later",
    )
}
