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
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// Free bytes without which the store is not opened: sled writes its first half MiB then, and one that
/// fails in the middle of it looks damaged.
const OPEN_ROOM: u64 = 2 << 20;

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
        "the disk of the inbox has {free} bytes left, and {floor} have to stay free ([gateway] min_free_disk): make room"
    )]
    NoRoom {
        /// What is left, in bytes.
        free: u64,
        /// What has to stay free, in bytes.
        floor: u64,
    },
    /// The store failed.
    #[error("the inbox cannot be read or written")]
    Store(#[source] sled::Error),
    /// The store failed before, and cannot be opened anew yet.
    #[error("the inbox is closed since its disk failed; it is opened anew once the disk has room")]
    Closed,
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

/// What was written goes to the disk; to be awaited.
pub type Flush<'a> = Pin<Box<dyn Future<Output = Result<(), InboxError>> + Send + 'a>>;

/// Pushes that wait for the bus: on a disk, or in a simulation's memory.
#[async_trait]
pub trait Waiting: Send + Sync {
    /// Whether the disk has at least so many bytes free.
    ///
    /// # Errors
    /// When it has not.
    fn has_room(&self, least: u64) -> Result<(), InboxError>;

    /// Writes a push down. It outlasts this process only once the flush has ended well. One that is in
    /// there already is left as it is.
    ///
    /// # Errors
    /// [`InboxError::Full`] beyond `limit` bytes; others when the disk refuses.
    fn put(&self, received: &Received, limit: u64) -> Result<Flush<'_>, InboxError>;

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

    /// Waits until a push has come in, or the disk has failed, since the last call.
    async fn arrival(&self);

    /// Opens it anew where its disk has failed; else there is nothing to do.
    ///
    /// # Errors
    /// When the disk still refuses.
    async fn mend(&self) -> Result<(), InboxError>;
}

#[async_trait]
impl Waiting for Inbox {
    fn has_room(&self, least: u64) -> Result<(), InboxError> {
        Inbox::has_room(self, least)
    }

    fn put(&self, received: &Received, limit: u64) -> Result<Flush<'_>, InboxError> {
        self.write(received, limit)
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

    async fn mend(&self) -> Result<(), InboxError> {
        Inbox::mend(self).await
    }
}

/// The inbox.
pub struct Inbox {
    /// None: it failed and is not open again yet. sled refuses everything, reads too, once a write of
    /// its has failed, until it is opened anew.
    store: Mutex<Option<Store>>,
    failed: AtomicBool,
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
    pub async fn open(data: &Path) -> Result<Self, InboxError> {
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
        room(data, OPEN_ROOM)?;
        let promise = Promise::open(data).map_err(disk)?;
        let store = open_store(data, &promise).await?;
        let (bytes, arrived) = (AtomicU64::new(held(&store)), Notify::new());
        let inbox = Self {
            store: Mutex::new(Some(store)),
            failed: AtomicBool::new(false),
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
        self.write(received, limit)?.await
    }

    /// What is given back holds the store into which it was written, whatever is opened anew meanwhile.
    fn write(&self, received: &Received, limit: u64) -> Result<Flush<'_>, InboxError> {
        let store = self.store()?;
        let value = serde_json::to_vec(received).expect("a record is always JSON");
        let cost = cost(value.len());
        if self.bytes.fetch_add(cost, Ordering::AcqRel) + cost > limit {
            self.bytes.fetch_sub(cost, Ordering::AcqRel);
            return Err(InboxError::Full { limit });
        }
        let inserted = store.insert(received.push.0.as_bytes(), &value);
        if !matches!(inserted, Ok((_, true))) {
            // One that is there already was counted when it came first.
            self.bytes.fetch_sub(cost, Ordering::AcqRel);
        }
        let (place, _) = inserted.map_err(|error| self.failed(error))?;
        self.arrived.notify_one();
        Ok(Box::pin(async move {
            // Also where it was there already: the first time may not be flushed yet.
            let flushed = store.db.flush_async().await;
            flushed.map_err(|error| self.failed(error))?;
            self.promise.note(place).await.map_err(InboxError::Witness)
        }))
    }

    /// Whether its disk has room for one more, and `floor` bytes beyond.
    ///
    /// # Errors
    /// [`InboxError::NoRoom`]; [`InboxError::Disk`] when the disk does not say.
    pub fn has_room(&self, floor: u64) -> Result<(), InboxError> {
        room(&self.folder, floor)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Store>> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Result<Store, InboxError> {
        self.slot().clone().ok_or(InboxError::Closed)
    }

    /// Notes that the store has failed, and wakes who mends it.
    fn failed(&self, error: sled::Error) -> InboxError {
        self.failed.store(true, Ordering::Release);
        self.arrived.notify_one();
        InboxError::Store(error)
    }

    /// Closes a store that has failed, and opens it anew. What was taken is in it.
    ///
    /// # Errors
    /// When the disk has no room yet, or refuses otherwise; then it stays closed, and the next call
    /// tries again.
    pub async fn mend(&self) -> Result<(), InboxError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        // Its last handle goes with the last call in hand; until then sled's own lock is held.
        drop(self.slot().take());
        room(&self.folder, OPEN_ROOM)?;
        let store = open_store(&self.folder, &self.promise).await?;
        self.bytes.store(held(&store), Ordering::Release);
        warn!(
            pushes = store.queue.len(),
            "the disk takes writes again; the inbox is open"
        );
        *self.slot() = Some(store);
        self.failed.store(false, Ordering::Release);
        Ok(())
    }

    /// The oldest pushes behind a place (`None`: from the first on), at most
    /// `max`. A record that cannot be read is taken out, loudly.
    pub fn after(&self, place: Option<u64>, max: usize) -> Result<Vec<Kept>, InboxError> {
        let from = place
            .map_or(0, |place| place.saturating_add(1))
            .to_be_bytes();
        let (store, mut found) = (self.store()?, Vec::new());
        for entry in store.queue.range(from..) {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            let place = place_of(&key);
            match serde_json::from_slice::<Received>(&value) {
                Ok(received) => found.push(Kept { place, received }),
                Err(error) => {
                    error!(%error, record = %String::from_utf8_lossy(&value), "a push in the inbox cannot be read and is taken out");
                    let removed = store.queue.remove(key);
                    removed.map_err(|error| self.failed(error))?;
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
        let store = self.store()?;
        let gone = store.queue.remove(kept.place.to_be_bytes());
        let gone = gone.map_err(|error| self.failed(error))?;
        let known = store.ids.remove(kept.received.push.0.as_bytes());
        known.map_err(|error| self.failed(error))?;
        if let Some(value) = gone {
            self.bytes.fetch_sub(cost(value.len()), Ordering::AcqRel);
        }
        Ok(())
    }

    /// A push that waits in it.
    pub fn get(&self, push: PushId) -> Option<Received> {
        let store = self.store().ok()?;
        let place = store.ids.get(push.0.as_bytes()).ok()??;
        let value = store.queue.get(place).ok()??;
        serde_json::from_slice(&value).ok()
    }

    /// How many pushes wait in it; 0 while it is closed.
    pub fn len(&self) -> usize {
        self.slot().as_ref().map_or(0, |store| store.queue.len())
    }

    /// Whether none waits. While it is closed nobody knows, so that no push overtakes another.
    pub fn is_empty(&self) -> bool {
        self.slot()
            .as_ref()
            .is_some_and(|store| store.queue.is_empty())
    }

    /// Whether its disk has failed, and it is not open again yet.
    pub fn is_closed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
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

/// Opens the store of a data folder; a damaged one is set aside.
async fn open_store(data: &Path, promise: &Promise) -> Result<Store, InboxError> {
    let disk = |source| InboxError::Disk {
        path: data.to_owned(),
        source,
    };
    let path = data.join(FOLDER);
    match Store::open(&path, promise.highest().await).map_err(disk)? {
        Opened::Whole(store) => Ok(store),
        Opened::Damaged { how, left } => renew(&path, promise, &how, &left).await.map_err(disk),
    }
}

/// What a store holds, in bytes, as its limit counts.
fn held(store: &Store) -> u64 {
    let values = store.queue.iter().values().flatten();
    values.map(|value| cost(value.len())).sum()
}

/// Whether a folder's disk has so many bytes free.
fn room(folder: &Path, floor: u64) -> Result<(), InboxError> {
    let disk = nix::sys::statvfs::statvfs(folder).map_err(|error| InboxError::Disk {
        path: folder.to_owned(),
        source: error.into(),
    })?;
    let free = disk.blocks_available().saturating_mul(disk.fragment_size());
    if free < floor {
        return Err(InboxError::NoRoom { free, floor });
    }
    Ok(())
}

/// Sets a damaged store aside and begins a new one with what is left.
async fn renew(path: &Path, promise: &Promise, how: &str, left: &[Vec<u8>]) -> io::Result<Store> {
    let aside = store::set_aside(path)?;
    error!(
        aside = %aside.display(), damage = how, saved = left.len(),
        "THE INBOX WAS DAMAGED and is set aside. Pushes of it that could be read are delivered; \
         redeliver the others at the forge, or run their commits with `ferry run`"
    );
    promise.reset().await?;
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
