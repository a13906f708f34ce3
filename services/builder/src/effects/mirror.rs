//! A bare mirror of one repository, fetched bit by bit.
//!
//! In: a configured repository. Out: commits, their relations and their files. Branches are fetched
//! under names of our own, flat and encoded, so that `a` and `a/b` never stand in each other's way.
//! Submodules and LFS objects are not fetched: their files are what git itself has of them. A mirror
//! that git finds damaged is set aside, and fetched again from the beginning.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ferry_config::{Builder, Repository};
use ferry_events::{Digest, name::token};
use ferry_runtime::Failure;
use tokio::{fs, sync::RwLock};
use tracing::warn;

use super::{
    BuilderEffects,
    git::{self, Access, Git, GitError},
    process,
};
use crate::decide::address::{self, Address};

/// Of one fetch. A first one of a large repository takes minutes.
const FETCH_LIMIT: Duration = Duration::from_secs(10 * 60);

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

/// One repository's mirror.
pub struct Mirror {
    git: Git,
    dir: PathBuf,
    address: Address,
    access: Access,
    lock: Arc<RwLock<()>>,
    /// Which folder it was when it was opened: one that is set aside makes way for another.
    inode: u64,
}

impl Mirror {
    /// Opens the mirror, made where it is missing.
    ///
    /// # Errors
    /// When the address is refused, the credentials cannot be had, or the disk is full.
    pub async fn open(
        effects: &BuilderEffects,
        name: &str,
        repository: &Repository,
        builder: &Builder,
    ) -> Result<Self, Failure> {
        let address = address::check(repository, builder)?;
        let access = effects
            .git
            .access(repository, &address)
            .map_err(|error| error.failure())?;
        // Another address is another repository, whatever its name.
        let place = format!(
            "{}-{}.git",
            token(name),
            Digest::of(address.url.as_bytes()).short()
        );
        let dir = effects.places.mirrors().join(&place);
        let lock = effects.locks.of("mirror", &place);
        let mut mirror = Self {
            git: effects.git.clone(),
            dir,
            address,
            access,
            lock,
            inode: 0,
        };
        let opened = async {
            let _lock = mirror.lock.write().await;
            mirror.make().await?;
            mirror.inode().await
        };
        mirror.inode = opened.await.map_err(|error| error.failure())?;
        Ok(mirror)
    }

    /// Makes it where it is missing. Under the lock.
    async fn make(&self) -> Result<(), GitError> {
        if self.dir.join("HEAD").is_file() {
            return Ok(());
        }
        let mut command = self.git.command(&self.dir);
        command.args(["init", "--quiet", "--bare", "--template="]);
        self.git.local(command).await.map(drop)
    }

    async fn inode(&self) -> Result<u64, GitError> {
        let meta = fs::metadata(&self.dir).await;
        meta.map(|meta| meta.ino())
            .map_err(|error| GitError::Io("the mirror cannot be read".into(), error))
    }

    /// Does `work`; where that finds the mirror damaged, sets the mirror aside and does it once more,
    /// on a new one.
    ///
    /// # Errors
    /// When git fails.
    pub async fn mended<T, E, F>(
        &self,
        damage: fn(&E) -> Option<&GitError>,
        work: impl Fn() -> F,
    ) -> Result<T, E>
    where
        E: From<GitError>,
        F: Future<Output = Result<T, E>>,
    {
        let error = match work().await {
            Err(error) => error,
            done => return done,
        };
        match damage(&error) {
            Some(why @ GitError::Damaged(_)) => self.set_aside(why).await?,
            _ => return Err(error),
        }
        work().await
    }

