//! What events and facts add up to: pushes, runs, bases, live versions, pauses, commands.
//!
//! In: events and facts in the order of the stream. Out: the views of the API. Pure and
//! rebuilt from the stream at every start, so nothing here is the only copy.

mod bases;
mod dead;
mod line;
mod live;
mod runs;

use std::collections::{BTreeMap, VecDeque};

use ferry_api::{
    CommandState, CommandView, LineView, PushState, PushView, RunView, Standing, Stretch,
};
use ferry_config::Config;
use ferry_events::fact::Wanted;
use ferry_events::{Body, CommandId, Event, PushId, Timestamp, command, push};

pub use dead::{FoundLetter, Held, Letters};
pub use line::Line;
pub use live::Record;
pub use runs::Found;

use bases::Bases;
use live::Live;
use runs::Runs;

/// So many pushes, runs and commands are held each; the oldest go first. A run
/// takes a few KiB, so this is well under 100 MB; the stream still has them all.
const KEPT: usize = 10_000;

/// Everything that the API shows.
#[derive(Debug, Default)]
pub struct Views {
    head: u64,
    pushes: Kept<PushId, PushView>,
    commands: Kept<CommandId, CommandView>,
    runs: Runs,
    bases: Bases,
    live: Live,
    line: Line,
    letters: Letters,
}

impl Views {
    /// The sequence of the last event that went in; 0 before the first.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Takes the next event of the stream. One that was taken before is left.
    pub fn apply(&mut self, sequence: u64, event: &Event) {
        if sequence <= self.head {
            return;
        }
        self.head = sequence;
        match &event.body {
            Body::PushReceived(it) => self.pushes.put(it.push, received(it, PushState::Received)),
            Body::PushResolved(it) => self.resolved(it),
            Body::CommandSettled(it) => self.settled(it, event.time),
            Body::LineChanged(it) => self.line.apply(it),
            Body::WorkRetried(it) => {
                if let Some(push) = it.push.and_then(|push| self.pushes.get_mut(&push)) {
                    push.retry = Some(it.as_ref().into());
                }
            }
            _ => {}
        }
        let received_at = match &event.body {
            Body::ChangeMerged(it) => it
                .push
                .and_then(|id| self.pushes.get(&id))
                .map(|push| push.received_at),
            _ => None,
        };
        self.runs.apply(event, received_at);
        self.live.apply(sequence, event);
        self.bases.apply(event);
        self.letters.apply(event);
    }

    /// Takes a message of FERRY_DEAD. False: it cannot be read.
    pub fn letter(&mut self, subject: &str, place: u64, payload: &[u8], at: Timestamp) -> bool {
        self.letters.take(subject, place, payload, at)
    }

    /// The dead letters.
    pub fn letters(&self) -> &Letters {
        &self.letters
    }

    /// Takes what the scheduler keeps on what bases should run.
    pub fn wants(&mut self, sequence: u64, wanted: Wanted) {
        if sequence > self.head {
            self.head = sequence;
            self.bases.wants(wanted);
        }
    }

    /// Skips a message that this version cannot read.
    pub fn skip(&mut self, sequence: u64) {
        self.head = self.head.max(sequence);
    }

    /// Takes what was kept of what is live; events that come in count more.
    pub fn recall(&mut self, record: Record) {
        self.live.recall(record);
    }

