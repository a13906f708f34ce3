//! Keeps the view of dead letters up to date with FERRY_DEAD.
//!
//! In: every letter and advisory from the first on. Out: the view.

use std::sync::PoisonError;
use std::time::Duration;

use ferry_bus::Start;
use ferry_events::subject;
use futures::StreamExt as _;
use tracing::warn;

use super::app::App;

/// Between two attempts at a bus that does not answer: the pause of the runtime.
const PAUSE: Duration = Duration::from_millis(250);

/// Follows for ever.
pub async fn run(app: App) {
    let filters = [
        "ferry.dead.>",
        "ferry.parked.>",
        "$JS.EVENT.ADVISORY.CONSUMER.>",
    ];
    let mut next = 1;
    loop {
        let filters = filters.map(ToOwned::to_owned).to_vec();
        match app.bus.watch(subject::DEAD, filters, Start::At(next)).await {
            Ok(mut messages) => {
                while let Some(message) = messages.next().await {
                    let message = match message {
                        Ok(message) => message,
                        Err(error) => {
                            warn!(%error, "the view of dead letters waits for the bus");
                            continue;
                        }
                    };
                    next = message.sequence + 1;
                    let mut views = app.views.write().unwrap_or_else(PoisonError::into_inner);
                    let (subject, place) = (&message.subject, message.sequence);
                    if !views.letter(subject, place, &message.payload, message.at) {
                        warn!(subject, place, "a dead letter cannot be read");
                    }
                }
            }
            Err(error) => warn!(%error, "the view of dead letters waits for the bus"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
