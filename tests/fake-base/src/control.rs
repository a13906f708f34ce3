//! The fake base's own port, which a real base does not have. Goes in:
//! `POST /_fake/faults` with the fields to change (and `"restart_empty":
//! true`), `GET /_fake/faults`, `GET /_fake/ledger`. Comes out: JSON.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::base::Base;
use crate::faults::Faults;
use crate::ledger::Entry;

pub(crate) fn router(base: Arc<Base>) -> Router {
    Router::new()
        .route("/_fake/faults", get(show).post(change))
        .route("/_fake/ledger", get(ledger))
        .with_state(base)
}

async fn show(State(base): State<Arc<Base>>) -> Json<Faults> {
    Json(base.faults.get())
}

async fn ledger(State(base): State<Arc<Base>>) -> Json<Vec<Entry>> {
    Json(base.ledger.entries())
}

async fn change(
    State(base): State<Arc<Base>>,
    Json(mut change): Json<Value>,
) -> Result<Json<Faults>, (StatusCode, Json<Value>)> {
    let restart = change
        .as_object_mut()
        .and_then(|fields| fields.remove("restart_empty"));
    let bad = |why: String| (StatusCode::BAD_REQUEST, Json(json!({"error": why})));
    let restart = match restart {
        None => false,
        Some(value) => value
            .as_bool()
            .ok_or_else(|| bad("restart_empty must be true or false".to_owned()))?,
    };
    if !change.is_object() {
        return Err(bad(
            "the body must be an object with the faults to change".to_owned()
        ));
    }
    let faults = base
        .faults
        .merge(&change)
        .map_err(|error| bad(error.to_string()))?;
    if restart {
        base.restart_empty();
    }
    Ok(Json(faults))
}
