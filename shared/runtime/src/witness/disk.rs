//! Where a witness is kept: a file in the service's own folder.
//!
//! In: bytes. Out: the same bytes after a crash: whole, or those before.

use std::{
    fmt::Debug,
    io::Write as _,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

/// The file in the service's own folder.
const FILE: &str = "witness.json";

/// What a witness is kept on.
#[async_trait]
pub trait WitnessDisk: Debug + Send + Sync {
    /// What was written last; none: nothing yet.
    ///
    /// # Errors
    /// When the disk refuses.
    fn read(&self) -> std::io::Result<Option<Vec<u8>>>;

    /// Writes it, whole or not at all. On return it outlasts the machine.
    ///
    /// # Errors
    /// When the disk refuses.
    async fn replace(&self, bytes: Vec<u8>) -> std::io::Result<()>;

    /// Keeps what cannot be read for a person to look at. Where it is then.
    ///
    /// # Errors
    /// When the disk refuses.
    fn set_aside(&self) -> std::io::Result<String>;

    /// Where it is kept, for people.
    fn place(&self) -> String;
}

/// A file.
#[derive(Debug)]
pub(super) struct File(PathBuf);

impl File {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }
}

#[async_trait]
impl WitnessDisk for File {
    fn read(&self) -> std::io::Result<Option<Vec<u8>>> {
        match std::fs::read(&self.0) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn replace(&self, bytes: Vec<u8>) -> std::io::Result<()> {
        let file = self.0.clone();
        tokio::task::spawn_blocking(move || replace(&file, &bytes))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    fn set_aside(&self) -> std::io::Result<String> {
        let aside = self.0.with_extension("damaged");
        std::fs::rename(&self.0, &aside)?;
        Ok(aside.display().to_string())
    }

    fn place(&self) -> String {
        self.0.display().to_string()
    }
}

fn replace(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = file.with_extension("part");
    let mut new = std::fs::File::create(&part)?;
    new.write_all(bytes)?;
    new.sync_data()?;
    std::fs::rename(&part, file)?;
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
