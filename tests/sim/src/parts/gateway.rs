//! A gateway without HTTP: the real way of a push from the signature on, with a disk in memory.
//!
//! In: verified pushes, commands. Out: the answer of the real `accept`; what is on the disk outlasts the
//! process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use ferry_bus::{Bus, Write};
use ferry_config::Config;
use ferry_events::{Command, push::Received};
use ferry_gateway::effects::{
    accept::accept,
    forward,
    inbox::{InboxError, Kept, Waiting},
};
use tokio::sync::{Notify, watch};

use crate::process::{Fate, Life};

/// A gateway's disk.
#[derive(Default)]
pub struct Disk(Mutex<BTreeMap<u64, Received>>);

/// The inbox of one life on that disk.
struct Inbox {
    life: Arc<Life>,
    disk: Arc<Disk>,
    arrived: Notify,
}

#[async_trait]
impl Waiting for Inbox {
    fn has_room(&self, _least: u64) -> Result<(), InboxError> {
        Ok(())
    }

    async fn put(&self, received: &Received, _limit: u64) -> Result<(), InboxError> {
        self.life.pass("flush").await;
        {
            let mut disk = self.disk.0.lock().expect("no panic under this lock");
            let known = disk.values().any(|kept| kept.push == received.push);
            if !known {
                let place = disk.keys().last().copied().unwrap_or_default() + 1;
                disk.insert(place, received.clone());
            }
        }
        self.life.pass("has flushed").await;
        self.arrived.notify_one();
        Ok(())
    }

    fn after(&self, place: Option<u64>, max: usize) -> Result<Vec<Kept>, InboxError> {
        let disk = self.disk.0.lock().expect("no panic under this lock");
        let from = place.map_or(0, |place| place + 1);
        Ok(disk
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
            let mut disk = self.disk.0.lock().expect("no panic under this lock");
            disk.remove(&kept.place);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        let disk = self.disk.0.lock().expect("no panic under this lock");
        disk.is_empty()
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