    /// What is live, to be kept.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.live.records()
    }

    /// Takes what was kept of what is paused; events that come in count more.
    pub fn recall_line(&mut self, kept: Line) {
        self.line.recall(kept);
    }

    /// What is paused, to be kept.
    pub fn line_record(&self) -> &Line {
        &self.line
    }

    /// What is paused, and what the runs that `seen` lets through wait for.
    pub fn line(&self, seen: impl Fn(&RunView) -> bool) -> LineView {
        LineView {
            paused: self.standing().cloned().collect(),
            waiting: self.runs.waiting(seen),
        }
    }

    /// The pauses, without those of runs that are over.
    fn standing(&self) -> impl Iterator<Item = &Standing> {
        self.line.standing.iter().filter(|one| match &one.stretch {
            Stretch::Run { run, .. } => {
                let known = self.runs.get(*run);
                known.is_none_or(|run| !run.summary.state.is_over())
            }
            _ => true,
        })
    }

    /// A run with the pauses that concern it.
    pub fn whole(&self, run: &RunView) -> RunView {
        let mut whole = run.clone();
        if !run.summary.state.is_over() {
            let concerns = |one: &&Standing| bites(&one.stretch, run);
            whole.paused = self.standing().filter(concerns).cloned().collect();
        }
        whole
    }

    /// A push.
    pub fn push(&self, id: PushId) -> Option<&PushView> {
        self.pushes.get(&id)
    }

    /// A command that was settled.
    pub fn command(&self, id: CommandId) -> Option<&CommandView> {
        self.commands.get(&id)
    }

    /// The runs.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The configuration's bases, as they were last seen.
    pub fn bases(&self, config: &Config) -> Vec<ferry_api::BaseView> {
        let mut bases = self.bases.views(config);
        for base in &mut bases {
            base.held = self.line.hold(&base.name).cloned();
        }
        bases
    }

    /// The configuration's module, and what is live of it.
    pub fn module(&self, config: &Config, name: &str) -> Option<ferry_api::ModuleView> {
        self.live.view(config, name)
    }

    fn resolved(&mut self, it: &push::Resolved) {
        let Some(view) = self.pushes.get_mut(&it.push) else {
            return;
        };
        view.state = PushState::Resolved;
        view.resolution = Some(it.resolution.clone());
        view.why = Some(it.why.clone());
        view.runs = it.runs.clone();
        view.retry = None;
        view.stop = it.stop.as_ref().map(Into::into);
    }

    fn settled(&mut self, it: &command::Settled, at: Timestamp) {
        let state = if it.stop.is_some() {
            CommandState::Refused
        } else {
            CommandState::Taken
        };
        let view = CommandView {
            id: it.command,
            state,
            actor: it.actor.clone(),
            module: it.module.clone(),
            settled_at: Some(at),
            run: it.run,
            stop: it.stop.as_ref().map(Into::into),
        };
        self.commands.put(it.command, view);
    }
}

/// Whether a pause concerns a run in an environment that it has still to go through.
fn bites(stretch: &Stretch, run: &RunView) -> bool {
    let module = run.summary.module.as_str();
    let ahead = |name: &str| stretch.covers(module, name);
    let mut left = run.environments.iter().filter(|it| !it.state.is_over());
    // A base that is held bites the plan, which names it.
    stretch.covers_run(run.summary.id)
        && (left.any(|it| ahead(&it.name)) || run.environments.is_empty() && ahead(""))
}

/// A push of which no more is known than that it came.
pub fn received(it: &push::Received, state: PushState) -> PushView {
    PushView {
        id: it.push,
        state,
        forge: it.forge.clone(),
        repository: it.repository.clone(),
        branch: it.branch.clone(),
        before: it.before.clone(),
        after: it.after.clone(),
        forced: it.forced,
        author: it.author.clone(),
        message: it.message.clone(),
        received_at: it.received_at,
        resolution: None,
        why: None,
        runs: Vec::new(),
        stop: None,
        retry: None,
    }
}

/// A map that forgets what was put in first.
#[derive(Debug)]
struct Kept<K, V> {
    all: BTreeMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Ord + Clone, V> Kept<K, V> {
    fn put(&mut self, key: K, value: V) {
        if self.all.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
            if self.order.len() > KEPT
                && let Some(oldest) = self.order.pop_front()
            {
                self.all.remove(&oldest);
            }
        }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.all.get(key)
    }

    fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.all.get_mut(key)
    }

    /// The newest first.
    fn newest(&self) -> impl Iterator<Item = &V> {
        self.order.iter().rev().filter_map(|key| self.all.get(key))
    }
}
