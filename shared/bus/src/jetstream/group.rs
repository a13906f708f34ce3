//! Group commit: batches that wait for the bus at the same time go to it as one.
//!
//! In: batches of many aggregates. Out: each one's own answer, as if it had gone alone. A stream stores one
//! batch after the other, each with its own write to the disk; a larger batch costs little more than a small
//! one (`docs/performance.md`). Nothing waits in order to be grouped.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinSet,
};

use super::{commit, link::Link};
use crate::{Batch, BusError, CommitError, Committed};

/// Groups under way at the same time: while one is stored, the next one is on its way.
const LANES: usize = 2;

/// The payloads of a group in bytes: what is large goes alone, and is not waited for by others.
const BYTES_MAX: usize = 512 * 1024;

type Answer = Result<Committed, CommitError>;

/// A batch, and who waits for its answer.
struct Waiting {
    batch: Batch,
    answer: oneshot::Sender<Answer>,
}

/// Takes batches to the bus, many at once where many wait.
pub(super) struct Groups {
    queue: mpsc::UnboundedSender<Waiting>,
    _lanes: JoinSet<()>,
}

impl Groups {
    pub(super) fn new(link: &Link) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(Queue {
            waiting,
            kept: None,
        }));
        let mut lanes = JoinSet::new();
        for _ in 0..LANES {
            lanes.spawn(lane(link.clone(), waiting.clone()));
        }
        Self {
            queue,
            _lanes: lanes,
        }
    }

    /// Stores a batch.
    pub(super) async fn commit(&self, batch: Batch) -> Answer {
        batch.check()?;
        let (answer, answered) = oneshot::channel();
        let closed = || BusError::Unavailable("the connection was closed".into());
        let waiting = Waiting { batch, answer };
        self.queue.send(waiting).map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

struct Queue {
    waiting: mpsc::UnboundedReceiver<Waiting>,
    /// What did not fit into the last group: it is the first of the next one.
    kept: Option<Waiting>,
}

impl Queue {
    /// All that waits now and fits together; waits for the first one. None: nobody can ask any more.
    async fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut room = Room::default();
        let mut group = Vec::new();
        let mut next = match self.kept.take() {
            Some(kept) => Some(kept),
            None => Some(self.waiting.recv().await?),
        };
        while let Some(waiting) = next {
            // Who waited has gone, and was told nothing: it need not be stored.
            if !waiting.answer.is_closed() {
                if !room.takes(&waiting.batch) && !group.is_empty() {
                    self.kept = Some(waiting);
                    break;
                }
                group.push(waiting);
            }
            next = self.waiting.try_recv().ok();
        }
        Some(group)
    }
}

/// What is left of a group's room.
#[derive(Default)]
struct Room {
    messages: usize,
    bytes: usize,
    /// Subjects that stand in the group already, and whether each must stand there once.
    subjects: BTreeSet<(String, bool)>,
}

impl Room {
    /// Whether a batch fits beside what is there; then it is counted.
    fn takes(&mut self, batch: &Batch) -> bool {
        let bytes: usize = batch.writes.iter().map(|write| write.payload.len()).sum();
        let clash = |write: &crate::Write| {
            let alone = write.is_alone();
            let stands = |alone| self.subjects.contains(&(write.subject.clone(), alone));
            stands(true) || alone && stands(false)
        };
        if self.messages + batch.writes.len() > Batch::MAX
            || self.bytes + bytes > BYTES_MAX
            || batch.writes.iter().any(clash)
        {
            return false;
        }
        self.messages += batch.writes.len();
        self.bytes += bytes;
        let subjects = batch.writes.iter();
        self.subjects
            .extend(subjects.map(|write| (write.subject.clone(), write.is_alone())));
        true
    }
}

async fn lane(link: Link, queue: Arc<Mutex<Queue>>) {
    loop {
        let group = queue.lock().await.next().await;
        let Some(group) = group else { return };
        store(&link, group).await;
    }
}

/// Stores a group, and tells each its part of the answer.
async fn store(link: &Link, mut group: Vec<Waiting>) {
    if group.len() > 1 {
        let writes = group
            .iter()
            .flat_map(|waiting| waiting.batch.writes.clone());
        match commit::commit(link, writes.collect::<Vec<_>>().into()).await {
            Ok(committed) => {
                let mut sequences = committed.sequences.into_iter();
                for Waiting { batch, answer } in group {
                    let own = sequences.by_ref().take(batch.writes.len()).collect();
                    answer.send(Ok(Committed { sequences: own })).ok();
                }
                return;
            }
            // It may be stored: nobody knows.
            Err(CommitError::Bus(BusError::Unavailable(text))) => {
                for waiting in group {
                    let unknown = BusError::Unavailable(text.clone());
                    waiting.answer.send(Err(unknown.into())).ok();
                }
                return;
            }
            // Nothing is stored. One of them is at fault, and the others are not.
            Err(error) => tracing::debug!(%error, batches = group.len(), "each goes alone"),
        }
    }
    let alone = group.drain(..).map(|Waiting { batch, answer }| async {
        answer.send(commit::commit(link, batch).await).ok();
    });
    futures::future::join_all(alone).await;
}
