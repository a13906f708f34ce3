//! What a module published last: the profile of a base; the report to compare a module's next jar with.
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

/// What a module published last; of a base, its profile.
///
/// # Errors
/// When the bus does not answer, or the record is damaged.
pub async fn last(hands: &Hands, module: &str) -> Result<Option<State>, BusError> {
    let subject = subject::state(Service::Slimmer, last_key(module).as_str());
    let Some(record) = hands.read(&subject).await? else {
        return Ok(None);
    };
    let stored = serde_json::from_slice::<Stored<State>>(&record.payload);
    let damaged = |error| {
        BusError::Damaged(format!(
            "what {module} published last cannot be read: {error}"
        ))
    };
    stored.map(|stored| Some(stored.state)).map_err(damaged)
}

/// The reports of what a module published last, by pool.
pub async fn reports(hands: &Hands, module: &str) -> BTreeMap<String, Digest> {
    match last(hands, module).await {
        Ok(state) => state.map_or_else(BTreeMap::new, |state| state.reports().clone()),
        Err(error) => {
            warn!(module, %error, "nothing is compared");
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
