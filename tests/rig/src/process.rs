//! Child processes: each in a group of its own, its output in a log file, and
//! the whole group killed when the handle is dropped.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::wait::LOOK_EVERY;

/// After SIGKILL only the kernel stands between a process and its end.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How many lines of a log an error shows: a Java cause fits, a screen holds it.
const TAIL_LINES: usize = 25;

/// A running child and everything that it started.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    log: PathBuf,
    log_start: u64,
}

impl Process {
    /// Starts `command` with no input, and its output appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn spawn(name: &str, command: std::process::Command, log: &Path) -> Result<Self> {
        if let Some(dir) = log.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let log_start = out.metadata()?.len();
        let program = command.get_program().to_string_lossy().into_owned();
        let child = Command::from(command)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {name} ({program})"))?;
        let id = child
            .id()
            .context("a child that has just started has an id")?;
        Ok(Self {
            name: name.to_owned(),
            child,
            group: Pid::from_raw(i32::try_from(id)?),
            log: log.to_path_buf(),
            log_start,
        })
    }

    /// The name it was started under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id, which is the group's too.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// All that it has written since it was started.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn output(&self) -> Result<String> {
        let mut file =
            File::open(&self.log).with_context(|| format!("cannot read {}", self.log.display()))?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The end of its log, for an error message.
    pub fn tail(&self) -> String {
        let output = self.output().unwrap_or_default();
        let lines: Vec<&str> = output.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        format!(
            "the end of its log ({}):\n{}",
            self.log.display(),
            lines[from..].join("\n")
        )
    }

    /// Waits for a whole line that `wanted` accepts, and returns it.
    ///
    /// # Errors
    /// At the limit, or when the process ends first; with the log's tail.
    pub async fn line(&mut self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.look("its line", limit, |process| {
            let output = process.output()?;
            let whole = output.rfind('\n').map_or("", |end| &output[..end]);
            Ok(whole.lines().find(|line| wanted(line)).map(str::to_owned))
        })
        .await
    }

    /// Waits until something listens on `address`.
    ///
    /// # Errors
    /// At the limit, or when the process ends first; with the log's tail.
    pub async fn listens(&mut self, address: SocketAddr, limit: Duration) -> Result<()> {
        let limit_at = Instant::now() + limit;
        while TcpStream::connect(address).await.is_err() {
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}); {}", self.name, self.tail());
            }
            if Instant::now() >= limit_at {
                bail!(
                    "{}: nothing listens on {address} after {limit:?}; {}",
                    self.name,
                    self.tail()
                );
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Waits until `find` finds something, as long as the process runs.
    ///
    /// # Errors
    /// At the limit, or when the process ends first; with the log's tail.
    pub async fn look<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut find: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            // Asked first: what it wrote before its end counts.
            let ended = self.ended()?;
            if let Some(found) = find(self)? {
                return Ok(found);
            }
            if let Some(status) = ended {
                bail!("{} ended ({status}); {}", self.name, self.tail());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{}: waited {limit:?} for {what}, in vain; {}",
                    self.name,
                    self.tail()
                );
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a signal to the whole group.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        killpg(self.group, signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Stops the group where it stands (SIGSTOP). On return its leader stands: until then its threads may answer.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        // What has ended meanwhile answers as little. Nobody else's wait for it is taken away.
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        waitid(Id::Pid(self.group), flags).ok();
        Ok(())
    }

    /// Lets a frozen group go on (SIGCONT).
    ///
    /// # Errors
    /// When the group is gone.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// Kills the group (SIGKILL) and waits for its leader's end.
    ///
    /// # Errors
    /// When the end does not come.
    pub async fn kill(&mut self) -> Result<ExitStatus> {
        // Gone already is what is wanted.
        self.signal(Signal::SIGKILL).ok();
        timeout(KILL_LIMIT, self.child.wait())
            .await
            .with_context(|| format!("{} outlived SIGKILL", self.name))?
            .with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Asks the leader to end (SIGTERM); kills the group at the limit.
    ///
    /// # Errors
    /// When the end does not come even so.
    pub async fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        nix::sys::signal::kill(self.group, Signal::SIGTERM).ok();
        match timeout(limit, self.child.wait()).await {
            Ok(ended) => {
                // Whatever the leader left behind.
                self.signal(Signal::SIGKILL).ok();
                ended.with_context(|| format!("cannot wait for {}", self.name))
            }
            Err(_) => self.kill().await,
        }
    }

    /// Waits for the end by itself.
    ///
    /// # Errors
    /// At the limit, with the log's tail.
    pub async fn finish(&mut self, limit: Duration) -> Result<ExitStatus> {
        match timeout(limit, self.child.wait()).await {
            Ok(ended) => ended.with_context(|| format!("cannot wait for {}", self.name)),
            Err(_) => bail!("{} still runs after {limit:?}; {}", self.name, self.tail()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An id that was waited for may belong to somebody else by now.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.signal(Signal::SIGKILL).ok();
        }
    }
}
