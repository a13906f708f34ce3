//! The git command, tied down: no shell, no hooks, no prompt, one protocol, none of the user's
//! configuration; secrets by environment and private files only.
//!
//! In: arguments. Out: what git wrote, or a typed error.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_config::{Repository, Secret};
use ferry_events::{Reason, Stop};
use ferry_runtime::Failure;
use tempfile::NamedTempFile;
use tokio::process::Command;

use super::{Places, process};
use crate::decide::address::Address;

/// Of one command that asks only our own mirror.
const LOCAL_LIMIT: Duration = Duration::from_secs(120);

/// What git gets of our environment: how to reach the network, nothing else.
const KEPT: [&str; 10] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
];

/// Answers git's two questions from the environment, so that a secret is never an argument.
const ASKPASS: &str = "#!/bin/sh\ncase \"$1\" in\nUsername*) printf '%s\\n' \"$FERRY_GIT_USER\" ;;\n*) printf '%s\\n' \"$FERRY_GIT_SECRET\" ;;\nesac\n";

/// Repositories may belong to others: which are fetched from is the configuration's to say.
const CONFIG: &str = "[safe]\n\tdirectory = *\n";

/// Why git did not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It is not installed.
    #[error("git is not on the PATH")]
    Missing,
    /// It was too slow.
    #[error("{0}")]
    Timeout(String),
    /// It said no.
    #[error("{0}")]
    Failed(String),
    /// It cannot read what it fetched before, or what a process that was killed left is in its way.
    #[error("the mirror is damaged: {0}")]
    Damaged(String),
    /// A file of ours could not be read or written.
    #[error("{0}")]
    Io(String, #[source] io::Error),
    /// The credentials could not be had. Never shows them.
    #[error("the repository's credentials: {0}")]
    Credentials(String),
}

impl GitError {
    /// Whether the same may work in a moment: the server is away, or the network is.
    fn may_pass(&self) -> bool {
        let said = match self {
            Self::Failed(said) => said,
            Self::Timeout(_) | Self::Damaged(_) => return true,
            Self::Missing | Self::Io(..) | Self::Credentials(_) => return false,
        };
        let last = [
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Permission denied",
            "not found",
            "does not appear to be a git repository",
            "Host key verification failed",
            "transport '",
            "No space left on device",
            "dubious ownership",
            "returned error: 401",
            "returned error: 403",
        ];
        !last.iter().any(|mark| said.contains(mark))
    }

    /// Whether it is tried again, or given up.
    pub fn failure(&self) -> Failure {
        if self.may_pass() {
            Failure::Again(self.stop())
        } else {
            Failure::GiveUp(self.stop())
        }
    }

    fn stop(&self) -> Stop {
        let reason = match self {
            Self::Missing => Reason::ToolMissing,
            Self::Io(_, error) if error.kind() == io::ErrorKind::StorageFull => Reason::DiskFull,
            Self::Failed(said) if said.contains("No space left on device") => Reason::DiskFull,
            _ => Reason::FetchFailed,
        };
        let mut detail = self.to_string();
        if let Self::Io(_, error) = self {
            detail = format!("{detail}: {error}");
        }
        Stop::new(reason, detail)
    }
}

/// The git command.
#[derive(Clone, Debug)]
pub struct Git {
    folder: PathBuf,
    secrets_root: PathBuf,
}

/// What git needs to log in; private files live as long as this.
#[derive(Default)]
pub struct Access {
    variables: Vec<(&'static str, String)>,
    _key: Option<NamedTempFile>,
}

impl Git {
    /// Makes the files that git is given.
    pub(super) fn new(places: &Places) -> io::Result<Self> {
        let folder = places.data_dir.join("git");
        fs::create_dir_all(folder.join("home"))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        fs::write(folder.join("config"), CONFIG)?;
        let askpass = folder.join("askpass");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o700);
        options.open(&askpass)?.write_all(ASKPASS.as_bytes())?;
        Ok(Self {
            folder,
            secrets_root: places.secrets_root.clone(),
        })
    }

