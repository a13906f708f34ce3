//! Jars on the installer's own disk, by digest, so that a base gets its jar without the bus in between.
//!
//! In: digests. Out: files that are what their names say. Bounded: the longest unused go first.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use ferry_ark::{MANIFEST_PATH, Manifest};
use ferry_bus::BusError;
use ferry_events::{Digest, Reason, Stop};
use ferry_runtime::{Failure, Hands};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::{info, warn};

/// Room for four jars of the largest size, or hundreds of slimmed ones.
pub const CACHE_LIMIT: u64 = 2 << 30;
/// A jar that was used this recently stays, whatever the limit says: an installation may be fetching it.
const IN_USE: Duration = Duration::from_secs(300);
/// Files up to this size are read in place: a slimmed module has some KiB, and handing it to another
/// thread takes longer than reading it.
pub(super) const IN_PLACE: u64 = 64 << 10;
/// The longest manifest that is read.
const MANIFEST_MAX: u64 = 1 << 20;

/// Why a jar cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The store has none of that name.
    #[error("{0}")]
    Missing(String),
    /// Its bytes are others than its name says.
    #[error("{0}")]
    Damaged(String),
    /// There is no room.
    #[error("{0}")]
    DiskFull(String),
    /// The store does not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl CacheError {
    /// What it means for a task that met it.
    pub fn failure(&self) -> Failure {
        let stop = |reason| Stop::new(reason, self.to_string());
        match self {
            Self::DiskFull(_) => stop(Reason::DiskFull).into(),
            Self::Missing(_) | Self::Damaged(_) => stop(Reason::StoreFailed).into(),
            Self::Unavailable(_) => Failure::Again(stop(Reason::StoreFailed)),
        }
    }

    fn of(error: BusError) -> Self {
        match error {
            BusError::Missing(what) => Self::Missing(format!("{what} is not in the store")),
            BusError::Damaged(what) => Self::Damaged(what),
            BusError::Io(what, source) if is_full(&source) => {
                Self::DiskFull(format!("{what}: {source}"))
            }
            BusError::Io(what, source) => Self::Unavailable(format!("{what}: {source}")),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

#[derive(Default)]
struct Jar {
    size: u64,
    /// When it was used last, as a count of uses.
    order: u64,
    /// When this process used it last.
    used: Option<Instant>,
    /// Size and time of change of the file whose bytes this process saw to be what the name says.
    checked: Option<(u64, SystemTime)>,
    /// One fetch at a time for each jar.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The cache.
pub struct Cache {
    folder: PathBuf,
    hands: Hands,
    limit: u64,
    jars: Mutex<BTreeMap<Digest, Jar>>,
}

impl Cache {
    /// The cache in a folder, with what is in it from before.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: PathBuf, hands: Hands, limit: u64) -> std::io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let digest: Option<Digest> = name
                .to_str()
                .and_then(|name| name.strip_suffix(".jar"))
                .and_then(|name| name.parse().ok());
            let meta = entry.metadata()?;
            match digest {
                Some(digest) if meta.is_file() => {
                    let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    found.push((changed, digest, meta.len()));
                }
                // Left behind by a fetch that was cut off.
                _ if meta.is_file() => fs::remove_file(entry.path())?,
                _ => {}
            }
        }
        found.sort();
        let jars = found
            .into_iter()
            .zip(1..)
            .map(|((_, digest, size), order)| {
                let jar = Jar {
                    size,
                    order,
                    ..Jar::default()
                };
                (digest, jar)
            });
        Ok(Self {
            folder,
            hands,
            limit,
            jars: Mutex::new(jars.collect()),
        })
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}.jar"))
    }

    /// The jar's file, fetched where it is not there yet, and again where it was cut short or altered.
    /// Its bytes were checked in this process, and the file has not been written since.
    ///
    /// # Errors
    /// See [`CacheError`]; a silent bus is asked again for a while first.
    pub async fn fetch(&self, digest: &Digest) -> Result<PathBuf, CacheError> {
        let turn = self.turn(digest);
        let _turn = turn.lock().await;
        let path = self.path(digest);
        if let Some(found) = stamp(&path) {
            if self.checked(digest) == Some(found) {
                self.used(digest, found);
                return Ok(path);
            }
            if has_digest(path.clone(), digest.clone()).await {
                self.used(digest, found);
                return Ok(path);
            }
            warn!(
                %digest, size = found.0,
                "a jar in the cache is damaged: its bytes are not what its name says; it is fetched again"
            );
        }
        let fetched = self.hands.get_jar(digest, &path).await;
        fetched.map_err(CacheError::of)?;
        let found = stamp(&path).ok_or_else(|| {
            CacheError::Unavailable(format!("{} went away while it was fetched", path.display()))
        })?;
        self.used(digest, found);
        self.make_room();
        Ok(path)
    }

    fn turn(&self, digest: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut jars = self.jars.lock().expect("no panic under this lock");
        jars.entry(digest.clone()).or_default().turn.clone()
    }

    fn checked(&self, digest: &Digest) -> Option<(u64, SystemTime)> {
        let jars = self.jars.lock().expect("no panic under this lock");
        jars.get(digest).and_then(|jar| jar.checked)
    }

    fn used(&self, digest: &Digest, found: (u64, SystemTime)) {
        let mut jars = self.jars.lock().expect("no panic under this lock");
        let order = jars.values().map(|jar| jar.order).max().unwrap_or_default() + 1;
        if let Some(jar) = jars.get_mut(digest) {
            jar.order = order;
            jar.used = Some(Instant::now());
            jar.checked = Some(found);
            jar.size = found.0;
        }
    }

    fn make_room(&self) {
        let mut jars = self.jars.lock().expect("no panic under this lock");
        let mut total: u64 = jars.values().map(|jar| jar.size).sum();
        while total > self.limit {
            let oldest = jars
                .iter()
                .filter(|(_, jar)| {
                    jar.size > 0 && jar.used.is_none_or(|used| used.elapsed() > IN_USE)
                })
                .min_by_key(|(_, jar)| jar.order)
                .map(|(digest, jar)| (digest.clone(), jar.size));
            let Some((digest, size)) = oldest else {
                warn!(
                    total,
                    limit = self.limit,
                    "the jars in use are more than the cache's limit"
                );
                return;
            };
            if let Err(error) = fs::remove_file(self.path(&digest)) {
                warn!(%digest, %error, "a jar could not be removed");
            }
            info!(
                digest = digest.short(),
                size, "a jar that was long unused is removed from the cache"
            );
            jars.remove(&digest);
            total -= size;
        }
    }
}

