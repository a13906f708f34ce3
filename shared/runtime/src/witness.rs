//! A second witness of how far the stream was: a restore from another moment is noticed by it alone.
//!
//! In: the sequences that this service's work stands on, kept in a file of its own, on the disk before
//! the work begins. Out: whether the stream still knows them. Where it does not, what was done since is
//! forgotten on the bus but not in the world, and nothing is done before a person says so.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ferry_bus::{
    Bus, BusError,
    restored::{self, Restored},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tracing::{error, warn};

/// The file in the service's own folder.
const FILE: &str = "witness.json";

/// What is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// The highest sequence that work stands on.
    sequence: u64,
    /// The last restore that an operator acknowledged.
    acknowledged: Option<Restored>,
}

/// The witness of a service; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    file: Option<PathBuf>,
    seen: Mutex<Seen>,
    /// The highest sequence that this process saw.
    highest: AtomicU64,
    stopped: watch::Sender<Option<String>>,
    held: std::sync::Mutex<BTreeSet<String>>,
}

impl Witness {
    /// Opens the witness in a service's own folder. A damaged one is set aside: then a restore is noticed
    /// only from what is seen from now on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let file = folder.join(FILE);
        let seen = match std::fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(seen) => seen,
                Err(damage) => {
                    let aside = file.with_extension("damaged");
                    std::fs::rename(&file, &aside)?;
                    error!(aside = %aside.display(), %damage, "the witness is damaged and set aside: a restore of the stream before now would not be noticed");
                    Seen::default()
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Seen::default(),
            Err(error) => return Err(error),
        };
        let shared = Shared {
            file: Some(file),
            highest: AtomicU64::new(seen.sequence),
            seen: Mutex::new(seen),
            ..Shared::default()
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Why nothing may be done; none while all is well.
    pub fn stopped(&self) -> Option<String> {
        self.shared.stopped.borrow().clone()
    }

    /// Waits until something is found that must stop the service.
    pub async fn stop(&self) -> String {
        let mut stopped = self.shared.stopped.subscribe();
        // The sender lives as long as this witness.
        loop {
            let why = stopped.borrow_and_update().clone();
            if let Some(why) = why {
                return why;
            }
            if stopped.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Looks, before anything is done, until the stream holds what was seen or an operator said that it
    /// was restored. While it waits, [`Self::stopped`] says why.
    pub(crate) async fn admit(&self, bus: &dyn Bus, pause: std::time::Duration) {
        loop {
            match self.look(bus, true).await {
                Ok(None) => {
                    self.shared.stopped.send_replace(None);
                    return;
                }
                Ok(Some(why)) => {
                    let new = self
                        .shared
                        .stopped
                        .send_replace(Some(why.clone()))
                        .is_none();
                    if new {
                        error!(why, "nothing is done");
                    }
                }
                Err(error) => warn!(%error, "waiting for the bus"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks while the service runs; what is found stops it.
    pub(crate) async fn check(&self, bus: &dyn Bus) {
        match self.look(bus, false).await {
            Ok(None) => {}
            Ok(Some(why)) => self.found(why),
            Err(error) => warn!(%error, "the end of the stream cannot be looked at now"),
        }
    }

    fn found(&self, why: String) {
        error!(why, "the service stops");
        self.shared.stopped.send_replace(Some(why));
    }

    async fn look(&self, bus: &dyn Bus, admits: bool) -> Result<Option<String>, BusError> {
        // Before the stream is asked: what is seen meanwhile counts next time.
        let highest = self.shared.highest.load(Ordering::Acquire);
        let (end, said) = (bus.end().await?, restored::read(bus).await?);
        let mut seen = self.shared.seen.lock().await;
        let news = said.is_some() && said != seen.acknowledged;
        if end < highest && !(admits && news) {
            return Ok(Some(text(end, highest)));
        }
        if news || end < highest {
            let next = Seen {
                sequence: if end < highest { end } else { seen.sequence },
                acknowledged: said,
            };
            self.write(&next).await?;
            self.shared
                .highest
                .store(end.min(highest), Ordering::Release);
            *seen = next;
        }
        Ok(None)
    }

    /// The highest sequence that this process saw; asked before a commit, for [`Self::committed`].
    pub(crate) fn highest(&self) -> u64 {
        self.shared.highest.load(Ordering::Acquire)
    }

    /// Notes a commit's sequence. False: it is not above all that was seen before the commit was sent, so
    /// the stream is another one now, and what follows from the commit must not be done.
    pub(crate) fn committed(&self, before: u64, sequence: u64) -> bool {
        if sequence <= before {
            self.found(text(sequence, before));
            return false;
        }
        self.shared.highest.fetch_max(sequence, Ordering::AcqRel);
        true
    }

    /// Notes an aggregate that stops, because the stream and its state are of different moments.
    pub(crate) fn hold(&self, key: &str) {
        let mut held = self.shared.held.lock().expect("no panic under this lock");
        held.insert(key.to_owned());
    }

    /// The aggregates that were stopped.
    pub fn held(&self) -> Vec<String> {
        let held = self.shared.held.lock().expect("no panic under this lock");
        held.iter().cloned().collect()
    }

    /// Notes what work stands on. On return it is on the disk; then the work may begin.
    pub(crate) async fn cover(&self, sequence: u64) -> Result<(), BusError> {
        let mut seen = self.shared.seen.lock().await;
        if sequence <= seen.sequence {
            return Ok(());
        }
        // All that was seen meanwhile, so that those who wait here find it done.
        let next = Seen {
            sequence: self.shared.highest.load(Ordering::Acquire).max(sequence),
            ..seen.clone()
        };
        self.write(&next).await?;
        *seen = next;
        Ok(())
    }

    async fn write(&self, seen: &Seen) -> Result<(), BusError> {
        let Some(file) = self.shared.file.clone() else {
            return Ok(());
        };
        let bytes = serde_json::to_vec(seen).expect("a witness is always JSON");
        let shown = file.display().to_string();
        let written = tokio::task::spawn_blocking(move || replace(&file, &bytes)).await;
        written
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            .map_err(|error| BusError::Io(format!("{shown} cannot be written"), error))
    }
}

/// Whole or not at all, and lasting.
fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = file.with_extension("part");
    let mut new = std::fs::File::create(&part)?;
    new.write_all(bytes)?;
    new.sync_data()?;
    std::fs::rename(&part, file)?;
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn text(end: u64, seen: u64) -> String {
    format!(
        "the stream was restored from another moment: FERRY ends at {end}, but {seen} was seen; see docs/operations.md#restoring, then `ferry bus restored --why …`"
    )
}
