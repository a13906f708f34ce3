//! A build's log on its way to the bus: to every run that waits for the build.
//!
//! In: numbered lines. Out: lines on the bus, while they are written. The bus may be slow or silent;
//! the build never waits for it.

use std::{collections::BTreeSet, time::Duration};

use ferry_bus::{BusError, LogLine};
use ferry_events::{RunId, Service, subject};
use ferry_runtime::{Hands, Key, Stored};
use futures::{StreamExt, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::decide::State;

/// How often the record is looked at for runs that joined.
const LOOK: Duration = Duration::from_secs(1);
/// Between two tries at a silent bus.
const PAUSE: Duration = Duration::from_millis(250);
/// Lines under way at a time.
const AHEAD: usize = 32;
/// How long the end of a log may take when the build is over.
const FLUSH: Duration = Duration::from_secs(10);

/// The writing end.
pub struct LogWriter {
    lines: mpsc::UnboundedSender<LogLine>,
    task: AbortOnDropHandle<()>,
}

struct Writer {
    hands: Hands,
    key: Key,
    /// All lines so far, for a run that joins. The log's own limit bounds them.
    lines: Vec<LogLine>,
    runs: BTreeSet<RunId>,
}

impl LogWriter {
    /// Begins the log of a build for its first run, and those that the record names.
    pub fn start(hands: Hands, key: Key, first: RunId) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let writer = Writer {
            hands,
            key,
            lines: Vec::new(),
            runs: BTreeSet::from([first]),
        };
        Self {
            lines: sender,
            task: AbortOnDropHandle::new(tokio::spawn(writer.run(receiver))),
        }
    }

    /// Writes a line; it does not wait.
    pub fn write(&self, (number, text): (u64, String)) {
        // The writer ends only after this.
        let _ = self.lines.send(LogLine { number, text });
    }

    /// Waits until the bus has all of it, or the time for that is over.
    pub async fn finish(self) {
        drop(self.lines);
        if timeout_at(Instant::now() + FLUSH, self.task).await.is_err() {
            warn!("the end of a build's log could not be written in time");
        }
    }
}

impl Writer {
    async fn run(mut self, mut receiver: mpsc::UnboundedReceiver<LogLine>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut some = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = look.tick() => self.joined().await,
                count = receiver.recv_many(&mut some, AHEAD) => {
                    if count == 0 {
                        return self.joined().await;
                    }
                    self.lines.append(&mut some);
                    let from = self.lines.len() - count;
                    self.write(self.runs.iter().copied().collect(), from).await;
                }
            }
        }
    }

    /// Gives runs that joined the log from its beginning.
    async fn joined(&mut self) {
        let subject = subject::state(Service::Builder, self.key.as_str());
        let Ok(Some(record)) = self.hands.read(&subject).await else {
            return;
        };
        let Ok(stored) = serde_json::from_slice::<Stored<State>>(&record.payload) else {
            return;
        };
        let State::Build(build) = stored.state else {
            return;
        };
        let new: Vec<RunId> = build
            .waiting
            .into_iter()
            .filter(|run| self.runs.insert(*run))
            .collect();
        if !new.is_empty() {
            self.write(new, 0).await;
        }
    }

    async fn write(&self, runs: Vec<RunId>, from: usize) {
        let mut all = Vec::new();
        for run in runs {
            all.extend(
                self.lines[from..]
                    .iter()
                    .map(|line| self.write_one(run, line.clone())),
            );
        }
        let writes = stream::iter(all);
        writes
            .buffered(AHEAD)
            .for_each(|()| std::future::ready(()))
            .await;
    }

    async fn write_one(&self, run: RunId, line: LogLine) {
        loop {
            match self.hands.log(run, line.clone()).await {
                Ok(()) => return,
                Err(BusError::Unavailable(_)) => sleep(PAUSE).await,
                Err(error) => return warn!(%run, %error, "a line of a build's log is lost"),
            }
        }
    }
}
