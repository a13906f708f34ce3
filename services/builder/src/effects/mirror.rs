//! A bare mirror of one repository, fetched bit by bit.
//!
//! In: a configured repository. Out: commits and their relations; what is in them is `files.rs`'s. Branches
//! are fetched under names of our own, flat and encoded, so that `a` and `a/b` never stand in each other's way.
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

/// Of one fetch, or of packing what was fetched. With a large repository it takes minutes.
const FETCH_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What is known of a commit.
pub struct About {
    /// The commit.
    pub id: String,
    /// Those right before it.
    pub parents: Vec<String>,
    /// Its first line.
    pub subject: String,
    /// Its author's name.
    pub author: String,
}

/// One repository's mirror.
pub struct Mirror {
    pub(super) git: Git,
    dir: PathBuf,
    address: Address,
    access: Access,
    lock: Arc<RwLock<()>>,
    maintenance: Arc<RwLock<()>>,
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
        let maintenance = effects.locks.of("maintenance of mirror", &place);
        let mut mirror = Self {
            git: effects.git.clone(),
            dir,
            address,
            access,
            lock,
            maintenance,
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

    pub(super) fn command(&self) -> tokio::process::Command {
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
                "--no-auto-maintenance",
            ])
            .args(options)
            .arg("--")
            .arg(&self.address.url)
            .args(refs);
        self.git.run(command, FETCH_LIMIT).await?;
        self.maintain();
        Ok(())
    }

    /// Has git pack what fetches left behind, where that is much. Nobody waits for it.
    fn maintain(&self) {
        let Ok(alone) = self.maintenance.clone().try_write_owned() else {
            return;
        };
        let (git, mut command) = (self.git.clone(), self.command());
        command.args(["maintenance", "run", "--auto", "--quiet"]);
        let mirror = self.dir.clone();
        tokio::spawn(async move {
            let _alone = alone;
            if let Err(error) = git.run(command, FETCH_LIMIT).await {
                warn!(mirror = %mirror.display(), %error, "the mirror was not packed");
            }
        });
    }

    /// Fetches one branch. Whether there is such a branch.
    ///
    /// # Errors
    /// When git fails.
    pub async fn fetch_branch(&self, branch: &str) -> Result<bool, GitError> {
        let wanted = format!("+refs/heads/{branch}:{}", kept(branch));
        match self.fetch(&["--no-tags"], &[&wanted]).await {
            Ok(()) => Ok(true),
            Err(GitError::Failed(said)) if said.contains("couldn't find remote ref") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The commit that a branch stood at when it was fetched.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn tip(&self, branch: &str) -> Result<Option<String>, GitError> {
        self.peel(&kept(branch)).await
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
        if let Some(paths) = self.differ(from, to).await? {
            return Ok(paths);
        }
        let mut command = self.command();
        command.args(["ls-tree", "-r", "-z", "--name-only", "--full-tree", to]);
        self.git.local(command).await.map(|listed| paths(&listed))
    }

    /// Paths that differ between two commits. None: there is no first, or one of them is not here.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn differ(
        &self,
        from: Option<&str>,
        to: &str,
    ) -> Result<Option<Vec<String>>, GitError> {
        let Some(from) = from else {
            return Ok(None);
        };
        let mut command = self.command();
        command.args(["diff-tree", "-r", "-z", "--name-only", "--no-renames"]);
        command.args([format!("{from}^{{commit}}"), format!("{to}^{{commit}}")]);
        let output = self.git.ask(command).await?;
        if output.status.success() {
            return Ok(Some(paths(&output.out)));
        }
        unless_damaged(&output).map(|()| None)
    }

    /// What is known of the commit that a name or id means. None: there is none here.
    ///
    /// # Errors
    /// When git cannot be run.
    pub async fn about(&self, name: &str) -> Result<Option<About>, GitError> {
        let mut command = self.command();
        command
            .args(["log", "-1", "--no-show-signature"])
            .args(["--format=%H%x00%P%x00%s%x00%an", "--end-of-options"])
            .arg(format!("{name}^{{commit}}"))
            .arg("--");
        let output = self.git.ask(command).await?;
        if !output.status.success() {
            return unless_damaged(&output).map(|()| None);
        }
        let text = String::from_utf8_lossy(&output.out);
        let mut fields = text.trim_end_matches('\n').split('\0').map(str::to_owned);
        let mut next = || fields.next().unwrap_or_default();
        let (id, parents) = (next(), next());
        Ok(address::is_object_id(&id).then(|| About {
            id,
            parents: parents.split(' ').map(str::to_owned).collect(),
            subject: next(),
            author: next(),
        }))
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
}

/// Where a branch's tip is kept.
fn kept(branch: &str) -> String {
    format!("refs/ferry/branch/{}", token(branch))
}

/// Paths with a zero byte after each.
fn paths(listed: &[u8]) -> Vec<String> {
    let paths = listed.split(|byte| *byte == 0);
    paths
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

/// A no is a no, unless git says it because it cannot read.
fn unless_damaged(output: &process::Output) -> Result<(), GitError> {
    match git::refused(output) {
        damaged @ GitError::Damaged(_) => Err(damaged),
        _ => Ok(()),
    }
}
