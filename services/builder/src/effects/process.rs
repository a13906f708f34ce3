//! Processes that end: in a group of their own, with a time limit, killed when nobody waits any more.
//!
//! In: a command, what it reads. Out: what it wrote, within bounds.

use std::{io, process::ExitStatus, time::Duration};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    process::{Child, Command},
};

/// Bytes of standard output that are kept: the paths of a repository with a million files.
const OUT_MAX: u64 = 256 * 1024 * 1024;
/// Bytes of standard error that are kept: a remote can say as much as it likes.
const ERR_MAX: u64 = 64 * 1024;

/// A process group, killed when this is dropped. Its leader has to be a child of ours.
pub struct Group(Option<Pid>);

impl Group {
    /// The group that a child was started in with `process_group(0)`.
    pub fn of(child: &Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .map(Pid::from_raw),
        )
    }

    /// Kills all of it. Nobody there any more is as good.
    pub fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a process left.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: Vec<u8>,
    /// Its standard error, as text.
    pub err: String,
}

/// Runs a command to its end, with `given` on its standard input.
///
/// # Errors
/// When it cannot be started, or [`io::ErrorKind::TimedOut`].
pub async fn output(mut command: Command, given: &[u8], limit: Duration) -> io::Result<Output> {
    command
        .stdin(match given {
            [] => std::process::Stdio::null(),
            _ => std::process::Stdio::piped(),
        })
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mut child = command.spawn()?;
    let mut group = Group::of(&child);
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let ((), out, err, status) = tokio::try_join!(
            write(input, given),
            read(out, OUT_MAX),
            read(err, ERR_MAX),
            child.wait()
        )?;
        Ok(Output {
            status,
            out,
            err: String::from_utf8_lossy(&err).into_owned(),
        })
    };
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => {
            group.kill();
            let secs = limit.as_secs();
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("it took longer than {secs} s"),
            ))
        }
    }
}

/// Writes all of it and closes. A process that ends before it has read all says why by its status.
async fn write(to: Option<impl AsyncWrite + Unpin>, given: &[u8]) -> io::Result<()> {
    let Some(mut to) = to else {
        return Ok(());
    };
    match to.write_all(given).await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(most).read_to_end(&mut kept).await?;
        // What is beyond is read all the same, or the process would wait for ever.
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(kept)
}
