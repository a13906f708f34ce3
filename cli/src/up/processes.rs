//! The processes that `ferry up` started, remembered on disk: when it is killed
//! itself they run on, and the next one ends them before it starts its own.
//!
//! In: names and ids. Out: a file, and an end to what is left over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::said::Said;
use crate::exit::Exit;
use crate::failure::Stopped;

/// How long what is left over may take to drain before it is killed.
const END_WITHIN: Duration = Duration::from_secs(12);

/// How long the kernel may take to end what was killed.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process as the kernel knows it: an id alone may be somebody else's by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    id: i32,
    /// When it began, in clock ticks since the boot (`/proc/ID/stat`, field 22).
    began: u64,
    /// Which boot.
    boot: String,
}

impl Mark {
    /// Of a process that runs; none where there is no `/proc`.
    fn of(id: i32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name in brackets may hold anything: count from behind it. Field 3,
        // the state, is the first then.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let began = fields.nth(18)?.parse().ok()?;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        (state != "Z").then(|| Self {
            id,
            began,
            boot: boot.trim().to_owned(),
        })
    }

    fn is_alive(&self) -> bool {
        Self::of(self.id).as_ref() == Some(self)
    }

    fn signal(&self, signal: Signal) {
        // Gone already is what is wanted.
        let _ = killpg(Pid::from_raw(self.id), signal);
    }
}

/// The processes that run.
#[derive(Debug)]
pub struct Processes {
    file: PathBuf,
    marks: Mutex<BTreeMap<String, Mark>>,
}

impl Processes {
    /// Ends what a `ferry up` of before left over, and begins with nothing.
    pub async fn after_those_of_before(file: PathBuf, said: &Said) -> Result<Arc<Self>> {
        let left: BTreeMap<String, Mark> = match std::fs::read(&file) {
            // What cannot be read names nobody.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", file.display()));
            }
        };
        let left: BTreeMap<String, Mark> = left
            .into_iter()
            .filter(|(_, mark)| mark.is_alive())
            .collect();
        // The bus last: the others hand back to it what they have in hand.
        let (bus, services): (Vec<_>, Vec<_>) = left
            .iter()
            .partition(|(name, _)| name.as_str() == super::nats::NAME);
        for group in [services, bus] {
            end(&group, said).await?;
        }
        let processes = Self {
            file,
            marks: Mutex::default(),
        };
        processes.write(&BTreeMap::new());
        Ok(Arc::new(processes))
    }

    /// A process began.
    pub fn put(&self, name: &str, id: i32) {
        if let Some(mark) = Mark::of(id) {
            let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.insert(name.to_owned(), mark);
            self.write(&marks);
        }
    }

    /// A process ended.
    pub fn remove(&self, name: &str) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.remove(name);
        self.write(&marks);
    }

    /// Kills all of them.
    pub fn kill_all(&self) {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        for mark in marks.values().filter(|mark| mark.is_alive()) {
            mark.signal(Signal::SIGKILL);
        }
    }

    /// A file that cannot be written costs only the clean-up after a crash.
    fn write(&self, marks: &BTreeMap<String, Mark>) {
        let beside = self.file.with_extension("new");
        let written = serde_json::to_vec(marks)
            .map_err(std::io::Error::other)
            .and_then(|bytes| std::fs::write(&beside, bytes))
            .and_then(|()| std::fs::rename(&beside, &self.file));
        if let Err(error) = written {
            tracing::warn!(%error, file = %self.file.display(), "cannot be written");
        }
    }
}

async fn end(group: &[(&String, &Mark)], said: &Said) -> Result<()> {
    if group.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = group.iter().map(|(name, _)| name.as_str()).collect();
    said.line(&format!(
        "ending what a `ferry up` of before left running: {}",
        names.join(", ")
    ));
    for (signal, within) in [
        (Signal::SIGTERM, END_WITHIN),
        (Signal::SIGKILL, KILLED_WITHIN),
    ] {
        for (_, mark) in group.iter().filter(|(_, mark)| mark.is_alive()) {
            mark.signal(signal);
        }
        let deadline = Instant::now() + within;
        while group.iter().any(|(_, mark)| mark.is_alive()) && Instant::now() < deadline {
            sleep(LOOK_EVERY).await;
        }
    }
    match group.iter().find(|(_, mark)| mark.is_alive()) {
        None => Ok(()),
        Some((name, mark)) => {
            let what = format!(
                "{name} (process {}) of a `ferry up` of before does not end",
                mark.id
            );
            Err(Stopped::new(Exit::Failed, what)
                .next("end it by hand, then start again")
                .into())
        }
    }
}