    /// Puts a damaged mirror under another name, in the place of one from before, so that a person can
    /// look at it; and makes a new one.
    async fn set_aside(&self, why: &GitError) -> Result<(), GitError> {
        let _lock = self.lock.write().await;
        // Another task has done it already.
        if self.inode().await.is_ok_and(|inode| inode != self.inode) {
            return Ok(());
        }
        let mut aside = self.dir.clone().into_os_string();
        aside.push(".damaged");
        warn!(
            mirror = %self.dir.display(), aside = %Path::new(&aside).display(), %why,
            "a mirror is set aside and fetched again"
        );
        let moved = async {
            match fs::remove_dir_all(&aside).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            match fs::rename(&self.dir, &aside).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        moved
            .await
            .map_err(|error| GitError::Io("a damaged mirror cannot be set aside".into(), error))?;
        self.make().await
    }

    fn command(&self) -> tokio::process::Command {
        self.git.command(&self.dir)
    }

    async fn fetch(&self, options: &[&str], refs: &[&str]) -> Result<(), GitError> {
        let _lock = self.lock.write().await;
        let mut command = self.git.remote(&self.dir, &self.address, &self.access);
        command
            .args([
                "fetch",
                "--quiet",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
            ])
            .args(options)
            .arg("--")
            .arg(&self.address.url)
            .args(refs);
        self.git.run(command, FETCH_LIMIT).await.map(drop)
    }

    /// Fetches one branch. Its tip; none: there is no such branch.
    ///
    /// # Errors
    /// When git fails.
    pub async fn fetch_branch(&self, branch: &str) -> Result<Option<String>, GitError> {
        let kept = format!("refs/ferry/branch/{}", token(branch));
        let wanted = format!("+refs/heads/{branch}:{kept}");
        match self.fetch(&["--no-tags"], &[&wanted]).await {
            Ok(()) => self.peel(&kept).await,
            Err(GitError::Failed(said)) if said.contains("couldn't find remote ref") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fetches every branch and tag; those that are gone go here too.
    ///
    /// # Errors
    /// When git fails.
    pub async fn fetch_all(&self) -> Result<(), GitError> {
        let refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
        self.fetch(&["--prune", "--no-tags"], &refs).await
    }

    /// Fetches one object by its id, which many forges allow although no branch leads to it.
    ///
    /// # Errors
    /// When git fails, or the forge does not allow it.
    pub async fn fetch_object(&self, id: &str) -> Result<(), GitError> {
        self.fetch(&["--no-tags"], &[id]).await
    }

    /// The commit that a name or id means, a tag's commit for a tag. None: there is none here.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn peel(&self, name: &str) -> Result<Option<String>, GitError> {
        let mut command = self.command();
        command
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}^{{commit}}"));
        let output = self.git.ask(command).await?;
        let id = String::from_utf8_lossy(&output.out).trim().to_owned();
        if output.status.success() && address::is_object_id(&id) {
            return Ok(Some(id));
        }
        unless_damaged(&output).map(|()| None)
    }

    /// Walks a commit's whole history.
    ///
    /// # Errors
    /// When one of its commits is not here, which only damage brings about.
    pub async fn walk(&self, commit: &str) -> Result<(), GitError> {
        let mut command = self.command();
        command.args(["rev-list", "--count", commit, "--"]);
        self.git.local(command).await.map(drop)
    }

    /// Whether a commit leads to another, or is it. False where git has not both.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn leads(&self, from: Option<&str>, to: Option<&str>) -> Result<bool, GitError> {
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(false);
        };
        if from == to {
            return Ok(true);
        }
        let mut command = self.command();
        command.args(["merge-base", "--is-ancestor", from, to]);
        let output = self.git.ask(command).await?;
        if output.status.success() {
            return Ok(true);
        }
        unless_damaged(&output).map(|()| false)
    }

    /// Whether a branch or tag leads to a commit.
    ///
    /// # Errors
    /// When git fails.
    pub async fn is_reachable(&self, commit: &str) -> Result<bool, GitError> {
        let mut command = self.command();
        command.args([
            "for-each-ref",
            "--count=1",
            "--format=x",
            "--contains",
            commit,
            "refs/heads",
            "refs/tags",
        ]);
        Ok(!self.git.local(command).await?.is_empty())
    }

    /// Paths that differ between two commits; all of the second where the first is not here.
    ///
    /// # Errors
    /// When git fails.
    pub async fn changed(&self, from: Option<&str>, to: &str) -> Result<Vec<String>, GitError> {
        let from = match from {
            Some(from) => self.peel(from).await?,
            None => None,
        };
        let mut command = self.command();
        match &from {
            Some(from) => command.args([
                "diff-tree",
                "-r",
                "-z",
                "--name-only",
                "--no-renames",
                from,
                to,
            ]),
            None => command.args(["ls-tree", "-r", "-z", "--name-only", "--full-tree", to]),
        };
        let listed = self.git.local(command).await?;
        let paths = listed
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty());
        Ok(paths
            .map(|path| String::from_utf8_lossy(path).into_owned())
            .collect())
    }

    /// A commit's first line and its author's name.
    ///
    /// # Errors
    /// When git fails.
    pub async fn about(&self, commit: &str) -> Result<(String, String), GitError> {
        let mut command = self.command();
        command.args([
            "log",
            "-1",
            "--no-show-signature",
            "--format=%s%x00%an",
            commit,
            "--",
        ]);
        let text = String::from_utf8_lossy(&self.git.local(command).await?).into_owned();
        let (subject, author) = text
            .trim_end_matches('\n')
            .split_once('\0')
            .unwrap_or((&text, ""));
        Ok((subject.to_owned(), author.to_owned()))
    }

    /// A digest of what a build resolves its dependencies by: every pom and `.mvn` file of a commit.
    ///
    /// # Errors
    /// When git fails.
    pub async fn poms(&self, commit: &str) -> Result<Digest, GitError> {
        let mut command = self.command();
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        let listed = self.git.local(command).await?;
        let mut wanted = Vec::new();
        for line in listed.split(|byte| *byte == 0) {
            let path = line.split(|byte| *byte == b'\t').nth(1).unwrap_or_default();
            let path = String::from_utf8_lossy(path);
            if path.ends_with("pom.xml") || path.starts_with(".mvn/") || path.contains("/.mvn/") {
                wanted.extend_from_slice(line);
                wanted.push(0);
            }
        }
        Ok(Digest::of(&wanted))
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
        let all: Result<_, _> = files.iter().map(|file| told_of(file, &mut left)).collect();
        all
    }

    /// Sees to it that a commit is here, although another builder resolved it.
    ///
    /// # Errors
    /// When git fails, or there is no such commit.
    pub async fn have(&self, commit: &str) -> Result<bool, GitError> {
        if self.peel(commit).await?.is_some() {
            return Ok(true);
        }
        self.fetch_all().await?;
        if self.peel(commit).await?.is_none() {
            self.fetch_object(commit).await?;
        }
        Ok(self.peel(commit).await?.is_some())
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

/// A no is a no, unless git says it because it cannot read.
fn unless_damaged(output: &process::Output) -> Result<(), GitError> {
    match git::refused(output) {
        damaged @ GitError::Damaged(_) => Err(damaged),
        _ => Ok(()),
    }
}
