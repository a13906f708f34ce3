//! sled, opened with care: damage is an error and not a panic, and never silence.
//!
//! In: the folder, the highest promised place. Out: an open store with all that
//! was promised; or what is left of it, the damaged one set aside.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::Transactional as _;
use sled::transaction::{ConflictableTransactionError, TransactionError};

/// The highest place that was ever used, in the tree `marks`.
const HIGHEST: &[u8] = b"highest";

/// The open store.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) db: sled::Db,
    pub(super) queue: sled::Tree,
    pub(super) ids: sled::Tree,
    marks: sled::Tree,
}

/// What opening gave.
pub(super) enum Opened {
    /// All that was promised is there.
    Whole(Store),
    /// It was damaged. What could still be read of it is here.
    Damaged {
        /// In the words of sled, or ours.
        how: String,
        /// Records, in order.
        left: Vec<Vec<u8>>,
    },
}

impl Store {
    /// Opens what is at `path`, or makes it. Errors are the disk's.
    pub(super) fn open(path: &Path, promised: u64) -> io::Result<Opened> {
        let store = match guarded(|| Self::attempt(path)) {
            Ok(store) => store,
            Err(sled::Error::Io(error)) if is_the_disks(&error) => return Err(error),
            Err(error) => {
                return Ok(Opened::Damaged {
                    how: error.to_string(),
                    left: Vec::new(),
                });
            }
        };
        let how = match guarded(|| store.check()) {
            Ok(highest) if highest >= promised => return Ok(Opened::Whole(store)),
            Ok(highest) => format!("pushes up to {promised} were taken, but it ends at {highest}"),
            Err(error) => error.to_string(),
        };
        let left = guarded(|| Ok(store.readable())).unwrap_or_default();
        Ok(Opened::Damaged { how, left })
    }

    fn attempt(path: &Path) -> sled::Result<Self> {
        let db = sled::Config::new().path(path).open()?;
        let (queue, ids) = (db.open_tree("queue")?, db.open_tree("ids")?);
        let marks = db.open_tree("marks")?;
        Ok(Self {
            db,
            queue,
            ids,
            marks,
        })
    }

    /// Reads every page, because damage may show only then; gives the highest place.
    fn check(&self) -> sled::Result<u64> {
        self.queue
            .iter()
            .chain(self.ids.iter())
            .try_for_each(|entry| entry.map(|_| ()))?;
        Ok(self.marks.get(HIGHEST)?.map_or(0, |bytes| place_of(&bytes)))
    }

    fn readable(&self) -> Vec<Vec<u8>> {
        self.queue
            .iter()
            .values()
            .map_while(Result::ok)
            .map(|value| value.to_vec())
            .collect()
    }

    /// Puts a record in, once an id. Gives its place, or that of the one that was
    /// there, and whether it is new.
    pub(super) fn insert(&self, id: &[u8], value: &[u8]) -> sled::Result<(u64, bool)> {
        // Places begin with 1: none promised is 0.
        let place = self.db.generate_id()? + 1;
        (&self.queue, &self.ids, &self.marks)
            .transaction(|(queue, ids, marks)| {
                // An id without its record stayed behind where a process ended
                // while it took the push out.
                if let Some(known) = ids.get(id)?
                    && queue.get(&known)?.is_some()
                {
                    return Ok((place_of(&known), false));
                }
                let key = place.to_be_bytes();
                ids.insert(id, &key[..])?;
                queue.insert(&key[..], value)?;
                let highest = marks.get(HIGHEST)?.map_or(0, |bytes| place_of(&bytes));
                marks.insert(HIGHEST, &place.max(highest).to_be_bytes()[..])?;
                Ok::<_, ConflictableTransactionError<()>>((place, true))
            })
            .map_err(|error| match error {
                TransactionError::Storage(error) => error,
                TransactionError::Abort(()) => sled::Error::Unsupported("an abort".to_owned()),
            })
    }
}

/// A key of the queue as a number; 0 for what is none.
pub(super) fn place_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

/// Moves a damaged store out of the way, to a name that is free.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1_u32;
    loop {
        let aside = path.with_extension(format!("damaged-{number}"));
        if !aside.exists() {
            std::fs::rename(path, &aside)?;
            return Ok(aside);
        }
        number += 1;
    }
}

/// sled meets some damage with a panic: here it is an error like the rest.
fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> sled::Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(sled::Error::ReportableBug("it panicked".to_owned())))
}

/// Whether an error is the disk's, so that the store itself may be whole.
fn is_the_disks(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::StorageFull
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::QuotaExceeded
    )
}
