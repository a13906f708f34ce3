//! One aggregate's actor: the only one in this process that decides on it and commits it.
//!
//! In: items for its key. Out: one commit for all that waited, then `done` to each; work claimed in
//! that commit and done outside; deadlines kept. Other processes have actors for the same key: the
//! compare-and-set decides, and the loser loads and decides again.

use std::{sync::Arc, time::Duration};

use ferry_bus::{Batch, Bus, BusError, CommitError, Write};
use ferry_events::{Event, EventId, Kind, Stop, Timestamp, ids, subject};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::{
    Claim, Context, Decide, Done, Effects, Input, Job, Key, Settings, Stored,
    jobs::{Jobs, Permit},
    registry::{Inbox, Item, Registry},
    round::{Again, Held, Pending, Round, mark, pending},
};

/// Inputs decided at once: what one batch can carry with a few events each.
const FOLD_MAX: usize = 64;
/// An actor without anything to do is forgotten after this long; its record stays on the bus.
const IDLE: Duration = Duration::from_secs(60);
/// Between two looks at a deadline that has passed but changed nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Work that took its worker down this often is given up.
const TRIES_MAX: u32 = 5;
/// Between two attempts at a disk that is full or broken: someone must act first.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// How long work that panicked is left alone.
const AFTER_PANIC: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

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

struct Running<D: Decide> {
    handle: JoinHandle<Option<Done<D::Outcome>>>,
    cancel: CancellationToken,
    number: u64,
    work: D::Work,
    renew_at: Instant,
    _permit: Permit,
}

