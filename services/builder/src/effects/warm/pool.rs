//! The workers that there are: who has which, and which one makes way.
//!
//! In: a module's folder of a repository, and what its build needs. Out: a place for one worker, with the
//! worker in it where one waits. Nobody else gets that worker meanwhile, and no other repository ever.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use ferry_config::Builder;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

use super::worker::{Fit, Worker};

/// So long after a build the machine is left to what becomes of what was built. An installation takes less on
/// most bases, and would take longer beside a JVM that puts itself in order.
const QUIET: Duration = Duration::from_secs(2);

/// Whose worker it is: a repository, and the module's folder in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whose {
    /// The repository.
    pub repository: String,
    /// The folder, in which the worker's JVM stands.
    pub path: String,
}

/// The workers. Clones are the same pool.
#[derive(Clone, Default)]
pub struct Pool(Arc<Inner>);

struct Inner {
    slots: Mutex<Slots>,
    /// Told when a worker has come to rest, or its place is free.
    changed: watch::Sender<()>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

#[derive(Default)]
struct Slots {
    by: BTreeMap<Whose, Slot>,
    /// Counts uses, so that the one that was used longest ago is known.
    uses: u64,
    /// How many there may be, as the configuration had it last.
    most: usize,
}

enum Slot {
    /// A build has it, or makes it.
    Busy,
    /// It puts itself in order after a build, at leisure until somebody waits.
    Resting { awaited: Arc<Notify>, used: u64 },
    /// It waits.
    Idle {
        worker: Box<Worker>,
        used: u64,
        _ends: AbortOnDropHandle<()>,
    },
}

/// A place in the pool for one worker. It is free again when this is dropped.
pub struct Lease {
    pool: Pool,
    whose: Whose,
    /// Whether the slot is somebody else's now.
    given_back: bool,
}

/// A place, and the worker in it.
pub struct Taken {
    /// The place.
    pub lease: Lease,
    /// The worker, where one waited that fits.
    pub worker: Option<Worker>,
    /// Why the one that waited is ended.
    pub ended: Option<String>,
}

impl Pool {
    /// A place for a worker that fits, with the worker where there is one. Waits for one that is being
    /// put in order.
    ///
    /// # Errors
    /// Why there is no place, in words.
    pub async fn take(&self, whose: &Whose, fit: &Fit, builder: &Builder) -> Result<Taken, String> {
        let mut changed = self.0.changed.subscribe();
        let (lease, waited) = loop {
            changed.borrow_and_update();
            match self.place(whose, builder.warm_workers as usize) {
                Place::Got(lease, worker) => break (lease, worker),
                Place::Wait => {}
                Place::Not(why) => return Err(why),
            }
            // The pool holds the sender.
            let _ = changed.changed().await;
        };
        let Some(mut worker) = waited else {
            let (worker, ended) = (None, None);
            return Ok(Taken {
                lease,
                worker,
                ended,
            });
        };
        let unfit = match worker.fit.differs(fit) {
            Some(what) => Some(format!("{what} changed")),
            None if !worker.is_well() => Some("it had ended by itself".to_owned()),
            None => None,
        };
        let worker = match unfit {
            Some(_) => {
                worker.end().await;
                None
            }
            None => Some(*worker),
        };
        Ok(Taken {
            lease,
            worker,
            ended: unfit,
        })
    }

    /// Ends what waits where workers are not wanted, and those that are too many.
    pub fn keep_to(&self, builder: &Builder) {
        let mut slots = self.slots();
        slots.most = if builder.warm {
            builder.warm_workers as usize
        } else {
            0
        };
        while slots.by.len() > slots.most && make_way(&mut slots, None) {}
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, whose: &Whose, most: usize) -> Place {
        let mut slots = self.slots();
        let lease = || Lease {
            pool: self.clone(),
            whose: whose.clone(),
            given_back: false,
        };
        slots.most = most;
        // There can be too many since the configuration changed.
        while slots.by.len() > most && make_way(&mut slots, Some(whose)) {}
        match slots.by.get_mut(whose) {
            Some(Slot::Busy) => Place::Not("its worker is busy with another commit".into()),
            Some(Slot::Resting { awaited, .. }) => {
                awaited.notify_one();
                Place::Wait
            }
            Some(slot) => match std::mem::replace(slot, Slot::Busy) {
                Slot::Idle { worker, .. } => Place::Got(lease(), Some(worker)),
                Slot::Busy | Slot::Resting { .. } => Place::Wait,
            },
            None => {
                while slots.by.len() >= most {
                    if !make_way(&mut slots, None) {
                        return Place::Not(format!("all {most} workers are busy"));
                    }
                }
                slots.by.insert(whose.clone(), Slot::Busy);
                Place::Got(lease(), None)
            }
        }
    }

