//! What a commit has: its files, listed, read and written out.
//!
//! In: a mirror with the commit in it. Out: names, bytes, a folder. It is read from git, never from a folder: a link
//! in a repository leads nowhere.

use std::{borrow::Cow, path::Path};

use ferry_events::Digest;

use super::{git::GitError, mirror::Mirror};

/// A file of a commit.
pub enum Blob {
    /// There is none.
    None,
    /// There is something of that name that is no plain file: a link, a folder.
    NoFile,
    /// It has so many bytes, more than are read.
    TooLarge(u64),
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// A plain file of a commit, as its folder lists it.
pub struct Listed {
    /// Below the repository's root.
    pub path: String,
    /// What git names its bytes by.
    pub object: String,
    /// How many these are.
    pub size: u64,
}

/// A commit's files, as git lists them: "MODE TYPE OBJECT\tPATH", a zero byte after each.
pub struct Listing(Vec<u8>);

impl Listing {
    fn entries(&self) -> impl Iterator<Item = (&[u8], Cow<'_, str>)> {
        self.0.split(|byte| *byte == 0).filter_map(|line| {
            let path = line.split(|byte| *byte == b'\t').nth(1)?;
            Some((line, String::from_utf8_lossy(path)))
        })
    }

    /// Whether something is at a path, of whatever kind.
    pub fn has(&self, path: &str) -> bool {
        self.entries().any(|(_, found)| {
            let below = found.strip_prefix(path);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    }

    /// A digest of what a build resolves its dependencies by: every pom and `.mvn` file.
    pub fn poms(&self) -> Digest {
        let mut wanted = Vec::new();
        for (line, path) in self.entries() {
            if path.ends_with("pom.xml") || path.starts_with(".mvn/") || path.contains("/.mvn/") {
                wanted.extend_from_slice(line);
                wanted.push(0);
            }
        }
        Digest::of(&wanted)
    }
}

impl Mirror {
    /// All that a commit has.
    ///
    /// # Errors
    /// When git fails.
    pub async fn listing(&self, commit: &str) -> Result<Listing, GitError> {
        let mut command = self.command();
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        self.git.local(command).await.map(Listing)
    }

    /// A file of a commit, as git has it, where it has at most so many bytes.
    ///
    /// # Errors
    /// When git fails.
    pub async fn blob(&self, commit: &str, path: &str, most: u64) -> Result<Blob, GitError> {
        let mut command = self.command();
        command.args(["ls-tree", "-l", "-z", "--full-tree", commit, "--", path]);
        let listed = self.git.local(command).await?;
        if listed.is_empty() {
            return Ok(Blob::None);
        }
        match listed_files(&listed)?.pop() {
            None => Ok(Blob::NoFile),
            Some(file) if file.size > most => Ok(Blob::TooLarge(file.size)),
            Some(file) => {
                let bytes = self.bytes(&[file]).await?.pop();
                Ok(bytes.map_or(Blob::NoFile, Blob::Bytes))
            }
        }
    }

    /// The plain files of a commit in a folder and below it, by path; `.` is all of them.
    ///
    /// # Errors
    /// When git fails.
    pub async fn files(&self, commit: &str, folder: &str) -> Result<Vec<Listed>, GitError> {
        let mut command = self.command();
        command.args(["ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--"]);
        let folder = folder.trim_start_matches("./").trim_end_matches('/');
        if !matches!(folder, "" | ".") {
            command.arg(folder);
        }
        listed_files(&self.git.local(command).await?)
    }

    /// The bytes of listed files, in their order, by one git.
    ///
    /// # Errors
    /// When git fails.
    pub async fn bytes(&self, files: &[Listed]) -> Result<Vec<Vec<u8>>, GitError> {
        let mut command = self.command();
        command.args(["cat-file", "--batch"]);
        let asked: String = files
            .iter()
            .map(|file| format!("{}\n", file.object))
            .collect();
        let told = self.git.told(command, asked.as_bytes()).await?;
        let mut left = told.as_slice();
        files.iter().map(|file| told_of(file, &mut left)).collect()
    }

    /// Writes a commit's files into an empty folder. There is no `.git` in it: nothing in a build
    /// needs it, and plugins that find one in a place of ours complain. `read-tree` writes exactly what
    /// is in the commit, which `git archive` does not, and takes no entry in the mirror, which
    /// `git worktree` does.
    ///
    /// # Errors
    /// When git fails.
    pub async fn check_out(
        &self,
        commit: &str,
        folder: &Path,
        index: &Path,
    ) -> Result<(), GitError> {
        let mut command = self.command();
        command
            .args(["-c", "core.bare=false", "--work-tree"])
            .arg(folder)
            .env("GIT_INDEX_FILE", index)
            .current_dir(folder)
            .args(["read-tree", "--reset", "-u", commit]);
        self.git.local(command).await.map(drop)
    }
}

/// The plain files of a list.
fn listed_files(listed: &[u8]) -> Result<Vec<Listed>, GitError> {
    let lines = listed.split(|byte| *byte == 0);
    lines
        .filter_map(|line| listed_file(line).transpose())
        .collect()
}

/// "MODE TYPE OBJECT SIZE\tPATH"; none for what is no plain file. Of one that git cannot read it says that its size is
/// "BAD", and ends well.
fn listed_file(line: &[u8]) -> Result<Option<Listed>, GitError> {
    let line = String::from_utf8_lossy(line);
    let Some((about, path)) = line.split_once('\t') else {
        return Ok(None);
    };
    let about: Vec<&str> = about.split_ascii_whitespace().collect();
    let ["100644" | "100755" | "100664", "blob", object, size] = about.as_slice() else {
        return Ok(None);
    };
    let size = size
        .parse()
        .map_err(|_| GitError::Damaged(format!("it cannot tell the size of {path}")))?;
    Ok(Some(Listed {
        path: path.to_owned(),
        object: (*object).to_owned(),
        size,
    }))
}

/// The bytes of a file, taken from what git told of several: "OBJECT blob SIZE", a line's end, so many bytes, a line's
/// end. Of one that it lacks it says "OBJECT missing", and ends well.
fn told_of(file: &Listed, left: &mut &[u8]) -> Result<Vec<u8>, GitError> {
    let wanted = format!("{} blob {}\n", file.object, file.size);
    let taken = left.strip_prefix(wanted.as_bytes()).and_then(|rest| {
        let size = usize::try_from(file.size).ok()?;
        let (bytes, rest) = rest.split_at_checked(size)?;
        Some((bytes.to_vec(), rest.strip_prefix(b"\n")?))
    });
    let (bytes, rest) =
        taken.ok_or_else(|| GitError::Damaged(format!("it cannot read {}", file.path)))?;
    *left = rest;
    Ok(bytes)
}
