//! Keeps on the bus what is live and what is paused, for longer than the events that say so.
//!
//! In: the views. Out: one record for each module and environment, at
//! `ferry.state.gateway.live.<module>.<environment>`, and one of all pauses, at
//! `ferry.state.gateway.line`; at a start, back again.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use ferry_bus::{BusError, CommitError, Keep, Write};
use ferry_events::name::token;
use ferry_events::{Service, subject};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::warn;

use super::app::App;
use crate::decide::views::{Line, Record};

/// Between two attempts at a bus that does not answer: the pause of the runtime.
const PAUSE: Duration = Duration::from_millis(250);

fn subject_of(module: &str, environment: &str) -> String {
    subject::state(
        Service::Gateway,
        &format!("live.{}.{}", token(module), token(environment)),
    )
}

fn subject_of_line() -> String {
    subject::state(Service::Gateway, "line")
}

/// Puts what was kept into the views, before any event.
///
/// # Errors
/// When the bus does not answer.
pub(super) async fn recall(app: &App) -> Result<(), BusError> {
    let kept = app
        .bus
        .list(&subject::state(Service::Gateway, "live.>"))
        .await?;
    let line = app.bus.read(&subject_of_line()).await?;
    let mut views = app.views.write().unwrap_or_else(PoisonError::into_inner);
    for (subject, record) in kept {
        match serde_json::from_slice(&record.payload) {
            Ok(record) => views.recall(record),
            Err(error) => warn!(subject, %error, "a record of what is live cannot be read"),
        }
    }
    match line.map(|it| serde_json::from_slice::<Line>(&it.payload)) {
        Some(Ok(line)) => views.recall_line(line),
        Some(Err(error)) => warn!(%error, "the record of what is paused cannot be read"),
        None => {}
    }
    Ok(())
}

/// Keeps what changes, for ever. While the views catch up, nothing is kept: what
/// they show then is the past.
pub async fn run(app: App) {
    let mut progress = app.progress();
    let mut kept: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut kept_line = 0;
    loop {
        if progress
            .wait_for(|it| it.caught_up && it.pending == 0)
            .await
            .is_err()
        {
            return;
        }
        progress.mark_unchanged();
        let key = |it: &Record| (it.module.clone(), it.environment.clone());
        let new = |it: &&Record| kept.get(&key(it)).is_none_or(|had| *had < it.sequence);
        let due: Vec<Record> = app.see(|views| views.records().filter(new).cloned().collect());
        for record in due {
            let subject = subject_of(&record.module, &record.environment);
            let newer = |known: &Record| known.sequence >= record.sequence;
            while let Err(error) = keep(&app, &subject, &record, newer).await {
                warn!(%error, module = record.module, "what is live cannot be kept now");
                tokio::time::sleep(PAUSE).await;
            }
            kept.insert(key(&record), record.sequence);
        }
        let line = app.see(|views| views.line_record().clone());
        if line.number > kept_line {
            let newer = |known: &Line| known.number >= line.number;
            while let Err(error) = keep(&app, &subject_of_line(), &line, newer).await {
                warn!(%error, "what is paused cannot be kept now");
                tokio::time::sleep(PAUSE).await;
            }
            kept_line = line.number;
        }
        if progress.changed().await.is_err() {
            return;
        }
    }
}

/// Replaces an older record. Another gateway may be ahead, or at it now.
async fn keep<T: Serialize + DeserializeOwned>(
    app: &App,
    subject: &str,
    record: &T,
    is_newer: impl Fn(&T) -> bool,
) -> Result<(), BusError> {
    let there = app.bus.read(subject).await?;
    let expected = there.as_ref().map_or(0, |it| it.sequence);
    let known = there.and_then(|it| serde_json::from_slice::<T>(&it.payload).ok());
    if known.is_some_and(|known| is_newer(&known)) {
        return Ok(());
    }
    let payload = serde_json::to_vec(record).expect("a record is always JSON");
    let write = Write::state(subject.to_owned(), payload, expected, Keep::Forever);
    match app.bus.commit(vec![write].into()).await {
        Ok(_) => Ok(()),
        Err(CommitError::Conflict | CommitError::Duplicate) => Err(BusError::Unavailable(
            "another gateway writes it".to_owned(),
        )),
        Err(CommitError::Bus(error)) => Err(error),
    }
}
