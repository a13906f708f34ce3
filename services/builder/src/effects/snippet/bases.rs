//! Bases to compile against: each jar unpacked once, by its digest.
//!
//! In: the path of a base's jar, or the name of a base whose last build is in the store. Out: a [`Base`] on disk, the
//! same folder for the same bytes; or why there is none.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ferry_bus::BusError;
use ferry_config::Against;
use ferry_events::{Digest, Reason, Service, Stop, subject};
use ferry_runtime::{Failure, Hands, Stored};
use ferry_slim::{ClassPath, Limits, SlimError};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::warn;

use crate::{
    decide::{
        State,
        base::{BaseJar, BaseState},
        base_key,
    },
    effects::artifact::chain,
};

/// What was unpacked, written last.
const LISTED: &str = "class-path.json";
/// Unpacked bases that stay on disk, some 55 MB each: those of a few pools and of what they ran before.
const KEPT: usize = 8;

/// When a file was written, and its size: a base's jar is replaced by another file, not edited.
type Mark = (SystemTime, u64);

/// A base, unpacked.
#[derive(Debug)]
pub struct Base {
    /// Its jar.
    pub jar: Digest,
    /// Where.
    pub folder: PathBuf,
    /// What is in it.
    pub path: ClassPath,
}

impl Base {
    /// The class path: absolute.
    pub fn class_path(&self) -> impl Iterator<Item = PathBuf> {
        self.path.entries.iter().map(|one| self.folder.join(one))
    }
}

/// The bases on this builder's disk.
pub struct Bases {
    root: PathBuf,
    /// Where a jar stands between the store and its unpacking.
    spool: PathBuf,
    hands: Hands,
    known: Mutex<Known>,
    /// Held by who fetches a jar, so that nobody fetches it twice.
    fetching: Mutex<()>,
}

/// Those that were asked for last.
#[derive(Default)]
struct Known {
    files: BTreeMap<PathBuf, (Mark, Arc<Base>)>,
    builds: BTreeMap<String, Arc<Base>>,
}

impl Known {
    fn build(&self, wanted: &BaseJar) -> Option<Arc<Base>> {
        let found = self.builds.get(&wanted.base)?;
        (found.jar == wanted.jar && found.folder.is_dir()).then(|| found.clone())
    }
}

impl Bases {
    /// Those in a folder, which has to be there, as has one for a jar on its way into it.
    pub fn new(root: PathBuf, spool: PathBuf, hands: Hands) -> Self {
        Self {
            root,
            spool,
            hands,
            known: Mutex::default(),
            fetching: Mutex::default(),
        }
    }

    /// The base, unpacked now where it was not yet; none: it has no build yet.
    ///
    /// # Errors
    /// `no-base-jar`, a store that does not give the jar, or a disk that does not do.
    pub async fn get(&self, against: &Against) -> Result<Option<Arc<Base>>, Failure> {
        match against {
            Against::Jar(jar) => self.file(jar).await.map(Some),
            Against::Base(base) => match self.last(base).await? {
                Some(build) => self.build(&build).await.map(Some),
                None => Ok(None),
            },
        }
    }

    /// The last build of a base, as the builder's own record has it.
    async fn last(&self, base: &str) -> Result<Option<BaseJar>, Failure> {
        let subject = subject::state(Service::Builder, base_key(base).as_str());
        let record = self.hands.read(&subject).await;
        let Some(record) = record.map_err(|error| from_store(base, &error))? else {
            return Ok(None);
        };
        match serde_json::from_slice::<Stored<State>>(&record.payload) {
            Ok(stored) => Ok(match stored.state {
                State::Base(BaseState { base, jar, .. }) => Some(BaseJar { base, jar }),
                _ => None,
            }),
            Err(error) => Err(Failure::OurFault(format!("the record of {base}: {error}"))),
        }
    }

    /// A build of a base, fetched from the store where its classes are not here yet.
    async fn build(&self, wanted: &BaseJar) -> Result<Arc<Base>, Failure> {
        if let Some(found) = self.known.lock().await.build(wanted) {
            return Ok(found);
        }
        let _fetching = self.fetching.lock().await;
        let mut known = self.known.lock().await;
        if let Some(found) = known.build(wanted) {
            return Ok(found);
        }
        let name = &wanted.base;
        let folder = self.root.join(wanted.jar.as_str());
        let base = match listed(&folder) {
            Some(path) => Arc::new(Base {
                jar: wanted.jar.clone(),
                folder,
                path,
            }),
            None => {
                drop(known);
                let spool = tempfile::Builder::new()
                    .prefix("base-")
                    .tempdir_in(&self.spool)
                    .map_err(|error| refusal(name, &error.into()))?;
                let jar = spool.path().join("base.jar");
                let fetched = self.hands.get_jar(&wanted.jar, &jar).await;
                fetched.map_err(|error| from_store(name, &error))?;
                known = self.known.lock().await;
                self.unpack(name, &jar, &mut known).await?
            }
        };
        known.builds.insert(wanted.base.clone(), base.clone());
        self.sweep(&known);
        Ok(base)
    }

