//! The gateway over HTTP.
//!
//! In: requests. Out: the routes of the API and of the hooks; every refusal is a
//! problem (RFC 9457).

mod auth;
mod bases;
mod body;
mod can;
mod commands;
mod dead;
mod deploy;
mod events;
mod health;
mod hooks;
mod line;
mod log;
mod plan;
mod reads;
mod refusal;
mod report;
mod why;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use ferry_events::Verb;

use super::app::App;
use refusal::Refusal;

/// How often a stream that has nothing to say says so: clients take three missed
/// ones for a dead connection, and proxies close at about a minute.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(15);

/// Every route.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/hooks/{forge}", post(hooks::take))
        .route("/pushes/{id}", get(reads::push))
        .route("/runs", get(reads::runs))
        .route("/runs/{id}", get(reads::run))
        .route("/runs/{id}/log", get(log::read))
        .route("/runs/{id}/report", get(report::read))
        .route("/runs/{id}/approve", post(line::approve))
        .route("/runs/{id}/promote", post(line::promote))
        .route("/line", get(line::show))
        .route("/line/pause", post(line::pause))
        .route("/line/resume", post(line::resume))
        .route("/line/abort", post(line::abort))
        .route("/can", get(can::look))
        .route("/bases", get(reads::bases))
        .route("/bases/{base}/hold", post(bases::ask(Verb::Hold)))
        .route("/bases/{base}/release", post(bases::ask(Verb::Release)))
        .route("/bases/{base}/restart", post(bases::ask(Verb::Restart)))
        .route("/modules", get(reads::modules))
        .route("/modules/{module}", get(reads::module))
        .route("/modules/{module}/plan", get(plan::read))
        .route("/modules/{module}/run", post(commands::run))
        .route("/modules/{module}/deploy", post(deploy::take))
        .route("/modules/{module}/rollback", post(commands::rollback))
        .route("/commands/{id}", get(commands::look))
        .route("/dead", get(dead::list))
        .route("/dead/{id}", get(dead::show))
        .route("/dead/{id}/replay", post(dead::replay))
        .route("/dead/{id}/drop", post(dead::drop))
        .route("/events", get(events::stream))
        .route("/why/{id}", get(why::why))
        .route("/modules/{module}/history", get(why::history))
        .route("/audit", get(why::export))
        .fallback(|| async { Refusal::no_route() })
        .method_not_allowed_fallback(|| async { Refusal::wrong_method() })
        // Every handler has a limit of its own that is told from, see `body`.
        .layer(DefaultBodyLimit::disable())
        .with_state(app.clone())
        .merge(health_router(app))
}

/// `/healthz`, `/readyz` and `/metrics` alone.
pub fn health_router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(health::health))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(app)
}
