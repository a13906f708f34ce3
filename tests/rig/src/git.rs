//! A real git repository as a forge has it: a bare one, and a work clone from
//! which somebody pushes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, FixedOffset};
use tokio::process::Command;

use crate::digest::copy_over;
use crate::tools;

/// Who commits.
pub const AUTHOR_NAME: &str = "Ferry demo";
/// The committer's address.
pub const AUTHOR_EMAIL: &str = "demo@ferry.example";
/// The only branch at first.
pub const BRANCH: &str = "main";
/// What a forge says when there was or is no commit.
pub const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// A bare repository and its work clone.
#[derive(Debug, Clone)]
pub struct Repository {
    name: String,
    bare: PathBuf,
    work: PathBuf,
}

/// One push of one branch, as a forge would tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The repository's name.
    pub repository: String,
    /// What to clone from.
    pub clone_url: String,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The head before; [`NO_COMMIT`] for a new branch.
    pub before: String,
    /// The head after.
    pub after: String,
    /// True when `before` is no ancestor of `after`.
    pub forced: bool,
    /// What was pushed, oldest first.
    pub commits: Vec<Commit>,
}

/// A pushed commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// 40 hex digits.
    pub id: String,
    /// The whole message.
    pub message: String,
    /// The committer's date.
    pub time: DateTime<FixedOffset>,
    /// Paths that it added.
    pub added: Vec<String>,
    /// Paths that it changed.
    pub modified: Vec<String>,
    /// Paths that it removed.
    pub removed: Vec<String>,
}

impl Repository {
    /// Makes `DIR/NAME.git` and `DIR/NAME` with the content of `folder` as the
    /// first commit, pushed.
    ///
    /// # Errors
    /// When git is missing or fails.
    pub async fn from_folder(name: &str, folder: &Path, dir: &Path) -> Result<(Self, Push)> {
        let repository = Self {
            name: name.to_owned(),
            bare: dir.join(format!("{name}.git")),
            work: dir.join(name),
        };
        fs::create_dir_all(&repository.work)
            .with_context(|| format!("cannot make {}", repository.work.display()))?;
        let bare = repository.bare.to_string_lossy().into_owned();
        let head = format!("--initial-branch={BRANCH}");
        git(dir, &["init", "--quiet", "--bare", &head, "--", &bare]).await?;
        repository.run(&["init", "--quiet", &head]).await?;
        repository.run(&["remote", "add", "origin", &bare]).await?;
        let push = repository.commit_folder(folder, "Add the module").await?;
        Ok((repository, push))
    }

    /// The repository's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bare repository.
    pub fn bare(&self) -> &Path {
        &self.bare
    }

    /// The work clone.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// What to clone from: the bare repository as `file://`.
    pub fn clone_url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// The head of [`BRANCH`] in the bare repository.
    ///
    /// # Errors
    /// When git fails.
    pub async fn head(&self) -> Result<String> {
        let name = format!("refs/heads/{BRANCH}");
        let bare = self.bare.to_string_lossy();
        let listed = git(&self.work, &["ls-remote", "--", &bare, &name]).await?;
        Ok(listed
            .split_whitespace()
            .next()
            .unwrap_or(NO_COMMIT)
            .to_owned())
    }

    /// Lays `folder` over the work clone, commits and pushes.
    ///
    /// # Errors
    /// When git fails, or nothing is changed by it.
    pub async fn commit_folder(&self, folder: &Path, message: &str) -> Result<Push> {
        copy_over(folder, &self.work)?;
        self.commit_all(message).await
    }

    /// Writes one file in the work clone, commits and pushes.
    ///
    /// # Errors
    /// When git fails, or nothing is changed by it.
    pub async fn commit_file(&self, path: &str, content: &str, message: &str) -> Result<Push> {
        let file = self.work.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        self.commit_all(message).await
    }

    /// Undoes the last commit with one that reverts it, and pushes.
    ///
    /// # Errors
    /// When git fails.
    pub async fn revert_last(&self) -> Result<Push> {
        self.run(&["revert", "--no-edit", "HEAD"]).await?;
        self.push(false).await
    }

