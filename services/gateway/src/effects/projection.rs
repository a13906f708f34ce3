//! Keeps the views up to date with the stream of events.
//!
//! In: every event from the first on, and the facts of what bases should run. Out: the views, and how far they are.

use std::sync::PoisonError;
use std::time::Duration;

use ferry_bus::{Message, Start};
use ferry_events::{DecodeError, Event, fact::Wanted, subject};
use futures::StreamExt as _;
use tracing::{info, warn};

use super::app::{App, Progress};
use super::memory;

/// Between two attempts at a bus that does not answer: the pause of the runtime.
const PAUSE: Duration = Duration::from_millis(250);

/// Follows for ever.
pub async fn run(app: App) {
    while let Err(error) = memory::recall(&app).await {
        warn!(%error, "the views wait for the bus");
        tokio::time::sleep(PAUSE).await;
    }
    loop {
        // The configuration too, though its message is not looked at here: with
        // it the watch is never empty, so its end is always seen.
        let filters = vec![
            subject::ALL_EVENTS.to_owned(),
            format!("{}.>", subject::WANTED_FACTS),
            subject::CONFIG.to_owned(),
        ];
        let head = app.progress.borrow().head;
        let start = if head == 0 {
            Start::First
        } else {
            Start::At(head + 1)
        };
        match app.bus.watch(subject::STREAM, filters, start).await {
            Ok(mut messages) => {
                while let Some(message) = messages.next().await {
                    match message {
                        Ok(message) => take(&app, &message),
                        Err(error) => warn!(%error, "the views wait for the bus"),
                    }
                }
            }
            Err(error) => warn!(%error, "the views wait for the bus"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What a message is to the views.
enum Told {
    Event(Box<Event>),
    Wanted(Box<Wanted>),
    Nothing,
}

fn read(message: &Message) -> Told {
    if message.subject == subject::CONFIG {
        return Told::Nothing;
    }
    if message.subject.starts_with(subject::WANTED_FACTS) {
        return match serde_json::from_slice(&message.payload) {
            Ok(wanted) => Told::Wanted(Box::new(wanted)),
            Err(error) => {
                warn!(sequence = message.sequence, subject = message.subject, %error, "a fact cannot be read");
                Told::Nothing
            }
        };
    }
    match Event::decode(&message.payload) {
        Ok(event) => Told::Event(Box::new(event)),
        Err(error @ DecodeError::Unknown(_)) => {
            warn!(sequence = message.sequence, %error, "an event is left out of the views");
            Told::Nothing
        }
        Err(error) => {
            warn!(sequence = message.sequence, subject = message.subject, %error, "an event cannot be read");
            Told::Nothing
        }
    }
}

fn take(app: &App, message: &Message) {
    let told = read(message);
    {
        let mut views = app.views.write().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::Event(event) => views.apply(message.sequence, &event),
            Told::Wanted(wanted) => views.wants(message.sequence, *wanted),
            Told::Nothing => views.skip(message.sequence),
        }
    }
    app.progress.send_modify(|progress| {
        let caught_up = progress.caught_up || message.pending == 0;
        if caught_up && !progress.caught_up {
            info!(head = message.sequence, "the views are up to date");
        }
        *progress = Progress {
            head: progress.head.max(message.sequence),
            pending: message.pending,
            caught_up,
        };
    });
}
