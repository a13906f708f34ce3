//! A second witness of how far the stream was: a restore from another moment is noticed by it alone.
//!
//! In: how far the stream is, looked at every few seconds and noted before any work begins, in a file of
//! the service's own; and two messages of it. Out: whether the stream still goes so far, and holds them.
//! Where it does not, what was done since is forgotten on the bus but not in the world, and nothing is done
//! before a person says so.

mod disk;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ferry_bus::{
    Bus, BusError, Record,
    restored::{self, Restored},
};
use ferry_events::{Digest, subject};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tracing::{error, warn};

pub use disk::WitnessDisk;

/// Why a service that runs begins anew once an operator has said that the bus was restored.
const AGAIN: &str = "an operator said that the bus was restored: this service begins anew with what it holds; see docs/operations.md#restoring";

/// What is on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    /// How far the stream was.
    sequence: u64,
    /// The last event that was seen: a stream that was put back may have grown past `sequence` since, and
    /// then holds another message there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<Mark>,
    /// The last message of any kind. It may be replaced by a later one; what stands in its place is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Mark>,
    /// Why nothing is done any more. Only an operator's word takes it away: the stream may grow until nothing
    /// can be told by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    /// The last restore that an operator acknowledged.
    acknowledged: Option<Restored>,
}

/// A message that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    sequence: u64,
    digest: Digest,
}

impl Mark {
    fn of(record: Record) -> Self {
        Self {
            sequence: record.sequence,
            digest: Digest::of(&record.payload),
        }
    }
}

/// When a look is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Before anything is done: an operator's word lets the service go on.
    Admits,
    /// While the service runs.
    Runs,
    /// Between an intent and its call: nothing is noted.
    Fences,
}

/// The witness of a service; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// None: it is kept nowhere.
    disk: Option<Arc<dyn WitnessDisk>>,
    seen: Mutex<Seen>,
    /// The highest sequence that this process saw.
    highest: AtomicU64,
    stopped: watch::Sender<Option<String>>,
    /// How many asked for a look at a fence so far.
    asked: AtomicU64,
    /// How many of these a look found well that began after they had asked.
    vouched: Mutex<u64>,
    held: std::sync::Mutex<BTreeSet<String>>,
}

