//! Work of one aggregate: claimed in the commit that asks for it, done outside, renewed, and given back.
//!
//! In: a round's new state; how work ended. Out: the claim to commit with it; work that runs; a record
//! whose claim alone changed.

use std::{sync::Arc, time::Duration};

use ferry_bus::{CommitError, Write};
use ferry_events::{Stop, Timestamp, subject};
use tokio::{
    task::{JoinError, JoinHandle},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};
use uuid::Uuid;

use super::Actor;
use crate::{
    Claim, Context, Decide, Done, Effects, Input, Job,
    jobs::Permit,
    round::{Again, Held, Pending, Round, mark, pending},
    trace::{Doing, Draft, Ended, SaidOf},
};

/// Work that took its worker down this often is given up.
const TRIES_MAX: u32 = 5;
/// Between two attempts at a disk that is full or broken: someone must act first.
const DISK_PAUSE: Duration = Duration::from_secs(1);
/// How long work that panicked is left alone.
const AFTER_PANIC: chrono::TimeDelta = chrono::TimeDelta::seconds(2);

/// Work that goes on here.
pub(super) struct Running<D: Decide> {
    pub(super) handle: JoinHandle<Option<Done<D::Outcome>>>,
    cancel: CancellationToken,
    number: u64,
    work: D::Work,
    /// Where it is in a trace.
    doing: Option<Arc<Doing>>,
    pub(super) renew_at: Instant,
    _permit: Permit,
}

impl<D: Decide> Drop for Running<D> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Work whose claim is about to be committed.
pub(super) struct Begun<D: Decide> {
    work: D::Work,
    claim: Claim,
    /// Why the attempt before failed.
    failed: Option<Stop>,
    doing: Option<Arc<Doing>>,
    permit: Permit,
}

impl<D: Decide> Begun<D> {
    /// What is to be done.
    pub(super) fn work(&self) -> &D::Work {
        &self.work
    }
}

impl<D: Decide, E: Effects<D>> Actor<D, E> {
    /// Puts the claim right for the round's new state: dropped, renewed, kept, or made.
    pub(super) fn claim(
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
        let decide = &self.shared.decide;
        let concerns = decide.concerns(&self.key, &round.state, &context.config);
        let service = decide.service();
        let doing = Doing::of(
            service,
            &self.key,
            &claim,
            concerns,
            &round.traces,
            self.shared.settings.clock.exact(),
        );
        Some(Begun {
            work,
            claim,
            doing: doing.map(Arc::new),
            failed: round.retry.as_ref().map(|retry| retry.stop.clone()),
            permit,
        })
    }

    /// Begins work whose claim was committed, under which sequence; none: it is being committed, and the work
    /// may begin early.
    pub(super) fn begin(&mut self, begun: Begun<D>, context: &Context, claimed_at: Option<u64>) {
        let Begun {
            work,
            claim,
            failed,
            doing,
            permit,
        } = begun;
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
        let done = async move {
            // Nothing is done in the world that a restored stream could forget unnoticed.
            while let Some(claimed_at) = claimed_at
                && let Err(error) = settings.witness.cover(claimed_at).await
            {
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
            doing,
            renew_at,
            _permit: permit,
        });
    }

    /// Work ended: its outcome is an input, a failure that may pass is tried again.
    pub(super) async fn finished(&mut self, result: Result<Option<Done<D::Outcome>>, JoinError>) {
        let Some(running) = self.running.take() else {
            return;
        };
        let number = running.number;
        let at = self.shared.settings.clock.exact();
        let span = running.doing.clone().map(|doing| (doing, at));
        match result {
            Ok(Some(Done::Outcome(outcome))) => {
                let outcome = Pending {
                    claim: Some(number),
                    work: span,
                    ..pending(Input::Outcome(outcome))
                };
                self.settle(vec![outcome], None, None).await;
            }
            Ok(Some(Done::Again(stop))) => {
                let again = Again {
                    work: running.work.clone(),
                    claim: number,
                    stop,
                    span,
                };
                self.settle(Vec::new(), None, Some(again)).await;
            }
            Ok(None) => {
                self.worked(span, Ended::Cancelled);
                self.settle(Vec::new(), None, None).await;
            }
            Err(error) => {
                error!(key = %self.key, %error, "work ended in a panic; it is tried again");
                self.worked(span, Ended::Panicked);
                self.leave_alone(number).await;
            }
        }
    }

    /// Work is over from which nothing follows.
    fn worked(&self, work: Option<(Arc<Doing>, Timestamp)>, ended: Ended) {
        let span = Draft::work(work, ended, SaidOf::default());
        self.over(span.into_iter().collect());
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
    pub(super) async fn hand_back(&mut self) {
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
        let now = self.shared.settings.clock.exact();
        self.worked(
            running.doing.take().map(|doing| (doing, now)),
            Ended::Cancelled,
        );
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
    async fn store(&mut self, mut held: Held<D::State>) -> bool {
        let service = self.shared.decide.service();
        let payload = held.stored.settle();
        let keep = self.shared.decide.keep(&held.stored.state);
        let write = Write::state(
            subject::state(service, self.key.as_str()),
            payload,
            held.at,
            keep,
        );
        match self.shared.bus.commit(vec![write].into()).await {
            Ok(committed) => {
                self.held = Some(Held::new(held.stored, committed.sequences[0]));
                true
            }
            Err(CommitError::Bus(error)) => !self.pause(&error).await,
            Err(_) => false,
        }
    }
}
