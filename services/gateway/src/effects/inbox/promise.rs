//! What the inbox has promised: the highest place that anyone was told is safe.
//!
//! In: places. Out: the highest one, from a file of sixteen bytes beside the
//! store. sled meets some damage by going back, in silence, to what it was
//! before; only a second witness can tell.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;
use tracing::warn;

/// The file's name in the service's data folder.
const FILE: &str = "inbox.promised";

/// The witness.
#[derive(Debug)]
pub(super) struct Promise {
    file: Arc<File>,
    highest: Mutex<u64>,
}

impl Promise {
    /// Opens the witness of a data folder.
    pub(super) fn open(data: &Path) -> io::Result<Self> {
        let path = data.join(FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let mut bytes = [0; 16];
        let highest = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => unpack(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                // A new one: its name must last too.
                File::open(data)?.sync_all()?;
                Some(0)
            }
            Err(error) => return Err(error),
        };
        if highest.is_none() {
            warn!(path = %path.display(), "the inbox's witness is damaged: a loss could not be noticed this time");
        }
        Ok(Self {
            file: Arc::new(file),
            highest: Mutex::new(highest.unwrap_or(0)),
        })
    }

    /// The highest place that was promised.
    pub(super) async fn highest(&self) -> u64 {
        *self.highest.lock().await
    }

    /// Notes a place that is on the disk. On return the note is, too.
    pub(super) async fn note(&self, place: u64) -> io::Result<()> {
        let mut highest = self.highest.lock().await;
        if place > *highest {
            let file = self.file.clone();
            let written = tokio::task::spawn_blocking(move || write(&file, place)).await;
            written.map_err(io::Error::other)??;
            *highest = place;
        }
        Ok(())
    }

    /// Begins anew, with a new store.
    pub(super) async fn reset(&self) -> io::Result<()> {
        let mut highest = self.highest.lock().await;
        write(&self.file, 0)?;
        *highest = 0;
        Ok(())
    }
}

/// Twice, the second time inverted: half a write is no number.
fn write(file: &File, place: u64) -> io::Result<()> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&place.to_be_bytes());
    bytes[8..].copy_from_slice(&(!place).to_be_bytes());
    file.write_all_at(&bytes, 0)?;
    file.sync_data()
}

fn unpack(bytes: [u8; 16]) -> Option<u64> {
    let both = u128::from_be_bytes(bytes);
    let (place, inverted) = ((both >> 64) as u64, both as u64);
    (place == !inverted).then_some(place)
}
