//! One process in a group of its own, its output in a log.
//!
//! In: a command. Out: a process that can be waited for and ended with all that
//! it started.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::processes::Processes;
use crate::screen::one_line;

/// A log that is larger when its process starts is put aside: one file before
/// this one is kept.
const LOG_MAX: u64 = 16 << 20;

/// The end of a log that is searched for last words.
const TAIL_BYTES: u64 = 4096;

/// After SIGKILL only the kernel stands between a process and its end.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// A running process.
pub struct Child {
    name: String,
    child: tokio::process::Child,
    group: Pid,
    log: PathBuf,
    processes: Arc<Processes>,
}

impl Child {
    /// Starts a command; its output is appended to `log`.
    pub fn start(
        name: &str,
        command: std::process::Command,
        log: &Path,
        processes: &Arc<Processes>,
    ) -> Result<Self> {
        let out = open_log(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = tokio::process::Command::from(command)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} ({program}) cannot be started"))?;
        let id = i32::try_from(child.id().context("a process that just began has an id")?)?;
        processes.put(name, id);
        Ok(Self {
            name: name.to_owned(),
            child,
            group: Pid::from_raw(id),
            log: log.to_owned(),
            processes: processes.clone(),
        })
    }

    /// The process's id.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Waits for its end, and ends what it left behind.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        let status = self.child.wait().await?;
        let _ = killpg(self.group, Signal::SIGKILL);
        self.processes.remove(&self.name);
        Ok(status)
    }

    /// Asks it to end; kills it and all that it started at the limit. False: it
    /// had to be killed.
    pub async fn end(mut self, within: Duration) -> bool {
        let _ = kill(self.group, Signal::SIGTERM);
        if tokio::time::timeout(within, self.wait()).await.is_ok() {
            return true;
        }
        let _ = killpg(self.group, Signal::SIGKILL);
        let _ = tokio::time::timeout(KILLED_WITHIN, self.wait()).await;
        false
    }

    /// The last line of its log.
    pub fn last_words(&self) -> String {
        let text = tail(&self.log).unwrap_or_default();
        let last = text.lines().rev().find(|line| !line.trim().is_empty());
        one_line(last.unwrap_or("it wrote nothing"), 200)
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }
}

fn open_log(log: &Path) -> std::io::Result<File> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir)?;
    }
    if fs::metadata(log).is_ok_and(|found| found.len() > LOG_MAX) {
        fs::rename(log, log.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).open(log)
}

fn tail(log: &Path) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