    /// The base of this jar.
    async fn file(&self, jar: &Path) -> Result<Arc<Base>, Failure> {
        let name = jar.display().to_string();
        let cannot = |error: &io::Error| {
            Failure::from(Stop::new(Reason::NoBaseJar, format!("{name}: {error}")))
        };
        let about = tokio::fs::metadata(jar)
            .await
            .map_err(|error| cannot(&error))?;
        let mark = (
            about.modified().map_err(|error| cannot(&error))?,
            about.len(),
        );
        let mut known = self.known.lock().await;
        if let Some((then, base)) = known.files.get(jar)
            && *then == mark
            && base.folder.is_dir()
        {
            return Ok(base.clone());
        }
        let base = self.unpack(&name, jar, &mut known).await?;
        known.files.insert(jar.to_owned(), (mark, base.clone()));
        self.sweep(&known);
        Ok(base)
    }

    /// Unpacks a jar. One at a time, and none while another is swept away: by the lock that has to be held.
    async fn unpack(&self, name: &str, jar: &Path, _: &mut Known) -> Result<Arc<Base>, Failure> {
        let (file, root) = (jar.to_owned(), self.root.clone());
        let unpacking = tokio::task::spawn_blocking(move || unpacked(&file, &root));
        let unpacked = unpacking
            .await
            .map_err(|error| Failure::OurFault(error.to_string()))?;
        Ok(Arc::new(unpacked.map_err(|error| refusal(name, &error))?))
    }

    fn sweep(&self, known: &Known) {
        let files = known.files.values().map(|(_, base)| base);
        let used: Vec<PathBuf> = files
            .chain(known.builds.values())
            .map(|base| base.folder.clone())
            .collect();
        if let Err(error) = sweep(&self.root, &used) {
            warn!(%error, "bases that nobody needs stay on the disk");
        }
    }
}

/// Why a base is not to be had from the bus.
fn from_store(base: &str, error: &BusError) -> Failure {
    let stop = |reason| Stop::new(reason, format!("the jar of {base}: {}", chain(error)));
    let gone = || {
        let detail = format!("the last jar of {base} is not in the store: push to its repository");
        Stop::new(Reason::NoBaseJar, detail)
    };
    match error {
        // The hands were patient with a silent bus.
        BusError::Unavailable(_) => Failure::Again(stop(Reason::StoreFailed)),
        BusError::Missing(_) => gone().into(),
        BusError::Io(_, cause) if cause.kind() == io::ErrorKind::StorageFull => {
            stop(Reason::DiskFull).into()
        }
        _ => stop(Reason::StoreFailed).into(),
    }
}

/// Why a base was not unpacked.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is no jar: a profile as JSON holds no classes to compile against")]
    NoJar,
    #[error("it cannot be read as a base's jar")]
    Jar(#[from] SlimError),
    #[error("it cannot be unpacked")]
    Io(#[from] io::Error),
}

fn refusal(name: &str, error: &Unusable) -> Failure {
    let disk = match error {
        Unusable::Io(error)
        | Unusable::Jar(
            SlimError::Io {
                source: error,
                doing: "write",
                ..
            }
            | SlimError::Spool { source: error, .. },
        ) => Some(error.kind()),
        _ => None,
    };
    let detail = format!("{name}: {}", chain(error));
    match disk {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            Stop::new(Reason::DiskFull, detail).into()
        }
        Some(_) => Failure::Again(Stop::new(Reason::BuildFailed, detail)),
        None => Stop::new(Reason::NoBaseJar, detail).into(),
    }
}

fn unpacked(jar: &Path, root: &Path) -> Result<Base, Unusable> {
    let mut file = File::open(jar)?;
    let mut start = [0; 2];
    if file.read_exact(&mut start).is_err() || start != *b"PK" {
        return Err(Unusable::NoJar);
    }
    let mut hasher = Sha256::new();
    hasher.update(start);
    io::copy(&mut file, &mut hasher)?;
    let digest = Digest::from_hash(hasher.finalize().into());
    let folder = root.join(digest.as_str());
    if let Some(path) = listed(&folder) {
        return Ok(Base {
            jar: digest,
            folder,
            path,
        });
    }
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(root)?;
    let path = ClassPath::unpack(jar, new.path(), Limits::default())?;
    let json = serde_json::to_vec(&path).map_err(io::Error::other)?;
    fs::write(new.path().join(LISTED), json)?;
    // What is there and was not listed is half of one: nothing else takes that name.
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::rename(new.keep(), &folder)?;
    Ok(Base {
        jar: digest,
        folder,
        path,
    })
}

fn listed(folder: &Path) -> Option<ClassPath> {
    serde_json::from_slice(&fs::read(folder.join(LISTED)).ok()?).ok()
}

/// Removes what nobody needs, the oldest first; and what an earlier process was unpacking.
fn sweep(root: &Path, used: &[PathBuf]) -> io::Result<()> {
    let mut there = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let path = entry.path();
        if !used.contains(&path) {
            there.push((entry.metadata()?.modified()?, path));
        }
    }
    there.sort();
    let most = KEPT.saturating_sub(used.len());
    let last = there.len().saturating_sub(most);
    for (_, path) in there.drain(..last) {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}
