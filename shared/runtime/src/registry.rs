//! The actors that are awake, by their aggregate.
//!
//! In: items for a key. Out: they are in the inbox of that key's actor, which is made when needed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use ferry_events::EventId;
use tokio::sync::{mpsc, oneshot};

use crate::{Decide, Fault, Input, Key, jobs::Permit, trace::Heard};

/// What an actor is sent.
pub(crate) enum Item<O> {
    /// An input; `done` is told once it is committed.
    Input {
        input: Input<O>,
        cause: Option<EventId>,
        /// How it came, where it is a message of the bus.
        heard: Option<Arc<Heard>>,
        done: Option<oneshot::Sender<Result<(), Fault>>>,
    },
    /// Its turn has come to do its work.
    Granted(Permit),
    /// Look at the record: its work or deadline may have been forgotten.
    Look,
}

pub(crate) type Inbox<O> = mpsc::UnboundedReceiver<Item<O>>;
type Spawn<O> = Box<dyn Fn(Key, Inbox<O>) + Send + Sync>;

pub(crate) struct Registry<O> {
    actors: Mutex<BTreeMap<Key, mpsc::UnboundedSender<Item<O>>>>,
    spawn: OnceLock<Spawn<O>>,
}

impl<O> Default for Registry<O> {
    fn default() -> Self {
        Self {
            actors: Mutex::default(),
            spawn: OnceLock::new(),
        }
    }
}

impl<O> Registry<O> {
    /// Says how an actor is made. Once, before the first item.
    pub(crate) fn spawn_with(&self, spawn: Spawn<O>) {
        assert!(self.spawn.set(spawn).is_ok(), "actors are made in one way");
    }

    pub(crate) fn send(&self, key: &Key, item: Item<O>) {
        let mut actors = self.actors.lock().expect("no panic under this lock");
        let item = match actors.get(key) {
            Some(inbox) => match inbox.send(item) {
                Ok(()) => return,
                Err(mpsc::error::SendError(item)) => item,
            },
            None => item,
        };
        let (sender, inbox) = mpsc::unbounded_channel();
        sender
            .send(item)
            .unwrap_or_else(|_| unreachable!("the inbox is in hand"));
        actors.insert(key.clone(), sender);
        // A runtime that ends drops a task as it is spawned, and what is in its inbox sends on.
        drop(actors);
        (self.spawn.get().expect("set before the first item"))(key.clone(), inbox);
    }

    /// Takes an actor out if nothing waits for it; else it has to go on.
    pub(crate) fn retire(&self, key: &Key, inbox: &Inbox<O>) -> bool {
        let mut actors = self.actors.lock().expect("no panic under this lock");
        if !inbox.is_empty() {
            return false;
        }
        actors.remove(key);
        true
    }
}

/// Brings what effects notice to the aggregates.
pub struct Feeder<D: Decide> {
    pub(crate) registry: Arc<Registry<D::Outcome>>,
    pub(crate) config: tokio::sync::watch::Receiver<Arc<crate::Context>>,
    pub(crate) drain: tokio_util::sync::CancellationToken,
    pub(crate) hands: crate::Hands,
}

impl<D: Decide> Clone for Feeder<D> {
    fn clone(&self) -> Self {
        Self {
            registry: self.registry.clone(),
            config: self.config.clone(),
            drain: self.drain.clone(),
            hands: self.hands.clone(),
        }
    }
}

impl<D: Decide> Feeder<D> {
    /// Reports to an aggregate, and waits until what follows is committed.
    ///
    /// # Errors
    /// When the decision found a fault, or the service drains.
    pub async fn report(&self, key: &Key, noticed: D::Outcome) -> Result<(), Fault> {
        let (done, told) = oneshot::channel();
        self.registry.send(
            key,
            Item::Input {
                input: Input::Report(noticed),
                cause: None,
                heard: None,
                done: Some(done),
            },
        );
        told.await
            .unwrap_or_else(|_| Err(Fault("the service drains".into())))
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<ferry_config::Config> {
        self.config.borrow().config.clone()
    }

    /// Waits for another configuration than the one seen last through this feeder.
    pub async fn config_changed(&mut self) {
        if self.config.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Cancelled when the service drains.
    pub fn drain(&self) -> &tokio_util::sync::CancellationToken {
        &self.drain
    }

    /// Hands on the bus.
    pub fn hands(&self) -> &crate::Hands {
        &self.hands
    }
}
