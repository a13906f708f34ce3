//! One run of Maven: watched, bounded, killed whole; its output line by line.
//!
//! In: what it may see and use. Out: how it ended.

use std::{
    io,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use ferry_config::Builder;
use ferry_events::{Reason, Stop};
use ferry_runtime::Failure;
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::Command,
    sync::RwLock,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    log::LogWriter,
    maven,
    process::Group,
    sandbox::{Jail, View},
    usage,
};
use crate::decide::{classify, lines::Log};

/// Between two looks at what a build uses. A look costs a millisecond or two.
const WATCH: Duration = Duration::from_millis(250);
/// How long what a build left running may hold its output open. In a sandbox nothing is left.
const REST: Duration = Duration::from_secs(1);
/// Lines that tell where a build was when its time was over.
const LAST: usize = 10;

/// The log, and the way to the bus.
pub struct Said {
    /// What is kept of it.
    pub log: Log,
    /// The way.
    pub to: LogWriter,
    /// For how long Maven ran.
    pub maven: Duration,
}

impl Said {
    /// Takes a line of the build.
    pub fn take(&mut self, raw: &str) {
        if let Some(line) = self.log.take(raw) {
            self.to.write(line);
        }
    }

    /// Adds a line of ours.
    pub fn note(&mut self, text: &str) {
        self.to.write(self.log.note(text));
    }
}

/// How a Maven run ended.
pub enum Ended {
    /// By itself.
    Exit(ExitStatus),
    /// Killed: its time was over.
    Late,
    /// Killed: it was over another limit.
    Over(String),
}

/// Runs Maven: once, or once more with the network. The time limit is for both together.
pub struct Run<'a> {
    /// Where.
    pub jail: &'a Jail,
    /// Maven's launcher.
    pub mvn: &'a Path,
    /// What it is asked for.
    pub goals: &'a [String],
    /// The limits.
    pub builder: &'a Builder,
    /// Held while a run may write into the Maven repository.
    pub lock: &'a RwLock<()>,
    /// What is left of the time.
    pub left: Duration,
}

impl Run<'_> {
    /// Runs it, with its output going to the log line by line.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn once(&mut self, view: &View<'_>, said: &mut Said) -> io::Result<Ended> {
        // Maven 3 does not expect another one to write into its repository; offline it only reads.
        let (_reads, _writes) = if view.online {
            (None, Some(self.lock.write().await))
        } else {
            (Some(self.lock.read().await), None)
        };
        let began = Instant::now();
        let arguments = maven::arguments(self.jail, view, self.goals);
        let command = self.jail.command(view, self.mvn.as_os_str(), &arguments);
        let ended = watched(command, self.builder, began + self.left, said).await;
        let took = began.elapsed();
        self.left = self.left.saturating_sub(took);
        said.maven += took;
        ended
    }
}

async fn watched(
    command: Command,
    builder: &Builder,
    deadline: Instant,
    said: &mut Said,
) -> io::Result<Ended> {
    // One pipe for both outputs, so that their lines stay in the order in which they were written.
    let (reader, writer) = io::pipe()?;
    let mut child = spawn(command, writer)?;
    let mut group = Group::of(&child);
    let root = child.id().unwrap_or_default();
    let mut output = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut lines = Lines::default();
    let mut buffer = vec![0; 16 * 1024];
    let mut watch = interval(WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut open = true;
    let ended = loop {
        tokio::select! {
            // The limits first: a build that never stops writing must not outrun them.
            biased;
            () = sleep_until(deadline) => break Ended::Late,
            _ = watch.tick() => {
                if let Some(over) = over(usage::of(root), builder) {
                    break Ended::Over(over);
                }
            }
            read = output.read(&mut buffer), if open => match read {
                Ok(count) if count > 0 => lines.take(&buffer[..count], said),
                _ => open = false,
            },
            status = child.wait() => break Ended::Exit(status?),
        }
    };
    group.kill();
    if !matches!(ended, Ended::Exit(_)) {
        // It is killed; waiting for it lets the system forget it.
        let _ = child.wait().await;
    }
    let rest = Instant::now() + REST;
    while let Ok(Ok(count)) = tokio::time::timeout_at(rest, output.read(&mut buffer)).await {
        if count == 0 {
            break;
        }
        lines.take(&buffer[..count], said);
    }
    lines.end(said);
    Ok(ended)
}

/// The sandbox ends with the thread that started it, so this is no work for a thread that comes and goes.
fn spawn(mut command: Command, writer: io::PipeWriter) -> io::Result<tokio::process::Child> {
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Why that is more than one build may use; none: it may.
pub fn over(usage: usage::Usage, builder: &Builder) -> Option<String> {
    if usage.memory > builder.memory {
        let (used, limit) = (usage.memory >> 20, builder.memory >> 20);
        return Some(format!(
            "the build used {used} MiB of memory; [builder] memory is {limit} MiB"
        ));
    }
    if usage.tasks > u64::from(builder.processes) {
        let (used, limit) = (usage.tasks, builder.processes);
        return Some(format!(
            "the build had {used} processes and threads; [builder] processes is {limit}"
        ));
    }
    None
}

/// Whether the build is good, or why it is not.
///
/// # Errors
/// Why it is not.
pub fn judge(
    ended: &Ended,
    said: &Said,
    builder: &Builder,
    limit: Duration,
) -> Result<(), Failure> {
    let keep = builder.log_lines as usize;
    match ended {
        Ended::Exit(status) if status.success() => Ok(()),
        Ended::Exit(_) => Err(classify::failed(&said.log.kept(), keep)),
        Ended::Over(detail) => Err(Stop::new(Reason::BuildFailed, detail).into()),
        Ended::Late => {
            let limit = ferry_config::text::duration::format(limit);
            let kept = said.log.kept();
            let last = &kept[kept.len().saturating_sub(keep.min(LAST))..];
            let mut detail = format!("it was not done after {limit}");
            if !last.is_empty() {
                detail = format!("{detail}; the last that it wrote:\n{}", last.join("\n"));
            }
            Err(Stop::new(Reason::BuildTimeout, detail).into())
        }
    }
}

/// Cuts output into lines.
#[derive(Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Bytes without a line end that are taken for a line.
    const LONGEST: usize = 64 * 1024;

    /// Takes what was written.
    pub fn take(&mut self, bytes: &[u8], said: &mut Said) {
        self.0.extend_from_slice(bytes);
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            said.take(&String::from_utf8_lossy(&line[..end]));
        }
        if self.0.len() > Self::LONGEST {
            self.end(said);
        }
    }

    /// Takes what has no line end for a line.
    pub fn end(&mut self, said: &mut Said) {
        if !self.0.is_empty() {
            said.take(&String::from_utf8_lossy(&std::mem::take(&mut self.0)));
        }
    }
}
