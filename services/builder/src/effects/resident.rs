//! A process that stays: started once, most of the time in a jail, and asked again and again.
//!
//! In: a command, and requests. Out: replies, and what the process wrote beside them. Requests go to its
//! standard input and replies come from its standard output, each as a frame: four bytes of length,
//! the most significant first, then so many bytes. Its standard error is anything that it says. It is
//! killed with all its children when it is too slow, uses too much or says nonsense, and when it is dropped.

use std::{
    io,
    os::fd::AsFd as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use nix::unistd;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    process::Group,
    usage::{self, Usage},
};

/// Between two looks at what it uses. A look costs a millisecond or two.
const WATCH: Duration = Duration::from_millis(250);
/// Bytes of one reply. What is longer was never a length.
const REPLY_MAX: usize = 64 * 1024 * 1024;
/// Bytes that are read at a time.
const CHUNK: usize = 16 * 1024;

/// What bounds one question.
pub struct Bounds<'a> {
    /// When it has to be answered.
    pub deadline: Instant,
    /// Says what is too much of what the process and its children use.
    pub over: &'a (dyn Fn(Usage) -> Option<String> + Sync),
}

/// Why there is no answer. The process is gone then.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Killed: its time was over.
    #[error("it took too long")]
    Late,
    /// Killed: it was over another limit.
    #[error("{0}")]
    Over(String),
    /// It ended by itself.
    #[error("it ended by itself: {0}")]
    Ended(ExitStatus),
    /// Killed: it said something that is no reply.
    #[error("it said something that is no reply")]
    Garbled,
    /// It cannot be spoken with.
    #[error("it cannot be spoken with")]
    Io(#[from] io::Error),
}

/// A process that stays.
pub struct Resident {
    // Before the child: once that is waited for, the group's number can be another's.
    group: Group,
    child: Child,
    root: u32,
    requests: ChildStdin,
    replies: ChildStdout,
    noise: ChildStderr,
    /// The beginning of a reply.
    begun: Vec<u8>,
    /// Whether a question was asked that nobody waited for to its end, or the process is gone.
    lost: bool,
}

