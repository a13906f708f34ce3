//! The data folder of `ferry up`, and files that only their owner may read.
//!
//! In: its path. Out: the places in it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ferry_bus::User;

/// Where it is unless told otherwise.
pub const DATA_DIR: &str = ".ferry";

/// The admin's API token, in the data folder.
pub const TOKEN_FILE: &str = "token";

/// The data folder.
#[derive(Clone, Debug)]
pub struct Data {
    root: PathBuf,
}

impl Data {
    /// Makes the folder, readable by its owner only, and tells git to leave it alone.
    pub fn create(root: &Path) -> Result<Self> {
        secret_dir(root)?;
        let root =
            fs::canonicalize(root).with_context(|| format!("{} cannot be used", root.display()))?;
        Ok(Self { root })
    }

    /// The admin's API token.
    pub fn token(&self) -> PathBuf {
        self.root.join(TOKEN_FILE)
    }

    /// The users' nkey seeds.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// JetStream's files, and the server's configuration.
    pub fn nats(&self) -> PathBuf {
        self.root.join("nats")
    }

    /// A process's log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// The logs.
    pub fn logs(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The services' own folders.
    pub fn services(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Held by the `ferry up` that runs on this folder.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The processes that `ferry up` started.
    pub fn processes(&self) -> PathBuf {
        self.root.join("processes.json")
    }
}

/// The operator's seed, below a data folder.
pub fn operator_seed(root: &Path) -> PathBuf {
    root.join("keys").join(User::Operator.seed_file())
}

/// Makes a folder that only its owner may enter, with a `.gitignore` that keeps
/// all of it out of a repository. One that is there keeps its mode.
pub fn secret_dir(path: &Path) -> Result<()> {
    let failed = || format!("{} cannot be made", path.display());
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(failed)?;
    let ignore = path.join(".gitignore");
    match fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&ignore)
    {
        Ok(mut file) => file.write_all(b"*\n").with_context(failed),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(failed),
    }
}

/// Writes a new file that only its owner may read. False: it was there already.
pub fn new_secret_file(path: &Path, text: &str) -> Result<bool> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match file {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("{} cannot be written", path.display()))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("{} cannot be written", path.display())),
    }
}
