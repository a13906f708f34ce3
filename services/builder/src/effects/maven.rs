//! Maven: its command line, its local repositories, and when it needs the network.
//!
//! In: a module's settings. Out: arguments; a repository of files for each source repository, so
//! that what one repository's builds write is never read by another's.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use ferry_events::{Digest, name::token};

use super::sandbox::{Jail, View};

/// Ours beside Maven's own files: what each build of these poms needs is there.
const WARM: &str = ".ferry-warm";
/// Maven's notes of from where a file came, and of what it could not get. A seed forgets both: with
/// them it serves only builds whose settings name the same repository.
const NOTES: [&str; 2] = ["_remote.repositories", ".lastUpdated"];

/// A source repository's Maven repository.
#[derive(Clone, Debug)]
pub struct Maven {
    folder: PathBuf,
    warm: PathBuf,
}

impl Maven {
    /// The repository for a source repository and a digest of what its build resolves.
    pub fn new(root: &Path, repository: &str, resolves: &Digest) -> Self {
        let folder = root.join(token(repository));
        let warm = root
            .join(WARM)
            .join(token(repository))
            .join(resolves.as_str());
        Self { folder, warm }
    }

    /// The folder that a build may write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder where it is missing, from the seed where there is one. It appears only when it is
    /// whole. Files are copied: a build could write into the seed through links.
    ///
    /// # Errors
    /// When the disk is full, or the seed cannot be read.
    pub fn make(&self, seed: Option<&Path>) -> io::Result<()> {
        if self.folder.is_dir() {
            return Ok(());
        }
        let root = self.folder.parent().unwrap_or(Path::new("."));
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(root)?;
        if let Some(seed) = seed {
            copy(seed, new.path())?;
        }
        // tempdir makes it private; a build in a user namespace is the same user all the same.
        fs::rename(new.keep(), &self.folder)
    }

    /// Whether a build of the same poms was good here: then it needs no network.
    pub fn is_warm(&self) -> bool {
        self.warm.is_file()
    }

    /// Remembers that it was.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn set_warm(&self) -> io::Result<()> {
        if let Some(folder) = self.warm.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.warm, "")
    }
}

/// Whether the first try goes without the network. A repository that was seeded probably has all; a
/// try that lacks something costs two to four seconds, once for each change of the poms.
pub fn begins_offline(warm: bool, seeded: bool) -> bool {
    warm || seeded
}

/// Maven's arguments.
pub fn arguments(jail: &Jail, view: &View<'_>, goals: &[String]) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["-B", "-q", "-ntp", "-Dstyle.color=never"]
        .map(Into::into)
        .into();
    let mut repository = OsString::from("-Dmaven.repo.local=");
    repository.push(jail.repository(view));
    words.push(repository);
    // With -U, because a failure of last time is no reason not to ask again.
    words.push(if view.online { "-U" } else { "-o" }.into());
    if let Some(settings) = jail.settings(view) {
        words.extend(["-s".into(), settings.into()]);
    }
    words.extend(goals.iter().map(Into::into));
    words
}

/// Halves Maven's time: a build is over before the second compiler pays. Half of the memory for the
/// heap, the rest for what is beside it and for what it forks.
pub fn options(memory: u64) -> String {
    let heap = (memory / 2 / (1024 * 1024)).max(32);
    format!("-Xmx{heap}m -XX:+UseSerialGC -XX:TieredStopAtLevel=1")
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_file()
            && !NOTES
                .iter()
                .any(|note| name.to_string_lossy().ends_with(note))
        {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_copied_once_without_its_notes() {
        let (root, seed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(seed.path().join("g/a/1")).unwrap();
        for file in [
            "g/a/1/a.jar",
            "g/a/1/_remote.repositories",
            "g/a/1/b.jar.lastUpdated",
        ] {
            fs::write(seed.path().join(file), "x").unwrap();
        }
        let maven = Maven::new(root.path(), "Shop/Ünï", &Digest::of(b"poms"));
        maven.make(Some(seed.path())).unwrap();
        assert!(maven.folder().join("g/a/1/a.jar").is_file());
        assert_eq!(
            fs::read_dir(maven.folder().join("g/a/1")).unwrap().count(),
            1
        );
        fs::remove_file(maven.folder().join("g/a/1/a.jar")).unwrap();
        maven.make(Some(seed.path())).unwrap();
        assert!(
            !maven.folder().join("g/a/1/a.jar").exists(),
            "what is there is left as it is"
        );
        assert!(!maven.is_warm());
        maven.set_warm().unwrap();
        assert!(maven.is_warm());
        assert!(!Maven::new(root.path(), "Shop/Ünï", &Digest::of(b"others")).is_warm());
    }
}
