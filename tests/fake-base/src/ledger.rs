//! What was asked of a base and what came of it. Goes in: one entry when a
//! mutating call is taken, one when it ended. Comes out: the entries, counts
//! of effects by request id, and (when asked for) a file of JSON lines.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ferry_ark::arklet::Command;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from 1.
    pub sequence: u64,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// How often the base was restarted before.
    pub restarts: u64,
    /// Begin or end.
    pub phase: Phase,
    /// What was asked.
    pub command: Command,
    /// The id of an asynchronous call.
    pub request_id: Option<String>,
    /// The name that was asked for; at the end, the one in the manifest.
    pub name: Option<String>,
    /// The version that was asked for; at the end, the one in the manifest.
    pub version: Option<String>,
    /// Whether the base runs something else than before. False at the begin.
    pub effect: bool,
    /// At the end: arklet's code, and why where it failed.
    pub outcome: Option<String>,
}

/// The two moments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The base took the call.
    Asked,
    /// The base is through with it.
    Ended,
}

/// All entries since the start, restarts of the base included.
#[derive(Debug)]
pub struct Ledger {
    entries: watch::Sender<Vec<Entry>>,
    /// When it began: by the wall, and by tokio's clock, which a simulation moves.
    began: (u64, tokio::time::Instant),
    file: Option<Mutex<File>>,
}

impl Ledger {
    pub(crate) fn open(path: Option<&Path>) -> std::io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        Ok(Self {
            entries: watch::Sender::new(Vec::new()),
            began: (now_ms(), tokio::time::Instant::now()),
            file: path.map(open).transpose()?.map(Mutex::new),
        })
    }

    pub(crate) fn write(&self, mut entry: Entry) {
        let (wall, began) = self.began;
        let since = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        entry.at_ms = wall.saturating_add(since);
        self.entries.send_modify(|entries| {
            entry.sequence = entries.len() as u64 + 1;
            if let Some(file) = &self.file {
                let mut line = serde_json::to_vec(&entry).expect("an entry is plain data");
                line.push(b'\n');
                let mut file = file.lock().expect("no writer panics");
                if let Err(error) = file.write_all(&line) {
                    tracing::error!(%error, "the ledger's file cannot be written");
                }
            }
            entries.push(entry);
        });
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.borrow().clone()
    }

    /// How often calls with that id changed what the base runs.
    #[must_use]
    pub fn effects(&self, request_id: &str) -> usize {
        let entries = self.entries.borrow();
        entries
            .iter()
            .filter(|entry| entry.effect && entry.request_id.as_deref() == Some(request_id))
            .count()
    }

    /// Waits until an entry is there that fits, and returns the first.
    /// None: the deadline passed.
    pub async fn wait_for(&self, within: Duration, fits: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let mut entries = self.entries.subscribe();
        let found = entries.wait_for(|entries| entries.iter().any(&fits));
        let entries = tokio::time::timeout(within, found).await.ok()?.ok()?;
        entries.iter().find(|entry| fits(entry)).cloned()
    }

    /// Waits until the call with that id has ended.
    pub async fn wait_ended(&self, within: Duration, request_id: &str) -> Option<Entry> {
        self.wait_for(within, |entry| {
            entry.phase == Phase::Ended && entry.request_id.as_deref() == Some(request_id)
        })
        .await
    }
}

/// Milliseconds since 1970.
#[allow(
    clippy::disallowed_methods,
    reason = "a ledger says when a base did something"
)]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
