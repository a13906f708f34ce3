//! `GET /healthz`, `/readyz` and `/metrics`. They need no token, and name nothing that is
//! configured.
//!
//! In: the gateway's parts. Out: whether it lives; whether it can do its work;
//! how many spans were sent and lost.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use ferry_api::{Check, Health, Ready};

use crate::effects::app::App;
use crate::effects::inbox::InboxError;

pub(super) async fn health() -> Json<Health> {
    Json(Health {
        alive: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Counters, as Prometheus reads them.
pub(super) async fn metrics(State(app): State<App>) -> String {
    app.tracer.counts().metrics()
}

pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Ready>) {
    let checks = vec![bus(&app), views(&app), inbox(&app), secrets(&app).await];
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(Ready { ready, checks }))
}

fn check(name: &str, ok: bool, detail: String) -> Check {
    Check {
        name: name.to_owned(),
        ok,
        detail,
    }
}

fn bus(app: &App) -> Check {
    let connected = *app.bus.connected().borrow();
    let detail = if connected {
        "answers"
    } else {
        "does not answer; hooks go to the inbox"
    };
    check("bus", connected, detail.to_owned())
}

fn views(app: &App) -> Check {
    let progress = *app.progress().borrow();
    let detail = if progress.caught_up {
        format!("up to message {}", progress.head)
    } else {
        format!("catching up: {} messages to go", progress.pending)
    };
    check("views", progress.caught_up, detail)
}

fn inbox(app: &App) -> Check {
    let (pushes, bytes) = (app.inbox.len(), app.inbox.bytes());
    let limits = &app.config().gateway;
    if app.inbox.is_closed() {
        return check("inbox", false, InboxError::Closed.to_string());
    }
    if let Err(error) = app.inbox.has_room(limits.min_free_disk) {
        // While all goes to the bus at once, the disk is not asked.
        let unused = pushes == 0 && *app.bus.connected().borrow();
        return check("inbox", unused, error.to_string());
    }
    check(
        "inbox",
        bytes < limits.inbox_limit,
        format!("{pushes} pushes wait in {bytes} bytes"),
    )
}

async fn secrets(app: &App) -> Check {
    let (config, root) = (app.config(), app.secrets.clone());
    let of = config.repositories.len();
    let count = tokio::task::spawn_blocking(move || {
        config
            .repositories
            .values()
            .filter(|it| it.secret.resolve(&root).is_err())
            .count()
    });
    let missing = count.await.unwrap_or(of);
    check(
        "secrets",
        missing == 0,
        format!("{missing} of {of} webhook secrets cannot be had"),
    )
}
