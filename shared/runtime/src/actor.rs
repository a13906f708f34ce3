//! One aggregate's actor: the only one in this process that decides on it and commits it.
//!
//! In: items for its key. Out: one commit for all that waited, then `done` to each; work claimed in
//! that commit and done outside; deadlines kept. Other processes have actors for the same key: the
//! compare-and-set decides, and the loser loads and decides again.

mod batch;
mod work;

use std::{sync::Arc, time::Duration};

use ferry_bus::{Bus, BusError, CommitError};
use ferry_events::{Timestamp, subject};
use tokio::{
    sync::watch,
    task::JoinError,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::{
    Context, Decide, Done, Effects, Input, Key, Settings, Stored,
    jobs::{Jobs, Permit},
    registry::{Inbox, Item, Registry},
    round::{Again, Held, Pending, Round, pending},
    trace::Draft,
};
use work::{Begun, Running};

/// Inputs decided at once: what one batch can carry with a few events each.
const FOLD_MAX: usize = 64;
/// An actor without anything to do is forgotten after this long; its record stays on the bus.
const IDLE: Duration = Duration::from_secs(60);
/// After so many answers in a row that an event is stored, with a pause between them, the state is of another
/// moment: a cluster has found its leader by then.
const DUPLICATES_MAX: usize = 24;
/// For so long nothing follows from a report by what is remembered alone: what effects notice, they notice again.
const TRUSTED: Duration = Duration::from_secs(10);
/// Between two looks at a deadline that has passed but changed nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What all actors of a service share.
pub(crate) struct Shared<D: Decide, E> {
    pub decide: Arc<D>,
    pub effects: Arc<E>,
    pub bus: Arc<dyn Bus>,
    pub registry: Arc<Registry<D::Outcome>>,
    pub context: watch::Receiver<Arc<Context>>,
    pub jobs: Jobs,
    pub settings: Settings,
    pub worker: Uuid,
    pub drain: CancellationToken,
}

pub(crate) struct Actor<D: Decide, E: Effects<D>> {
    key: Key,
    shared: Arc<Shared<D, E>>,
    inbox: Inbox<D::Outcome>,
    held: Option<Held<D::State>>,
    running: Option<Running<D>>,
    timer_set: Option<Timestamp>,
    wake: Option<Instant>,
}

/// What woke the actor.
enum Woken<O> {
    Item(Option<Item<O>>),
    Finished(Result<Option<Done<O>>, JoinError>),
    Renew,
    Due,
    Idle,
    Drain,
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

impl<D: Decide, E: Effects<D>> Actor<D, E> {
    pub(crate) fn new(key: Key, shared: Arc<Shared<D, E>>, inbox: Inbox<D::Outcome>) -> Self {
        Self {
            key,
            shared,
            inbox,
            held: None,
            running: None,
            timer_set: None,
            wake: None,
        }
    }

    /// Goes on until nothing is to be done for a while, or the service drains.
    pub(crate) async fn run(mut self) {
        loop {
            match self.wait().await {
                Woken::Item(None) => return,
                Woken::Item(Some(item)) => self.take(item).await,
                Woken::Finished(result) => self.finished(result).await,
                Woken::Renew => self.settle(Vec::new(), None, None).await,
                Woken::Due => self.settle(vec![pending(Input::Due)], None, None).await,
                Woken::Idle => {
                    if self.shared.registry.retire(&self.key, &self.inbox) {
                        return;
                    }
                }
                Woken::Drain => {
                    self.hand_back().await;
                    if self.shared.registry.retire(&self.key, &self.inbox) {
                        return;
                    }
                }
            }
        }
    }

    async fn wait(&mut self) -> Woken<D::Outcome> {
        let draining = self.shared.drain.is_cancelled();
        let idle = Instant::now() + IDLE;
        // What has stopped may act on no deadline, and would find it past for ever.
        let acts = self.shared.settings.witness.stopped().is_none();
        let wake = self.wake.filter(|_| acts);
        let renew = self.running.as_ref().map(|running| running.renew_at);
        let renew = renew.filter(|_| acts);
        let busy = self.running.is_some();
        let finished = async {
            match &mut self.running {
                Some(running) => (&mut running.handle).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            item = self.inbox.recv() => Woken::Item(item),
            result = finished => Woken::Finished(result),
            () = at(renew) => Woken::Renew,
            () = at(wake) => Woken::Due,
            () = self.shared.drain.cancelled() => Woken::Drain,
            () = sleep_until(idle), if !busy && !draining => Woken::Idle,
        }
    }

    async fn take(&mut self, first: Item<D::Outcome>) {
        let mut inputs = Vec::new();
        let mut permit = None;
        let mut next = Some(first);
        while let Some(item) = next.take() {
            match item {
                Item::Input {
                    input,
                    cause,
                    heard,
                    done,
                } => inputs.push(Pending {
                    cause,
                    heard,
                    done,
                    ..pending(input)
                }),
                Item::Granted(granted) => permit = Some(granted),
                Item::Look => inputs.push(pending(Input::Due)),
            }
            if inputs.len() < FOLD_MAX {
                next = self.inbox.try_recv().ok();
            }
        }
        self.settle(inputs, permit, None).await;
    }

    /// Decides on all inputs, commits once, tells each, and begins the work that is now due.
    async fn settle(
        &mut self,
        inputs: Vec<Pending<D::Outcome>>,
        mut permit: Option<Permit>,
        again: Option<Again<D::Work>>,
    ) {
        let mut duplicates = 0;
        loop {
            if self.shared.settings.witness.stopped().is_some() {
                return;
            }
            // Another replica may have written since: what is in hand is the newest only where a commit,
            // or a read, says so.
            let remembered = self.held.is_some();
            let Some(held) = self.load().await else {
                return;
            };
            let context = self.shared.context.borrow().clone();
            let context = Context {
                now: self.shared.settings.clock.now(),
                ..(*context).clone()
            };
            let mut round = Round::new(&held);
            for pending in &inputs {
                round.decide(
                    &*self.shared.decide,
                    &self.key,
                    &context,
                    pending,
                    self.shared.worker,
                );
            }
            if let Some(again) = &again {
                round.again(
                    &*self.shared.decide,
                    &self.key,
                    again,
                    &context,
                    self.shared.worker,
                );
            }
            let mut begun = self.claim(&mut round, &held, &context, &mut permit);
            let Some(mut new) = round.result(&held) else {
                let reports = |one: &Pending<_>| matches!(one.input, Input::Report(_));
                let comes_again = inputs.iter().all(reports) && held.as_of.elapsed() < TRUSTED;
                if remembered && !inputs.is_empty() && !comes_again {
                    // "Nothing follows" is never committed, so no one would object: look again.
                    continue;
                }
                self.held = Some(held);
                round.tell(inputs);
                self.over(round.spans);
                self.after(&context, begun);
                return;
            };
            let expected = held.at;
            let payload = new.settle();
            let batch = self.batch(&new, payload, expected, &round, &context);
            let before = self.shared.settings.witness.highest();
            let early =
                begun.take_if(|begun| self.shared.decide.may_begin_early(&self.key, begun.work()));
            let is_early = early.is_some();
            if let Some(early) = early {
                self.begin(early, &context, None);
            }
            let committed = self.shared.bus.commit(batch).await;
            if committed.is_err() && is_early {
                self.running = None;
            }
            match committed {
                Ok(committed) => {
                    self.shared.settings.room.taken();
                    let sequence = committed.sequences[0];
                    if !self.shared.settings.witness.committed(before, sequence) {
                        return;
                    }
                    self.held = Some(Held::new(new, committed.sequences[0]));
                    round.tell(inputs);
                    self.over(round.spans);
                    self.after(&context, begun);
                    return;
                }
                Err(CommitError::Conflict) => debug!(key = %self.key, "someone else wrote first"),
                Err(CommitError::Duplicate) => {
                    duplicates += 1;
                    if duplicates > 1 && !self.rest().await {
                        return;
                    }
                    if duplicates > DUPLICATES_MAX {
                        // The state does not know of an event that the stream has: they are from
                        // different moments. Guessing would be worse than stopping, and what waits
                        // here is not at fault.
                        error!(key = %self.key, "an event is stored that the state does not know, so they are of different moments: this aggregate stops; see docs/operations.md#restoring");
                        self.shared.settings.witness.hold(self.key.as_str());
                        self.shared.drain.cancelled().await;
                        return;
                    }
                }
                Err(CommitError::Bus(error)) => {
                    if !self.pause(&error).await {
                        return;
                    }
                }
            }
        }
    }

    /// The record, from the bus where it is not in hand. None when the service drains meanwhile.
    async fn load(&mut self) -> Option<Held<D::State>> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        let subject = subject::state(self.shared.decide.service(), self.key.as_str());
        loop {
            match self.shared.bus.read(&subject).await {
                Ok(None) => {
                    return Some(Held::new(Stored::default(), 0));
                }
                Ok(Some(record)) => match serde_json::from_slice(&record.payload) {
                    Ok(stored) => {
                        return Some(Held::new(stored, record.sequence));
                    }
                    Err(error) => {
                        error!(key = %self.key, %error, "a state cannot be read; nothing is done with it");
                        if !self
                            .pause(&BusError::Damaged(format!("state {subject}")))
                            .await
                        {
                            return None;
                        }
                    }
                },
                Err(error) => {
                    if !self.pause(&error).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Spans are over: what they say is committed, or nothing follows from it.
    fn over(&self, spans: Vec<Draft>) {
        let settings = &self.shared.settings;
        settings.tracer.record(spans, settings.clock.exact());
    }

    /// After the commit: work begins, deadlines are set.
    fn after(&mut self, context: &Context, begun: Option<Begun<D>>) {
        if let Some(begun) = begun {
            let claimed_at = self.held.as_ref().map_or(0, |held| held.at);
            self.begin(begun, context, Some(claimed_at));
        }
        let Some(held) = &self.held else { return };
        let again = held.stored.retry.as_ref().map(|retry| retry.next_at);
        let deadline = self
            .shared
            .decide
            .wake_at(&held.stored.state)
            .into_iter()
            .chain(again.filter(|_| held.stored.claim.is_none()))
            .min();
        self.wake = deadline.map(|deadline| {
            let left = (deadline - context.now).to_std().unwrap_or_default();
            Instant::now() + if left.is_zero() { LOOK_AGAIN } else { left }
        });
        // A deadline and a claim's end also stand on the bus, so that another replica looks.
        let due = deadline
            .into_iter()
            .chain(held.stored.claim.as_ref().map(|claim| claim.until))
            .min();
        if let Some(due) = due.filter(|due| self.timer_set != Some(*due)) {
            self.timer_set = Some(due);
            let (bus, key, service) = (
                self.shared.bus.clone(),
                self.key.clone(),
                self.shared.decide.service(),
            );
            tokio::spawn(async move {
                if let Err(error) = bus.set_timer(service, key.as_str(), due).await {
                    warn!(%key, %error, "a deadline is not on the bus; the next sweep sees it");
                }
            });
        }
    }

    /// What is told to be stored may be on its way only, while a cluster looks for a leader. False when the
    /// service drains.
    async fn rest(&self) -> bool {
        tokio::select! {
            biased;
            () = self.shared.drain.cancelled() => false,
            () = tokio::time::sleep(self.shared.settings.bus_pause) => true,
        }
    }

    /// Waits before the bus is asked again. False when the service drains: then the inputs are given
    /// back, because whoever waits for them is told nothing.
    async fn pause(&self, error: &BusError) -> bool {
        warn!(key = %self.key, %error, "waiting for the bus");
        self.shared.settings.room.refused(error);
        self.rest().await
    }
}