impl Resident {
    /// Starts it. The sandbox ends with the thread that started it, so this is no work for a thread
    /// that comes and goes.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut command: Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group::of(&child);
        let root = child.id().unwrap_or_default();
        let piped = || io::Error::other("a process without its pipes");
        Ok(Self {
            requests: child.stdin.take().ok_or_else(piped)?,
            replies: child.stdout.take().ok_or_else(piped)?,
            noise: child.stderr.take().ok_or_else(piped)?,
            child,
            group,
            root,
            begun: Vec::new(),
            lost: false,
        })
    }

    /// What it and its children use now.
    pub fn usage(&self) -> Usage {
        usage::of(self.root)
    }

    /// Whether it can be asked again.
    pub fn is_well(&mut self) -> bool {
        !self.lost && matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks, and waits for the reply; `noise` takes what it writes meanwhile. Who does not wait to the
    /// end cannot ask again.
    ///
    /// # Errors
    /// Why there is no reply.
    pub async fn ask(
        &mut self,
        request: &[u8],
        bounds: &Bounds<'_>,
        noise: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Vec<u8>, Lost> {
        let length = u32::try_from(request.len())
            .map_err(|_| Lost::Io(io::Error::other("a request of more than 4 GiB")))?;
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(request);
        self.exchange(&frame, bounds, noise).await
    }

    /// Waits for a reply that nobody asked for, such as the first one that says that it has started.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn hear(
        &mut self,
        bounds: &Bounds<'_>,
        noise: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Vec<u8>, Lost> {
        self.exchange(&[], bounds, noise).await
    }

    /// Kills it with its children, and waits for its end.
    pub async fn end(&mut self) {
        self.lost = true;
        self.group.kill();
        // In the sandbox its children have a group of their own, and end with the sandbox.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    async fn exchange(
        &mut self,
        frame: &[u8],
        bounds: &Bounds<'_>,
        noise: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Vec<u8>, Lost> {
        if std::mem::replace(&mut self.lost, true) {
            return Err(Lost::Io(io::ErrorKind::BrokenPipe.into()));
        }
        let result = self.try_exchange(frame, bounds, noise).await;
        match &result {
            Ok(_) => self.lost = false,
            Err(_) => self.end().await,
        }
        self.rest(noise);
        result
    }

    async fn try_exchange(
        &mut self,
        mut frame: &[u8],
        bounds: &Bounds<'_>,
        noise: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Vec<u8>, Lost> {
        let mut watch = interval(WATCH);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = vec![0; CHUNK];
        let (mut speaks, mut replies) = (true, true);
        loop {
            if let Some(reply) = self.whole()? {
                return Ok(reply);
            }
            tokio::select! {
                // The limits first: one that never stops writing must not outrun them.
                biased;
                () = sleep_until(bounds.deadline) => return Err(Lost::Late),
                _ = watch.tick() => {
                    if let Some(over) = (bounds.over)(usage::of(self.root)) {
                        return Err(Lost::Over(over));
                    }
                }
                read = self.noise.read(&mut buffer), if speaks => match read {
                    Ok(count) if count > 0 => noise(&buffer[..count]),
                    _ => speaks = false,
                },
                read = self.replies.read_buf(&mut self.begun), if replies => {
                    replies = matches!(read, Ok(count) if count > 0);
                }
                wrote = self.requests.write(frame), if !frame.is_empty() => match wrote {
                    Ok(count) if count > 0 => frame = &frame[count..],
                    // It reads no more; how it ends says why.
                    _ => frame = &[],
                },
                status = self.child.wait() => return Err(Lost::Ended(status?)),
            }
        }
    }

    /// Takes a whole reply out of what was read.
    fn whole(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        let Some((length, _)) = self.begun.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > REPLY_MAX {
            return Err(Lost::Garbled);
        }
        if self.begun.len() < 4 + length {
            return Ok(None);
        }
        let rest = self.begun.split_off(4 + length);
        let reply = std::mem::replace(&mut self.begun, rest);
        Ok(Some(reply[4..].to_vec()))
    }

    /// Reads what it wrote before its reply. It is in the pipe already; whether tokio was told so yet is
    /// another question, so this asks the pipe.
    fn rest(&mut self, noise: &mut (dyn FnMut(&[u8]) + Send)) {
        let mut buffer = vec![0; CHUNK];
        // A pipe holds 64 KiB, or 1 MiB at most; what writes on and on is not waited for.
        for _ in 0..64 {
            match unistd::read(self.noise.as_fd(), &mut buffer) {
                Ok(count) if count > 0 => noise(&buffer[..count]),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that answers each request with itself, in the way of its script.
    fn resident(script: &str) -> Resident {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Resident::start(command).expect("a shell")
    }

    fn within(seconds: u64, over: &(dyn Fn(Usage) -> Option<String> + Sync)) -> Bounds<'_> {
        Bounds {
            deadline: Instant::now() + Duration::from_secs(seconds),
            over,
        }
    }

    fn enough(_: Usage) -> Option<String> {
        None
    }

    #[tokio::test]
    async fn it_is_asked_again_and_again_and_its_noise_comes_before_its_reply() {
        let mut cat = resident("echo begins >&2; exec cat");
        let mut said = Vec::new();
        let mut noise = |bytes: &[u8]| said.extend_from_slice(bytes);
        let large = vec![7; 300_000];
        for request in [b"one".as_slice(), b"", &large] {
            let reply = cat.ask(request, &within(60, &enough), &mut noise).await;
            assert_eq!(reply.expect("an echo"), request);
        }
        assert!(cat.is_well() && cat.usage().tasks >= 1);
        cat.end().await;
        assert!(!cat.is_well());
        assert!(
            cat.ask(b"x", &within(60, &enough), &mut noise)
                .await
                .is_err()
        );
        assert_eq!(said, b"begins\n");
    }

    #[tokio::test]
    async fn what_is_late_large_gone_or_no_reply_is_told_apart_and_ended() {
        let mut quiet = |_: &[u8]| {};
        let mut late = resident("sleep 600 & sleep 600");
        let lost = late.hear(&within(0, &enough), &mut quiet).await;
        assert!(matches!(lost, Err(Lost::Late)) && !late.is_well());

        let mut large = resident("sleep 600");
        let over = |usage: Usage| (usage.tasks > 0).then(|| "too many".to_owned());
        let lost = large.hear(&within(60, &over), &mut quiet).await;
        assert!(matches!(lost, Err(Lost::Over(why)) if why == "too many") && !large.is_well());

        let mut gone = resident("read line; echo bye >&2; exit 3");
        let mut said = Vec::new();
        let mut noise = |bytes: &[u8]| said.extend_from_slice(bytes);
        let lost = gone.ask(b"\n", &within(60, &enough), &mut noise).await;
        assert!(
            matches!(lost, Err(Lost::Ended(status)) if status.code() == Some(3)) && !gone.is_well()
        );
        assert_eq!(said, b"bye\n");

        let mut garbled = resident("echo What is this?; sleep 600");
        let lost = garbled.hear(&within(60, &enough), &mut quiet).await;
        assert!(matches!(lost, Err(Lost::Garbled)) && !garbled.is_well());
    }

    #[tokio::test]
    async fn who_does_not_wait_cannot_ask_again() {
        let mut cat = resident("exec sleep 600");
        let mut quiet = |_: &[u8]| {};
        let bounds = within(60, &enough);
        {
            let asking = cat.ask(b"one", &bounds, &mut quiet);
            tokio::pin!(asking);
            assert!(futures::poll!(asking.as_mut()).is_pending());
        }
        assert!(!cat.is_well());
    }
}
