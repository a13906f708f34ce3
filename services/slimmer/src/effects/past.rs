//! What a module published last, to compare its next jar with.
//!
//! In: a module, a report's name. Out: the earlier report, or none: nothing depends on it, so that whatever
//! is amiss with it is told in the log, and slimming goes on.

use std::{collections::BTreeMap, path::Path};

use ferry_bus::BusError;
use ferry_events::{
    Digest, Service,
    artifact::{Change, LibraryChange, Since},
    subject,
};
use ferry_runtime::{Hands, Stored};
use ferry_slim::{Growth, Past};
use tracing::warn;

use crate::decide::{State, last_key};

/// The reports of what a module published last, by pool.
pub async fn last(hands: &Hands, module: &str) -> BTreeMap<String, Digest> {
    let subject = subject::state(Service::Slimmer, last_key(module).as_str());
    let state = match hands.read(&subject).await {
        Ok(None) => return BTreeMap::new(),
        Ok(Some(record)) => serde_json::from_slice::<Stored<State>>(&record.payload)
            .map_err(|error| BusError::Damaged(error.to_string())),
        Err(error) => Err(error),
    };
    match state {
        Ok(stored) => stored.state.reports().clone(),
        Err(error) => {
            warn!(module, %error, "what it published last cannot be read; nothing is compared");
            BTreeMap::new()
        }
    }
}

/// An earlier report.
pub async fn read(hands: &Hands, report: &Digest, folder: &Path) -> Option<Past> {
    let file = folder.join("past.json");
    let text = match hands.get_jar(report, &file).await {
        Ok(()) => tokio::fs::read(&file)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match text {
        Ok(text) => Past::read(&text),
        Err(error) => {
            warn!(%report, error, "the last report cannot be read; nothing is compared");
            None
        }
    }
}

/// The difference in as much as an event tells.
pub fn told(growth: &Growth) -> Since {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let one = |entry: &String, change, bytes| LibraryChange {
        entry: entry.clone(),
        change,
        bytes,
    };
    let new = growth
        .new
        .iter()
        .map(|it| one(&it.entry, Change::New, signed(it.bytes)));
    let gone = growth
        .gone
        .iter()
        .map(|it| one(&it.entry, Change::Gone, -signed(it.bytes)));
    let changed = growth
        .changed
        .iter()
        .map(|it| one(&it.entry, Change::Changed, it.bytes));
    let mut libraries: Vec<LibraryChange> = new.chain(gone).chain(changed).collect();
    libraries.sort_by(|one, other| {
        let key =
            |it: &LibraryChange| (std::cmp::Reverse(it.bytes.unsigned_abs()), it.entry.clone());
        key(one).cmp(&key(other))
    });
    let more = libraries.len().saturating_sub(Since::LIBRARIES);
    libraries.truncate(Since::LIBRARIES);
    Since {
        version: growth.version.clone(),
        bytes: growth.bytes,
        libraries,
        more: u32::try_from(more).unwrap_or(u32::MAX),
    }
}
