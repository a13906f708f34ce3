//! `/healthz`, `/readyz` and `/metrics` of a service.
//!
//! In: whether the bus answers, how far the service is, and what it does without. Out: 200 with that, or 503
//! with the reason. How many spans were sent and lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use crate::{Notes, Room, Tracer, Witness};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

const STARTING: u8 = 0;
const RUNNING: u8 = 1;
const DRAINING: u8 = 2;

#[derive(Clone)]
pub(crate) struct Health {
    bus: watch::Receiver<bool>,
    stage: Arc<AtomicU8>,
    witness: Witness,
    room: Room,
    notes: Notes,
    tracer: Tracer,
}

impl Health {
    pub(crate) fn new(
        bus: watch::Receiver<bool>,
        witness: Witness,
        room: Room,
        notes: Notes,
        tracer: Tracer,
    ) -> Self {
        Self {
            bus,
            stage: Arc::new(AtomicU8::new(STARTING)),
            witness,
            room,
            notes,
            tracer,
        }
    }

    pub(crate) fn running(&self) {
        self.stage.store(RUNNING, Ordering::Relaxed);
    }

    pub(crate) fn draining(&self) {
        self.stage.store(DRAINING, Ordering::Relaxed);
    }

    pub(crate) async fn serve(self, address: SocketAddr) -> std::io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        let routes = Router::new()
            .route("/healthz", get(async || Json(json!({"status": "alive"}))))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(())
    }
}

async fn metrics(State(health): State<Health>) -> String {
    health.tracer.counts().metrics()
}

async fn ready(State(health): State<Health>) -> (StatusCode, Json<Value>) {
    let held = health.witness.held();
    if let Some(why) = health.witness.stopped() {
        return waiting(&why);
    } else if !held.is_empty() {
        let held = held.join(", ");
        return waiting(&format!(
            "stopped, because the stream and their states are of different moments: {held}; see docs/operations.md#restoring"
        ));
    }
    if let Some(full) = health.room.full() {
        return waiting(&full);
    }
    let why = match health.stage.load(Ordering::Relaxed) {
        _ if !*health.bus.borrow() => "the bus does not answer",
        RUNNING => return (StatusCode::OK, Json(running(&health.notes.all()))),
        DRAINING => "draining",
        _ => "waiting for a configuration; `ferry config apply` puts one on the bus",
    };
    waiting(why)
}

fn running(notes: &[String]) -> Value {
    match notes {
        [] => json!({"status": "ready"}),
        notes => json!({"status": "ready", "notes": notes}),
    }
}

fn waiting(why: &str) -> (StatusCode, Json<Value>) {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({"status": "waiting", "why": why})),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_service_does_without_is_said_and_it_is_ready_all_the_same() {
        let notes = Notes::default();
        // The channel's value outlives its sender.
        let (_, bus) = watch::channel(true);
        let health = Health::new(
            bus,
            Witness::default(),
            Room::default(),
            notes.clone(),
            Tracer::default(),
        );
        health.running();
        let answer = async || {
            let (status, Json(body)) = ready(State(health.clone())).await;
            assert_eq!(status, StatusCode::OK);
            body
        };
        assert_eq!(answer().await, json!({"status": "ready"}));
        notes.note("warm", Some("builds are cold".into()));
        let noted = json!({"status": "ready", "notes": ["builds are cold"]});
        assert_eq!(answer().await, noted);
        notes.note("warm", None);
        assert_eq!(answer().await, json!({"status": "ready"}));
    }
}