    fn free(&self, whose: &Whose) {
        self.slots().by.remove(whose);
        self.0.changed.send_replace(());
    }
}

/// Ends the worker that has waited longest, but not this one. False: no other waits.
fn make_way(slots: &mut Slots, but: Option<&Whose>) -> bool {
    let others = slots.by.iter().filter(|(whose, _)| Some(*whose) != but);
    let wait = others.filter_map(|(whose, slot)| match slot {
        Slot::Idle { used, .. } | Slot::Resting { used, .. } => Some((*used, whose.clone())),
        Slot::Busy => None,
    });
    let Some((_, whose)) = wait.min() else {
        return false;
    };
    let slot = slots.by.remove(&whose);
    info!(
        repository = whose.repository,
        path = whose.path,
        "a worker makes way"
    );
    match slot {
        Some(Slot::Idle { mut worker, .. }) => {
            tokio::spawn(async move { worker.end().await });
        }
        // Whoever puts it in order finds that it has no place any more.
        Some(Slot::Resting { awaited, .. }) => awaited.notify_one(),
        Some(Slot::Busy) | None => {}
    }
    true
}

enum Place {
    Got(Lease, Option<Box<Worker>>),
    Wait,
    Not(String),
}

impl Lease {
    /// Gives a worker back. It is put in order in the background, after [`QUIET`] or once somebody waits for it.
    pub fn give_back(mut self, worker: Worker, builder: &Builder) {
        self.given_back = true;
        let rest = Rest::begin(self.pool.clone(), self.whose.clone());
        let builder = builder.clone();
        tokio::spawn(async move {
            // Either way it is put in order.
            let _ = timeout(QUIET, rest.awaited.notified()).await;
            let mut worker = Box::new(worker);
            if let Err(why) = worker.rest(&builder).await {
                let Whose { repository, path } = &rest.whose;
                info!(repository, path, why, "a worker is replaced");
                worker.end().await;
            } else if let Some(mut worker) = rest.over(worker, builder.warm_idle) {
                worker.end().await;
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.given_back {
            self.pool.free(&self.whose);
        }
    }
}

/// The place of a worker that puts itself in order. Whatever becomes of it, the place is free again.
struct Rest {
    pool: Pool,
    whose: Whose,
    awaited: Arc<Notify>,
}

impl Rest {
    fn begin(pool: Pool, whose: Whose) -> Self {
        let awaited = Arc::new(Notify::new());
        let mut slots = pool.slots();
        slots.uses += 1;
        let slot = Slot::Resting {
            awaited: awaited.clone(),
            used: slots.uses,
        };
        slots.by.insert(whose.clone(), slot);
        drop(slots);
        Self {
            pool,
            whose,
            awaited,
        }
    }

    /// When it was used, where its place is its own still.
    fn used(&self, slots: &Slots) -> Option<u64> {
        match slots.by.get(&self.whose)? {
            Slot::Resting { awaited, used } => Arc::ptr_eq(awaited, &self.awaited).then_some(*used),
            Slot::Busy | Slot::Idle { .. } => None,
        }
    }

    /// Has the worker wait for its next build. Gives it back where it has made way.
    fn over(self, worker: Box<Worker>, idle: Duration) -> Option<Box<Worker>> {
        let mut slots = self.pool.slots();
        let Some(used) = self.used(&slots) else {
            return Some(worker);
        };
        let ends = Arc::downgrade(&self.pool.0).end_after(self.whose.clone(), used, idle);
        let slot = Slot::Idle {
            worker,
            used,
            _ends: ends,
        };
        slots.by.insert(self.whose.clone(), slot);
        while slots.by.len() > slots.most && make_way(&mut slots, None) {}
        None
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let mut slots = self.pool.slots();
        if self.used(&slots).is_some() {
            slots.by.remove(&self.whose);
        }
        drop(slots);
        self.pool.0.changed.send_replace(());
    }
}

trait EndAfter {
    /// Ends the worker when nobody used it for so long.
    fn end_after(self, whose: Whose, used: u64, idle: Duration) -> AbortOnDropHandle<()>;
}

impl EndAfter for Weak<Inner> {
    fn end_after(self, whose: Whose, used: u64, idle: Duration) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(async move {
            sleep(idle).await;
            let Some(inner) = self.upgrade() else { return };
            let pool = Pool(inner);
            let mut slots = pool.slots();
            let same = |slot: &Slot| matches!(slot, Slot::Idle { used: last, .. } if *last == used);
            if !slots.by.get(&whose).is_some_and(same) {
                return;
            }
            if let Some(Slot::Idle {
                mut worker, _ends, ..
            }) = slots.by.remove(&whose)
            {
                info!(
                    repository = whose.repository,
                    path = whose.path,
                    "a worker was idle for too long"
                );
                tokio::spawn(async move { worker.end().await });
            }
        }))
    }
}
