//! Every event of a fleet, as it stands on the bus, followed while it goes on.
//!
//! In: the bus, watched as the gateway watches it. Out: the events in their order; which pushes and runs are open.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use ferry_bus::{Bus, Start};
use ferry_events::{Body, Event, PushId, RunId, Timestamp, subject};
use futures::StreamExt as _;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::wait::LOOK_EVERY;

/// Between two attempts at a bus that is silent.
const PAUSE: Duration = Duration::from_millis(250);

/// One message below `ferry.events`.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the stream took it.
    pub at: Timestamp,
    /// Its bytes.
    pub raw: Bytes,
    /// What it says; none: it cannot be read.
    pub event: Option<Event>,
}

/// Events from the first on. Ends when dropped.
pub struct Journal {
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Known {
    told: Vec<Told>,
    resolved: BTreeSet<PushId>,
    open: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
}

impl Known {
    fn take(&mut self, told: Told) {
        match told.event.as_ref().map(|event| &event.body) {
            Some(Body::PushResolved(resolved)) => {
                self.resolved.insert(resolved.push);
                for one in &resolved.runs {
                    self.begun(one.run);
                }
            }
            Some(Body::RunQueued(queued)) => self.begun(queued.run),
            Some(Body::RunFinished(finished)) => {
                self.open.remove(&finished.run);
                self.ended.insert(finished.run);
            }
            _ => {}
        }
        self.told.push(told);
    }

    fn begun(&mut self, run: RunId) {
        if !self.ended.contains(&run) {
            self.open.insert(run);
        }
    }
}

/// The events as JSON lines.
pub fn lines(told: &[Told]) -> Vec<u8> {
    let lines = told.iter().flat_map(|one| [&one.raw[..], b"\n"]);
    lines.flatten().copied().collect()
}

/// Follows a fleet's events.
///
/// # Errors
/// When the bus refuses.
pub async fn follow(fleet: &Fleet) -> Result<Journal> {
    let bus = fleet.bus().await?;
    let known = Arc::new(Mutex::new(Known::default()));
    let shared = Arc::clone(&known);
    let task = tokio::spawn(async move {
        let mut last = 0;
        loop {
            let filters = vec![subject::ALL_EVENTS.to_owned()];
            let start = if last == 0 {
                Start::First
            } else {
                Start::At(last + 1)
            };
            if let Ok(mut messages) = bus.watch(subject::STREAM, filters, start).await {
                while let Some(message) = messages.next().await {
                    let Ok(message) = message else { continue };
                    if message.sequence <= last {
                        continue;
                    }
                    last = message.sequence;
                    let told = Told {
                        sequence: message.sequence,
                        at: message.at,
                        event: Event::decode(&message.payload).ok(),
                        raw: message.payload,
                    };
                    shared
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(told);
                }
            }
            sleep(PAUSE).await;
        }
    });
    Ok(Journal { known, task })
}

impl Journal {
    fn with<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All so far, in the stream's order.
    pub fn events(&self) -> Vec<Told> {
        self.with(|known| known.told.clone())
    }

    /// How many runs have ended, and how many have not.
    pub fn runs(&self) -> (usize, usize) {
        self.with(|known| (known.ended.len(), known.open.len()))
    }

    /// Whether git was asked about all of these pushes, and no run is open.
    pub fn is_at_rest(&self, pushes: &[PushId]) -> bool {
        self.with(|known| {
            known.open.is_empty() && pushes.iter().all(|push| known.resolved.contains(push))
        })
    }

    /// Waits for it.
    ///
    /// # Errors
    /// At the limit, with what is open.
    pub async fn rest(&self, pushes: &[PushId], limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !self.is_at_rest(pushes) {
            if Instant::now() >= deadline {
                let (ended, open) = self.runs();
                let waiting = self.with(|known| {
                    let waits = pushes.iter().filter(|push| !known.resolved.contains(push));
                    waits.count()
                });
                bail!(
                    "after {limit:?} {ended} runs have ended, {open} have not, and {waiting} pushes wait for git"
                );
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// When it does not come within `limit`.
    pub async fn event(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Body) -> bool,
    ) -> Result<Event> {
        let deadline = Instant::now() + limit;
        loop {
            let found = self.with(|known| {
                let mut events = known.told.iter().filter_map(|told| told.event.as_ref());
                events.find(|event| wanted(&event.body)).cloned()
            });
            if let Some(found) = found {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                bail!("waited {limit:?} for {what}, in vain");
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.task.abort();
    }
}
