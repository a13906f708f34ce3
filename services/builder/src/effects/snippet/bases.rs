//! Bases to compile against: each jar unpacked once, by its digest.
//!
//! In: the path of a base's jar. Out: a [`Base`] on disk, the same folder for the same bytes; or why there is none.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ferry_events::{Digest, Reason, Stop};
use ferry_runtime::Failure;
use ferry_slim::{ClassPath, Limits, SlimError};
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tracing::warn;

use crate::effects::artifact::chain;

/// What was unpacked, written last.
const LISTED: &str = "class-path.json";
/// Unpacked bases that stay on disk, some 55 MB each: those of a few pools and of what they ran before.
const KEPT: usize = 8;

/// When a file was written, and its size: a base's jar is replaced by another file, not edited.
type Mark = (SystemTime, u64);

/// A base, unpacked.
#[derive(Debug)]
pub struct Base {
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
#[derive(Debug)]
pub struct Bases {
    root: PathBuf,
    known: Mutex<BTreeMap<PathBuf, (Mark, Arc<Base>)>>,
}

impl Bases {
    /// Those in a folder, which has to be there.
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            known: Mutex::default(),
        }
    }

    /// The base of this jar, unpacked now where it was not yet.
    ///
    /// # Errors
    /// `no-base-jar`, or a disk that does not do.
    pub async fn get(&self, jar: &Path) -> Result<Arc<Base>, Failure> {
        let cannot = |error: &io::Error| {
            let detail = format!("{}: {error}", jar.display());
            Failure::from(Stop::new(Reason::NoBaseJar, detail))
        };
        let about = tokio::fs::metadata(jar)
            .await
            .map_err(|error| cannot(&error))?;
        let mark = (
            about.modified().map_err(|error| cannot(&error))?,
            about.len(),
        );
        let mut known = self.known.lock().await;
        if let Some((then, base)) = known.get(jar)
            && *then == mark
            && base.folder.is_dir()
        {
            return Ok(base.clone());
        }
        let (file, root) = (jar.to_owned(), self.root.clone());
        let unpacking = tokio::task::spawn_blocking(move || unpacked(&file, &root));
        let unpacked = unpacking
            .await
            .map_err(|error| Failure::OurFault(error.to_string()))?;
        let base = Arc::new(unpacked.map_err(|error| refusal(jar, &error))?);
        known.insert(jar.to_owned(), (mark, base.clone()));
        let used: Vec<PathBuf> = known
            .values()
            .map(|(_, base)| base.folder.clone())
            .collect();
        if let Err(error) = sweep(&self.root, &used) {
            warn!(%error, "bases that nobody needs stay on the disk");
        }
        Ok(base)
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

fn refusal(jar: &Path, error: &Unusable) -> Failure {
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
    let detail = format!("{}: {}", jar.display(), chain(error));
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
        return Ok(Base { folder, path });
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
    Ok(Base { folder, path })
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