    /// Makes the files of the work clone those of `commit`, on top of the head as
    /// it is: what was added since is gone, and the next commit says so.
    ///
    /// # Errors
    /// When git fails.
    pub async fn files_of(&self, commit: &str) -> Result<()> {
        self.run(&["read-tree", "-u", "--reset", commit])
            .await
            .map(drop)
    }

    /// Sets the branch to another commit and pushes it by force.
    ///
    /// # Errors
    /// When git fails.
    pub async fn force_to(&self, commit: &str) -> Result<Push> {
        self.run(&["reset", "--quiet", "--hard", commit]).await?;
        self.push(true).await
    }

    /// Commits whatever differs in the work clone, and pushes.
    ///
    /// # Errors
    /// When git fails, or nothing differs.
    pub async fn commit_all(&self, message: &str) -> Result<Push> {
        self.run(&["add", "--all"]).await?;
        self.run(&["commit", "--quiet", "--message", message])
            .await?;
        self.push(false).await
    }

    async fn push(&self, forced: bool) -> Result<Push> {
        let before = self.head().await?;
        let after = self.run(&["rev-parse", "HEAD"]).await?;
        let target = format!("HEAD:refs/heads/{BRANCH}");
        let mut args = vec!["push", "--quiet"];
        args.extend(forced.then_some("--force"));
        args.extend(["origin", &target]);
        self.run(&args).await?;
        Ok(Push {
            repository: self.name.clone(),
            clone_url: self.clone_url(),
            branch: BRANCH.to_owned(),
            commits: self.commits(&before, &after).await?,
            before,
            after,
            forced,
        })
    }

    async fn commits(&self, before: &str, after: &str) -> Result<Vec<Commit>> {
        let range = if before == NO_COMMIT {
            after.to_owned()
        } else {
            format!("{before}..{after}")
        };
        let listed = self.run(&["rev-list", "--reverse", &range]).await?;
        let mut commits = Vec::new();
        for id in listed.lines() {
            commits.push(self.commit(id).await?);
        }
        Ok(commits)
    }

    async fn commit(&self, id: &str) -> Result<Commit> {
        let shown = self
            .run(&["show", "--no-patch", "--format=%cI%n%B", id])
            .await?;
        let (time, message) = shown.split_once('\n').unwrap_or((&shown, ""));
        let mut commit = Commit {
            id: id.to_owned(),
            message: message.trim_end().to_owned(),
            time: DateTime::parse_from_rfc3339(time).context("git's date")?,
            added: Vec::new(),
            modified: Vec::new(),
            removed: Vec::new(),
        };
        let changed = self
            .run(&[
                "diff-tree",
                "--root",
                "--no-commit-id",
                "--name-status",
                "--no-renames",
                "-r",
                "-z",
                id,
            ])
            .await?;
        let mut fields = changed.split('\0').filter(|field| !field.is_empty());
        while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
            match status {
                "A" => &mut commit.added,
                "D" => &mut commit.removed,
                _ => &mut commit.modified,
            }
            .push(path.to_owned());
        }
        Ok(commit)
    }

    async fn run(&self, args: &[&str]) -> Result<String> {
        git(&self.work, args).await
    }
}

/// Runs git in `dir`, apart from the configuration of whoever runs this.
async fn git(dir: &Path, args: &[&str]) -> Result<String> {
    let out = Command::new(tools::git()?)
        .args(args)
        .current_dir(dir)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", AUTHOR_NAME)
        .env("GIT_AUTHOR_EMAIL", AUTHOR_EMAIL)
        .env("GIT_COMMITTER_NAME", AUTHOR_NAME)
        .env("GIT_COMMITTER_EMAIL", AUTHOR_EMAIL)
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run git")?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).trim_end().to_owned());
    }
    let said = [out.stdout, out.stderr].concat();
    bail!(
        "git {} failed: {}",
        args.first().copied().unwrap_or_default(),
        String::from_utf8_lossy(&said).trim()
    )
}