/// What changes when a file is written: its size and its time. None: there is no such file.
fn stamp(path: &Path) -> Option<(u64, SystemTime)> {
    let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some((
        meta.len(),
        meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    ))
}

async fn has_digest(path: PathBuf, digest: Digest) -> bool {
    let checked = with_file(path, move |path| {
        let mut hasher = Sha256::new();
        std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
        Ok::<_, std::io::Error>(Digest::from_hash(hasher.finalize().into()) == digest)
    });
    matches!(checked.await, Ok(Ok(true)))
}

/// Works on a file: in place where it is small, else on a thread for what blocks.
///
/// # Errors
/// When that thread panicked.
pub(super) async fn with_file<T: Send + 'static>(
    file: PathBuf,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if fs::metadata(&file).map_or(0, |meta| meta.len()) <= IN_PLACE {
        return Ok(work(&file));
    }
    tokio::task::spawn_blocking(move || work(&file)).await
}

/// What a jar's manifest says: name and version. Blocking.
pub(super) fn identity(jar: &Path) -> Result<(String, String), Stop> {
    let refused = |error: &dyn std::fmt::Display| Stop::new(Reason::JarRefused, error.to_string());
    let file = fs::File::open(jar).map_err(|error| refused(&error))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|error| refused(&error))?;
    let mut bytes = Vec::new();
    zip.by_name(MANIFEST_PATH)
        .map_err(|error| Stop::new(Reason::NotABiz, format!("{MANIFEST_PATH}: {error}")))?
        .take(MANIFEST_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| refused(&error))?;
    let ark = Manifest::parse(&bytes).and_then(|manifest| manifest.ark());
    let ark = ark.map_err(|error| Stop::new(Reason::NotABiz, error.to_string()))?;
    Ok((ark.name, ark.version))
}
