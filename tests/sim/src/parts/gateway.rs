//! A gateway without HTTP: the real way of a push from the signature on, with a disk in memory.
//!
//! In: verified pushes, commands. Out: the answer of the real `accept`; what is on the disk outlasts the
//! process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use ferry_bus::{Bus, Write};
use ferry_config::Config;
use ferry_events::{Command, PushId, push::Received};
use ferry_gateway::effects::{
    accept::accept,
    forward,
    inbox::{Flush, InboxError, Kept, Waiting},
};
use tokio::sync::{Notify, watch};

use crate::process::{Fate, Life};

type Pushes = BTreeMap<u64, Received>;

/// A gateway's disk.
#[derive(Default)]
pub struct Disk(Mutex<Pushes>);

impl Disk {
    /// The pushes that wait on it.
    pub fn waiting(&self) -> Vec<PushId> {
        let kept = lock(&self.0);
        kept.values().map(|received| received.push).collect()
    }
}

/// The inbox of one life on that disk.
struct Inbox {
    life: Arc<Life>,
    disk: Arc<Disk>,
    /// What is written and not flushed: it goes with the process.
    written: Mutex<Pushes>,
    arrived: Notify,
}

impl Inbox {
    fn all(&self) -> Pushes {
        let mut all = lock(&self.disk.0).clone();
        all.extend(lock(&self.written).clone());
        all
    }
}

fn lock(pushes: &Mutex<Pushes>) -> MutexGuard<'_, Pushes> {
    pushes.lock().expect("no panic under this lock")
}

#[async_trait]
impl Waiting for Inbox {
    fn has_room(&self, _least: u64) -> Result<(), InboxError> {
        Ok(())
    }

    fn put(&self, received: &Received, _limit: u64) -> Result<Flush<'_>, InboxError> {
        let all = self.all();
        let known = all.values().any(|kept| kept.push == received.push);
        if !known {
            let place = all.keys().last().copied().unwrap_or_default() + 1;
            lock(&self.written).insert(place, received.clone());
        }
        self.arrived.notify_one();
        Ok(Box::pin(async {
            self.life.pass("flush").await;
            lock(&self.disk.0).append(&mut lock(&self.written));
            self.life.pass("has flushed").await;
            Ok(())
        }))
    }

    fn after(&self, place: Option<u64>, max: usize) -> Result<Vec<Kept>, InboxError> {
        let from = place.map_or(0, |place| place + 1);
        Ok(self
            .all()
            .range(from..)
            .take(max)
            .map(|(place, received)| Kept {
                place: *place,
                received: received.clone(),
            })
            .collect())
    }

    fn remove(&self, kept: &Kept) -> Result<(), InboxError> {
        // A process that is gone takes nothing out any more.
        if !self.life.is_dead() {
            lock(&self.disk.0).remove(&kept.place);
            lock(&self.written).remove(&kept.place);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    async fn arrival(&self) {
        self.arrived.notified().await;
    }

    /// A disk in memory does not fail.
    async fn mend(&self) -> Result<(), InboxError> {
        Ok(())
    }
}

/// One life of a gateway.
pub struct Gateway {
    life: Arc<Life>,
    bus: Arc<dyn Bus>,
    inbox: Arc<Inbox>,
    config: Arc<Config>,
}

impl Gateway {
    /// Starts it.
    pub fn start(life: Arc<Life>, bus: Arc<dyn Bus>, disk: Arc<Disk>, config: &Config) -> Self {
        let inbox = Arc::new(Inbox {
            life: life.clone(),
            disk,
            written: Mutex::default(),
            arrived: Notify::new(),
        });
        let config = Arc::new(config.clone());
        let (keep, given) = watch::channel(config.clone());
        let (to, from) = (bus.clone(), inbox.clone());
        tokio::spawn(async move {
            forward::run(to, given, from).await;
            drop(keep);
        });
        Self {
            life,
            bus,
            inbox,
            config,
        }
    }

    /// Takes a verified push. True: it was answered 202.
    pub async fn take(&self, received: &Received) -> bool {
        if self.life.is_dead() {
            return false;
        }
        if self.life.pass("hook").await == Fate::Fail {
            return false;
        }
        if accept(&self.bus, &*self.inbox, &self.config, received)
            .await
            .is_err()
        {
            return false;
        }
        self.life.pass("answer").await == Fate::Go
    }

    /// Takes a person's command. True: it was answered 202.
    pub async fn command(&self, command: &Command) -> bool {
        if self.life.is_dead() {
            return false;
        }
        let batch = vec![Write::command(command)].into();
        self.bus.commit(batch).await.is_ok()
    }
}
