//! The inbox: accepted pushes on disk, for as long as the bus is silent.
//!
//! In: pushes to keep; out again in the order in which they came. What is in it
//! is safe to deliver twice. Only `store.rs` and this file know sled; another
//! store fits behind the same calls.

mod promise;
mod store;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use ferry_events::PushId;
use ferry_events::push::Received;
use tokio::sync::Notify;
use tracing::{error, warn};

use promise::Promise;
use store::{Opened, Store, place_of};

/// The inbox's folder in the service's data folder.
const FOLDER: &str = "inbox";

/// Its lock: held by the process that has the inbox open.
const LOCK: &str = "inbox.lock";

/// What is kept for a push beside its record: key, id and sled's own tens of
/// bytes a node.
const OVERHEAD: u64 = 128;

/// Why the inbox could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// Another gateway has it open.
    #[error("the inbox in {} is open in another process; give each gateway a data folder of its own", .0.display())]
    InUse(PathBuf),
    /// The disk would not.
    #[error("the inbox in {} cannot be used", .path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// It holds as much as its limit allows.
    #[error("the inbox is full ({limit} bytes)")]
    Full {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The disk has too little room left.
    #[error(
        "the disk of the inbox has {free} bytes left; [gateway] min_free_disk keeps {floor} free"
    )]
    NoRoom {
        /// What is left, in bytes.
        free: u64,
        /// What has to stay free, in bytes.
        floor: u64,
    },
    /// The store failed.
    #[error("the inbox cannot be written")]
    Store(#[source] sled::Error),
    /// The note of what was promised could not be written.
    #[error("the inbox's witness cannot be written")]
    Witness(#[source] io::Error),
}

/// A push in the inbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its place in the queue.
    pub place: u64,
    /// The push.
    pub received: Received,
}

/// Pushes that wait for the bus: on a disk, or in a simulation's memory.
#[async_trait]
pub trait Waiting: Send + Sync {
    /// Whether the disk has at least so many bytes free.
    ///
    /// # Errors
    /// When it has not.
    fn has_room(&self, least: u64) -> Result<(), InboxError>;

    /// Writes a push down; its place in the queue. It outlasts this process only once [`Self::flush`] has
    /// returned. One that is in there already is left as it is.
    ///
    /// # Errors
    /// [`InboxError::Full`] beyond `limit` bytes; others when the disk refuses.
    fn put(&self, received: &Received, limit: u64) -> Result<u64, InboxError>;

    /// On return what was put there outlasts this process.
    ///
    /// # Errors
    /// When the disk refuses.
    async fn flush(&self, place: u64) -> Result<(), InboxError>;

    /// The oldest pushes behind a place (`None`: from the first on), at most `max`.
    ///
    /// # Errors
    /// When the disk refuses.
    fn after(&self, place: Option<u64>, max: usize) -> Result<Vec<Kept>, InboxError>;

    /// Takes out a push that was delivered.
    ///
    /// # Errors
    /// When the disk refuses.
    fn remove(&self, kept: &Kept) -> Result<(), InboxError>;

    /// Whether none waits.
    fn is_empty(&self) -> bool;

    /// Waits until a push has come in since the last call.
    async fn arrival(&self);
}

#[async_trait]
impl Waiting for Inbox {
    fn has_room(&self, least: u64) -> Result<(), InboxError> {
        Inbox::has_room(self, least)
    }

    fn put(&self, received: &Received, limit: u64) -> Result<u64, InboxError> {
        self.write(received, limit)
    }

    async fn flush(&self, place: u64) -> Result<(), InboxError> {
        Inbox::flush(self, place).await
    }

    fn after(&self, place: Option<u64>, max: usize) -> Result<Vec<Kept>, InboxError> {
        Inbox::after(self, place, max)
    }

    fn remove(&self, kept: &Kept) -> Result<(), InboxError> {
        Inbox::remove(self, kept)
    }

    fn is_empty(&self) -> bool {
        Inbox::is_empty(self)
    }

    async fn arrival(&self) {
        Inbox::arrival(self).await;
    }
}

/// The inbox.
pub struct Inbox {
    store: Store,
    promise: Promise,
    folder: PathBuf,
    bytes: AtomicU64,
    arrived: Notify,
    // Held for as long as the inbox is open.
    _lock: File,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox")
            .field("pushes", &self.len())
            .finish_non_exhaustive()
    }
}

impl Inbox {
    /// Opens the inbox below a data folder. A damaged one is set aside under
    /// another name, and a new one takes over what could be read of it.
    ///
    /// # Errors
    /// When another process has it open, or the disk refuses.
    pub fn open(data: &Path) -> Result<Self, InboxError> {
        let disk = |source| InboxError::Disk {
            path: data.to_owned(),
            source,
        };
        std::fs::create_dir_all(data).map_err(disk)?;
        let lock = File::create(data.join(LOCK)).map_err(disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(InboxError::InUse(data.to_owned())),
            Err(TryLockError::Error(source)) => return Err(disk(source)),
        }
        let mut promise = Promise::open(data).map_err(disk)?;
        let path = data.join(FOLDER);
        let store = match Store::open(&path, promise.highest()).map_err(disk)? {
            Opened::Whole(store) => store,
            Opened::Damaged { how, left } => {
                renew(&path, &mut promise, &how, &left).map_err(disk)?
            }
        };
        let bytes = store
            .queue
            .iter()
            .values()
            .flatten()
            .map(|value| cost(value.len()))
            .sum();
        let (bytes, arrived) = (AtomicU64::new(bytes), Notify::new());
        let inbox = Self {
            store,
            promise,
            folder: data.to_owned(),
            bytes,
            arrived,
            _lock: lock,
        };
        if !inbox.is_empty() {
            warn!(
                pushes = inbox.len(),
                "the inbox holds pushes from before; they are delivered now"
            );
        }
        Ok(inbox)
    }