impl<D: Decide> Drop for Running<D> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
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
    Finished(Result<Option<Done<O>>, tokio::task::JoinError>),
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
        let wake = self.wake;
        let renew = self.running.as_ref().map(|running| running.renew_at);
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
                Item::Input { input, cause, done } => inputs.push(Pending {
                    input,
                    cause,
                    done,
                    claim: None,
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

    async fn finished(&mut self, result: Result<Option<Done<D::Outcome>>, tokio::task::JoinError>) {
        let Some(running) = self.running.take() else {
            return;
        };
        let number = running.number;
        match result {
            Ok(Some(Done::Outcome(outcome))) => {
                let outcome = Pending {
                    input: Input::Outcome(outcome),
                    cause: None,
                    done: None,
                    claim: Some(number),
                };
                self.settle(vec![outcome], None, None).await;
            }
            Ok(Some(Done::Again(stop))) => {
                let again = Again {
                    work: running.work.clone(),
                    claim: number,
                    stop,
                };
                self.settle(Vec::new(), None, Some(again)).await;
            }
            Ok(None) => self.settle(Vec::new(), None, None).await,
            Err(error) => {
                error!(key = %self.key, %error, "work ended in a panic; it is tried again");
                self.leave_alone(number).await;
            }
        }
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
            let begun = self.claim(&mut round, &held, &context, &mut permit);
            let Some(new) = round.result(&held) else {
                if remembered && !inputs.is_empty() {
                    // "Nothing follows" is never committed, so no one would object: look again.
                    continue;
                }
                self.held = Some(held);
                round.tell(inputs);
                self.after(&context, begun);
                return;
            };
            let expected = held.at;
            let batch = self.batch(&new, expected, &round, &context);
            let before = self.shared.settings.witness.highest();
            match self.shared.bus.commit(batch).await {
                Ok(committed) => {
                    self.shared.settings.room.taken();
                    let sequence = committed.sequences[0];
                    if !self.shared.settings.witness.committed(before, sequence) {
                        return;
                    }
                    self.held = Some(Held {
                        stored: new,
                        at: committed.sequences[0],
                    });
                    round.tell(inputs);
                    self.after(&context, begun);
                    return;
                }
                Err(CommitError::Conflict) => debug!(key = %self.key, "someone else wrote first"),
                Err(CommitError::Duplicate) => {
                    duplicates += 1;
                    if duplicates > 3 {
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
                    return Some(Held {
                        stored: Stored::default(),
                        at: 0,
                    });
                }
                Ok(Some(record)) => match serde_json::from_slice(&record.payload) {
                    Ok(stored) => {
                        return Some(Held {
                            stored,
                            at: record.sequence,
                        });
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

    /// Waits before the bus is asked again. False when the service drains: then the inputs are given
    /// back, because whoever waits for them is told nothing.
    async fn pause(&self, error: &BusError) -> bool {
        warn!(key = %self.key, %error, "waiting for the bus");
        self.shared.settings.room.refused(error);
        tokio::select! {
            biased;
            () = self.shared.drain.cancelled() => false,
            () = tokio::time::sleep(self.shared.settings.bus_pause) => true,
        }
    }

    /// Puts the claim right for the round's new state: dropped, renewed, kept, or made.
    fn claim(
        &mut self,
        round: &mut Round<D::State>,
        held: &Held<D::State>,
        context: &Context,
        permit: &mut Option<Permit>,
    ) -> Option<Begun<D>> {
        let settings = &self.shared.settings;
        let until = context.now + settings.lease;
        let ours = |claim: &Claim| claim.by == self.shared.worker;
        let (mut before, mut begun) = (0, 0);
        let mut renew_at = None;
        let mut work = self.shared.decide.work(&self.key, &round.state);
        if let Some(claim) = round.claim.clone() {
            let running = self
                .running
                .as_ref()
                .filter(|r| ours(&claim) && r.number == claim.number);
            match running {
                Some(running) if Some(&running.work) == work.as_ref() => {
                    if Instant::now() >= running.renew_at {
                        round.claim = Some(Claim { until, ..claim });
                        renew_at = Some(Instant::now() + settings.lease / 3);
                    }
                    if let (Some(running), Some(renew_at)) = (&mut self.running, renew_at) {
                        running.renew_at = renew_at;
                    }
                    return None;
                }
                // Ours, but the state wants something else now.
                Some(_) => round.claim = None,
                None if !ours(&claim) && claim.until > context.now => {
                    self.running = None;
                    return None;
                }
                None => {
                    (before, begun) = (claim.tries, claim.begun.max(claim.tries));
                    round.claim = None;
                }
            }
        }
        self.running = None;
        if before >= TRIES_MAX {
            let input = pending(Input::GivenUp {
                tries: before,
                stop: None,
            });
            round.decide(
                &*self.shared.decide,
                &self.key,
                context,
                &input,
                self.shared.worker,
            );
            work = self.shared.decide.work(&self.key, &round.state);
            (before, begun) = (0, 0);
        }
        // A retry is of one piece of work; what comes after it begins afresh.
        if let Some(retry) = &round.retry {
            match &work {
                Some(work) if mark(work) == retry.of => {
                    if context.now < retry.next_at {
                        return None;
                    }
                    begun = begun.max(retry.begun);
                }
                _ => round.retry = None,
            }
        }
        let work = work?;
        if self.shared.drain.is_cancelled() {
            return None;
        }
        let slot = self.shared.decide.slot(&self.key, &work);
        let limit = self.shared.decide.limit(slot.pool, &context.config);
        let Some(permit) = permit
            .take()
            .or_else(|| self.shared.jobs.try_now(&slot, limit))
        else {
            self.shared.jobs.ask(slot, self.key.clone(), limit);
            return None;
        };
        round.claims = held.stored.claims + 1;
        let claim = Claim {
            by: self.shared.worker,
            until,
            tries: before + 1,
            begun: begun + 1,
            number: round.claims,
        };
        round.claim = Some(claim.clone());
        Some(Begun {
            work,
            claim,
            failed: round.retry.as_ref().map(|retry| retry.stop.clone()),
            permit,
        })
    }

    fn batch(
        &self,
        new: &Stored<D::State>,
        expected: u64,
        round: &Round<D::State>,
        context: &Context,
    ) -> Batch {
        let service = self.shared.decide.service();
        let payload = serde_json::to_vec(new).expect("a state is always JSON");
        let keep = self.shared.decide.keep(&new.state);
        let mut writes = vec![Write::state(
            subject::state(service, self.key.as_str()),
            payload,
            expected,
            keep,
        )];
        for (subject, value) in &round.facts {
            writes.push(Write::fact(subject.clone(), value.to_string().into_bytes()));
        }
        for (index, (say, cause)) in round.events.iter().enumerate() {
            let kind = say.body.kind().short_name();
            writes.push(Write::event(&Event {
                id: EventId::of(
                    service.name(),
                    self.key.as_str(),
                    new.sequence,
                    &kind,
                    index,
                ),
                source: service,
                time: context.now,
                scope: say.scope.clone(),
                cause: *cause,
                body: say.body.clone(),
            }));
        }
        for (index, say) in round.retried.iter().enumerate() {
            // A retry is no transition: the claim that failed tells its events from others.
            let (claim, index) = (round.failed.to_string(), index.to_string());
            let id = ids::derive(
                Kind::WorkRetried.subject(),
                &[service.name(), self.key.as_str(), &claim, &index],
            );
            writes.push(Write::event(&Event {
                id: EventId(id),
                source: service,
                time: context.now,
                scope: say.scope.clone(),
                cause: None,
                body: say.body.clone(),
            }));
        }
        writes.into()
    }

    /// After the commit: work begins, deadlines are set.
    fn after(&mut self, context: &Context, begun: Option<Begun<D>>) {
        if let Some(Begun {
            work,
            claim,
            failed,
            permit,
        }) = begun
        {
            let cancel = CancellationToken::new();
            let job = Job {
                key: self.key.clone(),
                work: work.clone(),
                attempt: claim.begun,
                failed,
                config: context.config.clone(),
                cancel: cancel.clone(),
            };
            let effects = self.shared.effects.clone();
            let stop = cancel.clone();
            let witness = self.shared.settings.witness.clone();
            let (settings, key) = (self.shared.settings.clone(), self.key.clone());
            let claimed_at = self.held.as_ref().map_or(0, |held| held.at);
            let done = async move {
                // Nothing is done in the world that a restored stream could forget unnoticed.
                while let Err(error) = settings.witness.cover(claimed_at).await {
                    error!(%key, %error, "work waits for this service's disk");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
                effects.perform(job).await
            };
            let handle = tokio::spawn(async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => None,
                    // Not even what is begun is brought to an end.
                    _ = witness.stop() => None,
                    outcome = done => Some(outcome),
                }
            });
            let renew_at = Instant::now() + self.shared.settings.lease / 3;
            self.running = Some(Running {
                handle,
                cancel,
                number: claim.number,
                work,
                renew_at,
                _permit: permit,
            });
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

    /// After a panic: the claim is nobody's, and stands for a while.
    async fn leave_alone(&mut self, number: u64) {
        loop {
            let Some(mut held) = self.load().await else {
                return;
            };
            match &mut held.stored.claim {
                Some(claim) if claim.number == number => {
                    claim.by = Uuid::nil();
                    claim.until = self.shared.settings.clock.now() + AFTER_PANIC;
                    self.wake = Some(Instant::now() + AFTER_PANIC.to_std().unwrap_or_default());
                }
                _ => {
                    self.held = Some(held);
                    return;
                }
            }
            if self.store(held).await {
                return;
            }
        }
    }

    /// Draining: the work gets a little time to end, then the claim is given back for the next replica.
    async fn hand_back(&mut self) {
        self.wake = None;
        let Some(mut running) = self.running.take() else {
            return;
        };
        let ended =
            tokio::time::timeout(self.shared.settings.drain_work, &mut running.handle).await;
        if let Ok(result) = ended {
            self.running = Some(running);
            return self.finished(result).await;
        }
        running.cancel.cancel();
        let number = running.number;
        if self.shared.settings.witness.stopped().is_some() {
            return;
        }
        loop {
            let Some(mut held) = self.load().await else {
                return;
            };
            if held
                .stored
                .claim
                .as_ref()
                .is_none_or(|claim| claim.number != number)
            {
                return;
            }
            // Neither is the count lost, nor does a drain count as a worker that died.
            if let Some(claim) = &mut held.stored.claim {
                claim.by = Uuid::nil();
                claim.until = self.shared.settings.clock.now();
                claim.tries = claim.tries.saturating_sub(1);
            }
            if self.store(held).await {
                let (service, key) = (self.shared.decide.service(), self.key.as_str());
                if let Err(error) = self
                    .shared
                    .bus
                    .set_timer(service, key, self.shared.settings.clock.now())
                    .await
                {
                    warn!(%key, %error, "work is handed back, but nobody is told; the next sweep sees it");
                }
                return;
            }
        }
    }

    /// Stores a record whose claim alone changed. False: load it again.
    async fn store(&mut self, held: Held<D::State>) -> bool {
        let service = self.shared.decide.service();
        let payload = serde_json::to_vec(&held.stored).expect("a state is always JSON");
        let keep = self.shared.decide.keep(&held.stored.state);
        let write = Write::state(
            subject::state(service, self.key.as_str()),
            payload,
            held.at,
            keep,
        );
        match self.shared.bus.commit(vec![write].into()).await {
            Ok(committed) => {
                self.held = Some(Held {
                    stored: held.stored,
                    at: committed.sequences[0],
                });
                true
            }
            Err(CommitError::Bus(error)) => !self.pause(&error).await,
            Err(_) => false,
        }
    }
}

struct Begun<D: Decide> {
    work: D::Work,
    claim: Claim,
    /// Why the attempt before failed.
    failed: Option<Stop>,
    permit: Permit,
}
