//! One pass over all that waits for an aggregate: pure, from one loaded record.
//!
//! In: a record, inputs, an attempt that failed. Out: the record to commit, with what is said; and a
//! result for each input. The actor claims and commits.

use ferry_events::{Body, Digest, EventId, Stop, work::Retried};
use tokio::{sync::oneshot, time::Instant};
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::{Claim, Context, Decide, Decision, Fault, Input, Key, Retry, Say, Stored};

type Told = oneshot::Sender<Result<(), Fault>>;

pub(crate) struct Pending<O> {
    pub input: Input<O>,
    pub cause: Option<EventId>,
    pub done: Option<Told>,
    /// For outcomes: the claim under which the work was done.
    pub claim: Option<u64>,
}

/// An attempt that failed for a cause that may pass.
pub(crate) struct Again<W> {
    pub work: W,
    /// The claim under which it was done.
    pub claim: u64,
    pub stop: Stop,
}

pub(crate) struct Held<S> {
    pub stored: Stored<S>,
    /// The record's sequence in the stream; 0: there is none yet.
    pub at: u64,
    /// When the bus said that it is the newest.
    pub as_of: Instant,
}

impl<S> Held<S> {
    /// The newest record, as the bus just said.
    pub fn new(stored: Stored<S>, at: u64) -> Self {
        Self {
            stored,
            at,
            as_of: Instant::now(),
        }
    }
}

pub(crate) fn pending<O>(input: Input<O>) -> Pending<O> {
    Pending {
        input,
        cause: None,
        done: None,
        claim: None,
    }
}

/// Names a piece of work, so that a retry is told from one of other work.
pub(crate) fn mark<W: std::fmt::Debug>(work: &W) -> String {
    Digest::of(format!("{work:?}").as_bytes())
        .short()
        .to_owned()
}

/// One pass over all inputs, from one loaded record.
pub(crate) struct Round<S> {
    pub state: S,
    pub claim: Option<Claim>,
    pub claims: u64,
    pub retry: Option<Retry>,
    /// What is said of a retry, and the claim that failed.
    pub retried: Vec<Say>,
    pub failed: u64,
    pub events: Vec<(Say, Option<EventId>)>,
    pub facts: Vec<(String, serde_json::Value)>,
    pub results: Vec<Result<(), Fault>>,
}

impl<S: Clone + PartialEq> Round<S> {
    pub(crate) fn new(held: &Held<S>) -> Self {
        Self {
            state: held.stored.state.clone(),
            claim: held.stored.claim.clone(),
            claims: held.stored.claims,
            retry: held.stored.retry.clone(),
            retried: Vec::new(),
            failed: 0,
            events: Vec::new(),
            facts: Vec::new(),
            results: Vec::new(),
        }
    }

    pub(crate) fn decide<D: Decide<State = S>>(
        &mut self,
        decide: &D,
        key: &Key,
        context: &Context,
        pending: &Pending<D::Outcome>,
        worker: Uuid,
    ) {
        if let Some(number) = pending.claim {
            let valid = self
                .claim
                .as_ref()
                .is_some_and(|claim| claim.by == worker && claim.number == number);
            if !valid {
                debug!(%key, "an outcome came after its claim was lost: the first result wins");
                return self.results.push(Ok(()));
            }
            self.claim = None;
            self.retry = None;
        }
        // A decision holds nothing that a panic could leave half done, and those beside it must not
        // fail with it.
        let deciding = || decide.decide(key, &self.state, &pending.input, context);
        let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(deciding));
        match decided.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(Decision {
                state,
                events,
                facts,
            }) => {
                self.state = state;
                self.events
                    .extend(events.into_iter().map(|say| (say, pending.cause)));
                for (subject, value) in facts {
                    self.facts.retain(|(earlier, _)| *earlier != subject);
                    self.facts.push((subject, value));
                }
                self.results.push(Ok(()));
            }
            Err(fault) => {
                error!(%key, %fault, input = ?pending.input, "a fault of ours");
                self.results.push(Err(fault));
            }
        }
    }

    /// An attempt failed for a cause that may pass: the next one gets its time, or it is given up.
    pub(crate) fn again<D: Decide<State = S>>(
        &mut self,
        decide: &D,
        key: &Key,
        again: &Again<D::Work>,
        context: &Context,
        worker: Uuid,
    ) {
        let Some(claim) = self
            .claim
            .take_if(|claim| claim.by == worker && claim.number == again.claim)
        else {
            return debug!(%key, "an attempt failed after its claim was lost");
        };
        if decide.work(key, &self.state).as_ref() != Some(&again.work) {
            self.retry = None;
            return;
        }
        let of = mark(&again.work);
        let before = self.retry.take().filter(|retry| retry.of == of);
        let tries = before.as_ref().map_or(0, |retry| retry.tries) + 1;
        let first_at = before.map_or(context.now, |retry| retry.first_at);
        let since = (context.now - first_at).to_std().unwrap_or_default();
        let policy = decide.patience(key, &again.work);
        let name = format!("{}/{key}", decide.service());
        let Some(pause) = policy.pause_after(&name, tries, since) else {
            warn!(%key, tries, stop = %again.stop, "given up");
            let detail = format!("{} (tried {tries} times)", again.stop.detail);
            let stop = Stop {
                base: again.stop.base.clone(),
                ..Stop::new(again.stop.reason, detail)
            };
            let stop = Some(stop);
            let input = pending(Input::GivenUp { tries, stop });
            return self.decide(decide, key, context, &input, worker);
        };
        let retry = Retry {
            of,
            tries,
            begun: claim.begun,
            first_at,
            next_at: context.now
                + chrono::TimeDelta::from_std(pause).unwrap_or(chrono::TimeDelta::MAX),
            stop: again.stop.clone(),
        };
        warn!(%key, tries, next_at = %retry.next_at, stop = %again.stop, "tried again later");
        let concerns = decide.concerns(key, &self.state, &context.config);
        let retried = concerns.into_iter().map(|concern| Say {
            body: Body::from(Retried {
                service: decide.service(),
                work: key.to_string(),
                what: concern.what.to_owned(),
                push: concern.push,
                command: concern.command,
                run: concern.run,
                module: concern.scope.module.clone(),
                tries,
                most: policy.tries,
                first_at,
                next_at: retry.next_at,
                stop: retry.stop.clone(),
            }),
            scope: concern.scope,
        });
        self.retried = retried.collect();
        self.failed = claim.number;
        self.retry = Some(retry);
    }

    /// The record to commit; none where nothing changed.
    pub(crate) fn result(&self, held: &Held<S>) -> Option<Stored<S>> {
        let moved =
            self.state != held.stored.state || !self.events.is_empty() || !self.facts.is_empty();
        if !moved && self.claim == held.stored.claim && self.retry == held.stored.retry {
            return None;
        }
        Some(Stored {
            sequence: held.stored.sequence + u64::from(moved),
            claims: self.claims,
            claim: self.claim.clone(),
            retry: self.retry.clone(),
            state: self.state.clone(),
        })
    }

    pub(crate) fn tell<O>(&mut self, inputs: Vec<Pending<O>>) {
        for (pending, result) in inputs.into_iter().zip(self.results.drain(..)) {
            if let Some(done) = pending.done {
                // Whoever asked may be gone; then there is nobody to tell.
                let _ = done.send(result);
            }
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Fault {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault(format!(
        "the decision panicked: {}",
        said.unwrap_or("it did not say why")
    ))
}