    /// Keeps a push. On return it is on the disk. One that is in there already
    /// is left as it is.
    ///
    /// # Errors
    /// [`InboxError::Full`] beyond `limit` bytes; [`InboxError::Store`] when the
    /// disk refuses.
    pub async fn put(&self, received: &Received, limit: u64) -> Result<(), InboxError> {
        let place = self.write(received, limit)?;
        self.flush(place).await
    }

    fn write(&self, received: &Received, limit: u64) -> Result<u64, InboxError> {
        let value = serde_json::to_vec(received).expect("a record is always JSON");
        let cost = cost(value.len());
        if self.bytes.fetch_add(cost, Ordering::AcqRel) + cost > limit {
            self.bytes.fetch_sub(cost, Ordering::AcqRel);
            return Err(InboxError::Full { limit });
        }
        let inserted = self.store.insert(received.push.0.as_bytes(), &value);
        if !matches!(inserted, Ok((_, true))) {
            // One that is there already was counted when it came first.
            self.bytes.fetch_sub(cost, Ordering::AcqRel);
        }
        let (place, _) = inserted.map_err(InboxError::Store)?;
        self.arrived.notify_one();
        Ok(place)
    }

    /// Also for one that was there already: the first time may not be flushed yet.
    async fn flush(&self, place: u64) -> Result<(), InboxError> {
        self.store
            .db
            .flush_async()
            .await
            .map_err(InboxError::Store)?;
        self.promise.note(place).await.map_err(InboxError::Witness)
    }

    /// Whether its disk has room for one more, and `floor` bytes beyond.
    ///
    /// # Errors
    /// [`InboxError::NoRoom`]; [`InboxError::Disk`] when the disk does not say.
    pub fn has_room(&self, floor: u64) -> Result<(), InboxError> {
        let disk = nix::sys::statvfs::statvfs(&self.folder).map_err(|error| InboxError::Disk {
            path: self.folder.clone(),
            source: error.into(),
        })?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        if free < floor {
            return Err(InboxError::NoRoom { free, floor });
        }
        Ok(())
    }

    /// The oldest pushes behind a place (`None`: from the first on), at most
    /// `max`. A record that cannot be read is taken out, loudly.
    pub fn after(&self, place: Option<u64>, max: usize) -> Result<Vec<Kept>, InboxError> {
        let from = place
            .map_or(0, |place| place.saturating_add(1))
            .to_be_bytes();
        let mut found = Vec::new();
        for entry in self.store.queue.range(from..) {
            let (key, value) = entry.map_err(InboxError::Store)?;
            let place = place_of(&key);
            match serde_json::from_slice::<Received>(&value) {
                Ok(received) => found.push(Kept { place, received }),
                Err(error) => {
                    error!(%error, record = %String::from_utf8_lossy(&value), "a push in the inbox cannot be read and is taken out");
                    self.store.queue.remove(key).map_err(InboxError::Store)?;
                    self.bytes.fetch_sub(cost(value.len()), Ordering::AcqRel);
                }
            }
            if found.len() == max {
                break;
            }
        }
        Ok(found)
    }

    /// Takes out a push that was delivered.
    pub fn remove(&self, kept: &Kept) -> Result<(), InboxError> {
        let gone = self
            .store
            .queue
            .remove(kept.place.to_be_bytes())
            .map_err(InboxError::Store)?;
        self.store
            .ids
            .remove(kept.received.push.0.as_bytes())
            .map_err(InboxError::Store)?;
        if let Some(value) = gone {
            self.bytes.fetch_sub(cost(value.len()), Ordering::AcqRel);
        }
        Ok(())
    }

    /// A push that waits in it.
    pub fn get(&self, push: PushId) -> Option<Received> {
        let place = self.store.ids.get(push.0.as_bytes()).ok()??;
        let value = self.store.queue.get(place).ok()??;
        serde_json::from_slice(&value).ok()
    }

    /// How many pushes wait in it.
    pub fn len(&self) -> usize {
        self.store.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.store.queue.is_empty()
    }

    /// What it holds, in bytes, as its limit counts.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Waits until a push has come in since the last call.
    pub async fn arrival(&self) {
        self.arrived.notified().await;
    }
}

fn cost(bytes: usize) -> u64 {
    bytes as u64 + OVERHEAD
}

/// Sets a damaged store aside and begins a new one with what is left.
fn renew(path: &Path, promise: &mut Promise, how: &str, left: &[Vec<u8>]) -> io::Result<Store> {
    let aside = store::set_aside(path)?;
    error!(
        aside = %aside.display(), damage = how, saved = left.len(),
        "THE INBOX WAS DAMAGED and is set aside. Pushes of it that could be read are delivered; \
         redeliver the others at the forge, or run their commits with `ferry run`"
    );
    promise.reset()?;
    let Opened::Whole(store) = Store::open(path, 0)? else {
        return Err(io::Error::other("a new store is damaged, too"));
    };
    for value in left {
        match serde_json::from_slice::<Received>(value) {
            Ok(received) => store.insert(received.push.0.as_bytes(), value).map(drop),
            Err(error) => {
                error!(%error, "a push of the damaged inbox cannot be read");
                Ok(())
            }
        }
        .map_err(io::Error::other)?;
    }
    store.db.flush().map_err(io::Error::other)?;
    Ok(store)
}
