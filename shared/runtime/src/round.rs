//! One pass over all that waits for an aggregate: pure, from one loaded record.
//!
//! In: a record, inputs, an attempt that failed. Out: the record to commit, with what is said; and a
//! result for each input. The actor claims and commits.

use std::sync::Arc;

use ferry_events::{Body, Digest, EventId, Stop, Timestamp, Traceparent, work::Retried};
use tokio::{sync::oneshot, time::Instant};
use tracing::{debug, error, warn};
use uuid::Uuid;

use crate::{
    Claim, Context, Decide, Decision, Fault, Input, Key, Retry, Say, Stored, Traces,
    trace::{Doing, Draft, Ended, Heard, Here, Place, SaidOf},
};

type Told = oneshot::Sender<Result<(), Fault>>;

pub(crate) struct Pending<O> {
    pub input: Input<O>,
    pub cause: Option<EventId>,
    /// For messages: how it came.
    pub heard: Option<Arc<Heard>>,
    pub done: Option<Told>,
    /// For outcomes: the claim under which the work was done.
    pub claim: Option<u64>,
    /// For what came of work that is in a trace: the work, and when it ended.
    pub work: Option<(Arc<Doing>, Timestamp)>,
}

/// Something that is said, and where it stands.
pub(crate) struct Said {
    pub say: Say,
    pub cause: Option<EventId>,
    pub trace: Option<Traceparent>,
}

/// An attempt that failed for a cause that may pass.
pub(crate) struct Again<W> {
    pub work: W,
    /// The claim under which it was done.
    pub claim: u64,
    pub stop: Stop,
    /// The work, where it is in a trace, and when it ended.
    pub span: Option<(Arc<Doing>, Timestamp)>,
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
        heard: None,
        done: None,
        claim: None,
        work: None,
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
    pub retried: Vec<Said>,
    pub failed: u64,
    pub events: Vec<Said>,
    pub facts: Vec<(String, serde_json::Value)>,
    pub results: Vec<Result<(), Fault>>,
    pub traces: Traces,
    /// Spans that are over once this is committed.
    pub spans: Vec<Draft>,
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
            traces: held.stored.traces.clone(),
            spans: Vec::new(),
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
                self.worked(&pending.work, Ended::Late, SaidOf::default());
                return self.results.push(Ok(()));
            }
            self.claim = None;
            self.retry = None;
        }
        // A decision holds nothing that a panic could leave half done, and those beside it must not
        // fail with it.
        let deciding = || decide.decide(key, &self.state, &pending.input, context);
        let decided = std::panic::catch_unwind(std::panic::AssertUnwindSafe(deciding));
        let mut said = SaidOf::default();
        match decided.unwrap_or_else(|panic| Err(panicked(&*panic))) {
            Ok(Decision {
                state,
                events,
                facts,
            }) => {
                self.state = state;
                let here = self.here(decide, key, pending);
                for say in events {
                    said.add(&say.body);
                    let trace = self.place(&say, here);
                    let cause = pending.cause;
                    self.events.push(Said { say, cause, trace });
                }
                self.heard(here, pending, said);
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
            self.worked(&again.span, Ended::Late, SaidOf::default());
            return debug!(%key, "an attempt failed after its claim was lost");
        };
        if decide.work(key, &self.state).as_ref() != Some(&again.work) {
            self.retry = None;
            return self.worked(&again.span, Ended::Late, SaidOf::default());
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
            let mut input = pending(Input::GivenUp { tries, stop });
            input.work.clone_from(&again.span);
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
        let said = SaidOf {
            stop: Some(retry.stop.clone()),
            ..SaidOf::default()
        };
        self.worked(&again.span, Ended::Retried, said);
        let here = again.span.as_ref().map(|(doing, _)| Here::of_work(doing));
        let traces = &self.traces;
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
        let retried = retried.map(|say| Said {
            trace: Place::of(&say.body, here, traces).trace(),
            cause: None,
            say,
        });
        self.retried = retried.collect();
        self.failed = claim.number;
        self.retry = Some(retry);
    }

    /// The span in which an input is handled.
    fn here<D: Decide<State = S>>(
        &mut self,
        decide: &D,
        key: &Key,
        pending: &Pending<D::Outcome>,
    ) -> Option<Here> {
        let service = decide.service();
        match &pending.input {
            Input::Event(event) => Here::of_event(service, key, event, &mut self.traces),
            Input::Command(command) => {
                Some(Here::of_command(service, key, command, &mut self.traces))
            }
            _ => {
                let work = pending.work.as_ref();
                work.map(|(doing, _)| Here::of_work(doing))
            }
        }
    }

    /// Where something that is said stands; a trace that begins with it is one from now on.
    fn place(&mut self, say: &Say, here: Option<Here>) -> Option<Traceparent> {
        let place = Place::of(&say.body, here, &self.traces);
        if let (Place::Begins(own), Some(run)) = (place, say.body.run()) {
            self.traces.heard(run.0, own);
            self.spans.push(Draft::Begun {
                own,
                link: here.map(|here| here.own),
                scope: say.scope.clone(),
                run,
            });
        }
        place.trace()
    }

    /// The span of an input is over once this is committed.
    fn heard<O>(&mut self, here: Option<Here>, pending: &Pending<O>, said: SaidOf) {
        let span = match (&pending.input, here, &pending.heard) {
            (Input::Event(event), Some(here), Some(heard)) => Draft::Event {
                here,
                heard: heard.clone(),
                event: event.clone(),
                said,
            },
            (Input::Command(command), Some(here), Some(heard)) => Draft::Command {
                here,
                heard: heard.clone(),
                command: command.clone(),
                said,
            },
            _ => return self.worked(&pending.work, Ended::Done, said),
        };
        self.spans.push(span);
    }

    fn worked(&mut self, work: &Option<(Arc<Doing>, Timestamp)>, ended: Ended, said: SaidOf) {
        self.spans.extend(Draft::work(work.clone(), ended, said));
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
            traces: self.traces.clone(),
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