impl Witness {
    /// Opens the witness in a service's own folder. A damaged one is set aside: then a restore is noticed
    /// only from what is seen from now on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        Self::kept_on(Arc::new(disk::File::in_folder(folder)))
    }

    /// As [`Self::open`], kept elsewhere.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn kept_on(disk: Arc<dyn WitnessDisk>) -> std::io::Result<Self> {
        let seen = match disk.read()? {
            Some(bytes) => match serde_json::from_slice(&bytes) {
                Ok(seen) => seen,
                Err(damage) => {
                    let aside = disk.set_aside()?;
                    error!(aside, %damage, "the witness is damaged and set aside: a restore of the stream before now would not be noticed");
                    Seen::default()
                }
            },
            None => Seen::default(),
        };
        let shared = Shared {
            disk: Some(disk),
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
    pub(crate) async fn admit(&self, bus: &dyn Bus, pause: Duration) {
        loop {
            match self.look(bus, Look::Admits).await {
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
                    self.remember().await;
                }
                Err(error) => warn!(%error, "waiting for the bus"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks while the service runs; what is found stops it.
    pub(crate) async fn check(&self, bus: &dyn Bus) {
        match self.look(bus, Look::Runs).await {
            Ok(None) => {}
            Ok(Some(why)) => self.found(why),
            Err(error) => warn!(%error, "the end of the stream cannot be looked at now"),
        }
    }

    /// Says that what was just read is of the stream that was seen before; else the service stops.
    ///
    /// # Errors
    /// [`BusError::Unavailable`] when it is of another one, or when that cannot be told now.
    pub(crate) async fn vouch(&self, bus: &dyn Bus) -> Result<(), BusError> {
        let number = self.shared.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut vouched = self.shared.vouched.lock().await;
        let why = match self.stopped() {
            Some(why) => why,
            // One look serves all who asked before it began: a base each, in a wide wave.
            None if *vouched >= number => return Ok(()),
            None => {
                let asked = self.shared.asked.load(Ordering::Acquire);
                match self.look(bus, Look::Fences).await? {
                    None => {
                        *vouched = asked;
                        return Ok(());
                    }
                    Some(why) => {
                        self.found(why.clone());
                        why
                    }
                }
            }
        };
        Err(BusError::Unavailable(why))
    }

    fn found(&self, why: String) {
        error!(why, "the service stops");
        self.shared.stopped.send_replace(Some(why));
    }

    async fn look(&self, bus: &dyn Bus, look: Look) -> Result<Option<String>, BusError> {
        // Before the stream is asked: what is seen meanwhile counts next time.
        let highest = self.shared.highest.load(Ordering::Acquire);
        let marks = self.shared.seen.lock().await.clone();
        let said = restored::read(bus).await?;
        let event = bus.read(subject::ALL_EVENTS).await?;
        let last = bus.end().await?;
        let last = bus.read_at(subject::STREAM, last).await?;
        // After all that is noted, so that nothing of another stream is.
        let end = bus.end().await?;
        let other = if end < highest {
            Some(text(&format!(
                "FERRY ends at {end}, but {highest} was seen"
            )))
        } else {
            is_other(bus, &marks).await?
        };
        let mut seen = self.shared.seen.lock().await;
        // A stream that was put back may hold an older word: that one was not about this restore.
        let news = match (&said, &seen.acknowledged) {
            (Some(said), Some(known)) => said.at > known.at,
            (said, _) => said.is_some(),
        };
        if news && look != Look::Admits {
            // What is in memory is of the stream before.
            return Ok(Some(AGAIN.to_owned()));
        }
        if !news && let Some(why) = other.or_else(|| seen.stopped.clone()) {
            return Ok(Some(why));
        }
        if look == Look::Fences {
            return Ok(None);
        }
        let (event, last) = (
            event.map(Mark::of),
            last.map(|(_, record)| Mark::of(record)),
        );
        let newer = |new: Option<Mark>, known: &Option<Mark>| {
            let known = known.as_ref().filter(|_| !news);
            let older = |mark: &Mark| known.is_none_or(|it| it.sequence < mark.sequence);
            new.filter(older).or_else(|| known.cloned())
        };
        let next = Seen {
            sequence: if news { end } else { end.max(seen.sequence) },
            event: newer(event, &seen.event),
            last: newer(last, &seen.last),
            stopped: None,
            acknowledged: if news {
                said
            } else {
                seen.acknowledged.clone()
            },
        };
        if news {
            self.write(&next).await?;
            self.shared.highest.store(end, Ordering::Release);
            *seen = next;
            return Ok(None);
        }
        self.shared.highest.fetch_max(end, Ordering::AcqRel);
        if next != *seen {
            match self.write(&next).await {
                Ok(()) => *seen = next,
                // Work waits for the disk by itself; without any there is nothing to be forgotten.
                Err(error) => warn!(%error, "how far the stream is cannot be noted now"),
            }
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
            self.found(text(&format!(
                "FERRY took {sequence}, but {before} was seen"
            )));
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

    /// Notes all that this process saw, before it ends: the next one has to know it.
    pub(crate) async fn remember(&self) {
        let mut seen = self.shared.seen.lock().await;
        let next = Seen {
            sequence: self.highest().max(seen.sequence),
            stopped: self.stopped().filter(|why| why != AGAIN),
            ..seen.clone()
        };
        if next == *seen {
            return;
        }
        match self.write(&next).await {
            Ok(()) => *seen = next,
            Err(error) => {
                error!(%error, "what was seen cannot be noted: the next start may not notice a restore");
            }
        }
    }

    async fn write(&self, seen: &Seen) -> Result<(), BusError> {
        let Some(disk) = &self.shared.disk else {
            return Ok(());
        };
        let bytes = serde_json::to_vec(seen).expect("a witness is always JSON");
        let written = disk.replace(bytes).await;
        written.map_err(|error| BusError::Io(format!("{} cannot be written", disk.place()), error))
    }
}

/// Whether the stream holds other messages than those that were seen, though it goes as far: why.
async fn is_other(bus: &dyn Bus, seen: &Seen) -> Result<Option<String>, BusError> {
    for (mark, event) in [(&seen.last, false), (&seen.event, true)] {
        let Some(Mark { sequence, digest }) = mark else {
            continue;
        };
        let why = match bus.read_at(subject::STREAM, *sequence).await? {
            Some((_, record)) if Digest::of(&record.payload) == *digest => continue,
            Some(_) => format!("at {sequence} FERRY holds another message than was seen"),
            None if !event => continue,
            // Events grow too old in their order.
            None => match bus.first(subject::ALL_EVENTS).await? {
                Some(first) if first.sequence < *sequence => {
                    format!("FERRY lacks the event at {sequence} that was seen")
                }
                _ => continue,
            },
        };
        return Ok(Some(text(&why)));
    }
    Ok(None)
}

fn text(why: &str) -> String {
    format!(
        "the stream was restored from another moment: {why}; see docs/operations.md#restoring, then `ferry bus restored --why …`"
    )
}