    /// The command, in a repository.
    pub fn command(&self, repository: &Path) -> Command {
        let mut command = Command::new("git");
        command.env_clear().envs(
            KEPT.iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        );
        command
            .env("HOME", self.folder.join("home"))
            .env("LC_ALL", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.folder.join("config"))
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .arg("--git-dir")
            .arg(repository)
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "core.fsmonitor=false",
            ])
            .args(["-c", "credential.helper=", "-c", "gc.autoDetach=false"])
            .args([
                "-c",
                "protocol.allow=never",
                "-c",
                "protocol.ext.allow=never",
            ])
            .current_dir(&self.folder);
        command
    }

    /// The command, allowed to speak one address's protocol.
    pub fn remote(&self, repository: &Path, address: &Address, access: &Access) -> Command {
        let mut command = self.command(repository);
        command
            .args(["-c", &format!("protocol.{}.allow=always", address.protocol)])
            .args([
                "-c",
                "http.lowSpeedLimit=1000",
                "-c",
                "http.lowSpeedTime=30",
            ])
            .envs(access.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// How to log in, from the repository's secret reference.
    ///
    /// # Errors
    /// [`GitError::Credentials`], or a private file cannot be written.
    pub fn access(&self, repository: &Repository, address: &Address) -> Result<Access, GitError> {
        let mut access = Access::default();
        let secret = match &repository.credentials {
            Some(reference) => Some(
                reference
                    .resolve(&self.secrets_root)
                    .map_err(|error| GitError::Credentials(error.to_string()))?,
            ),
            None => None,
        };
        match (address.protocol.as_str(), secret) {
            ("ssh", key) => {
                let file = key.map(|key| self.key_file(&key)).transpose()?;
                access.variables.push((
                    "GIT_SSH_COMMAND",
                    self.ssh(file.as_ref().map(NamedTempFile::path)),
                ));
                access._key = file;
            }
            (_, Some(token)) => {
                let token = token
                    .text()
                    .ok_or_else(|| GitError::Credentials("they are no text".into()))?;
                let (user, token) = token.split_once(':').unwrap_or((address.user, token));
                let askpass = self.folder.join("askpass").display().to_string();
                access.variables.push(("GIT_ASKPASS", askpass));
                access.variables.push(("FERRY_GIT_USER", user.to_owned()));
                access
                    .variables
                    .push(("FERRY_GIT_SECRET", token.to_owned()));
            }
            (_, None) => {}
        }
        Ok(access)
    }

    fn key_file(&self, key: &Secret) -> Result<NamedTempFile, GitError> {
        let write = || {
            let mut file = tempfile::Builder::new()
                .prefix("key-")
                .tempfile_in(&self.folder)?;
            file.write_all(key.bytes())?;
            // ssh refuses a key without its last line end, which a secret has lost.
            file.write_all(b"\n")?;
            Ok(file)
        };
        write().map_err(|error| GitError::Io("the ssh key cannot be handed to ssh".into(), error))
    }

    /// What git passes to a shell: all of it is ours. A host's key is taken at its first use and pinned.
    fn ssh(&self, key: Option<&Path>) -> String {
        let quoted =
            |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
        let hosts = quoted(&self.folder.join("known_hosts"));
        let mut ssh =
            "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=20 -o IdentitiesOnly=yes \
             -o StrictHostKeyChecking=accept-new"
                .to_owned();
        ssh += &format!(" -o UserKnownHostsFile={hosts}");
        if let Some(key) = key {
            ssh += &format!(" -i {}", quoted(key));
        }
        ssh
    }

    /// Runs a command that has to succeed, and gives what it wrote.
    ///
    /// # Errors
    /// When it does not.
    pub async fn run(&self, command: Command, limit: Duration) -> Result<Vec<u8>, GitError> {
        done(self.output(command, &[], limit).await?)
    }

    /// Runs a local command that may say no by its exit code.
    ///
    /// # Errors
    /// When it cannot be run, or is too slow.
    pub async fn ask(&self, command: Command) -> Result<process::Output, GitError> {
        self.output(command, &[], LOCAL_LIMIT).await
    }

    /// Runs a local command that has to succeed.
    ///
    /// # Errors
    /// When it does not.
    pub async fn local(&self, command: Command) -> Result<Vec<u8>, GitError> {
        self.run(command, LOCAL_LIMIT).await
    }

    /// As [`Self::local`], for a command that reads what it is asked.
    ///
    /// # Errors
    /// When it does not succeed.
    pub async fn told(&self, command: Command, asked: &[u8]) -> Result<Vec<u8>, GitError> {
        done(self.output(command, asked, LOCAL_LIMIT).await?)
    }

    async fn output(
        &self,
        command: Command,
        given: &[u8],
        limit: Duration,
    ) -> Result<process::Output, GitError> {
        process::output(command, given, limit)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => GitError::Missing,
                io::ErrorKind::TimedOut => GitError::Timeout(error.to_string()),
                _ => GitError::Io("git cannot be run".into(), error),
            })
    }
}

fn done(output: process::Output) -> Result<Vec<u8>, GitError> {
    match output.status.success() {
        true => Ok(output.out),
        false => Err(refused(&output)),
    }
}

/// What a command's refusal means.
pub fn refused(output: &process::Output) -> GitError {
    match damage(&output.err) {
        Some(line) => GitError::Damaged(line),
        None => GitError::Failed(said(&output.err)),
    }
}

/// The first line by which git says that its own folder is not whole. What the remote says of its
/// folder is not about ours.
fn damage(err: &str) -> Option<String> {
    const MARKS: [&str; 14] = [
        "not a git repository: ",
        "bad config line",
        "bad object",
        "is corrupt",
        "inflate: ",
        "unable to unpack",
        "unable to parse object",
        "unable to read tree",
        "unable to read sha1 file",
        "error: Could not read ",
        "ignoring broken ref",
        "does not point to a valid object",
        "did not send all necessary objects",
        ".lock': File exists",
    ];
    err.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("remote:"))
        .find(|line| MARKS.iter().any(|mark| line.contains(mark)))
        .map(str::to_owned)
}

/// What git wrote that helps: its `fatal:` and `remote:` lines.
fn said(err: &str) -> String {
    let lines: Vec<&str> = err
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let marked: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| {
            ["fatal:", "error:", "remote:", "ssh:"]
                .iter()
                .any(|mark| line.starts_with(mark))
        })
        .collect();
    let lines = if marked.is_empty() { lines } else { marked };
    lines.into_iter().take(6).collect::<Vec<_>>().join("\n")
}
