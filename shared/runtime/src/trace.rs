//! Where what a service handles, does and says stands in traces. Pure: nothing here is drawn by chance, so what is
//! decided again has the same spans.
//!
//! In: an aggregate's [`Traces`], what it is told and what it says. Out: a [`Traceparent`] for each event, and
//! [`Draft`]s of spans, which are exported only where somebody asked for it (`export`, `span`).
//!
//! A trace has the id of what it began with: a push, a command, or a run that Ferry began by itself. Its events
//! carry it from service to service; an aggregate remembers it for as long as its state names the run, push or
//! command, since work and deadlines have no event that would.

mod export;
mod otlp;
mod span;

use std::{collections::BTreeMap, sync::Arc};

use ferry_events::{
    Body, Command, Event, Kind, RunId, Scope, Service, Stop, Timestamp, Traceparent,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Concern, Key};

pub use export::{Counts, Tracer};

/// The digits and hyphens of a UUID.
const UUID_LENGTH: usize = 36;

/// The spans that last told an aggregate of a run, push or command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct Traces(BTreeMap<Uuid, Traceparent>);

impl From<BTreeMap<String, String>> for Traces {
    /// What cannot be read is not known: no record is lost over a trace.
    fn from(stored: BTreeMap<String, String>) -> Self {
        let read = |(id, by): (String, String)| Some((id.parse().ok()?, by.parse().ok()?));
        Self(stored.into_iter().filter_map(read).collect())
    }
}

impl Traces {
    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of these that is known.
    pub(crate) fn of(&self, origins: impl IntoIterator<Item = Uuid>) -> Option<Traceparent> {
        let mut known = origins.into_iter().filter_map(|origin| self.0.get(&origin));
        known.next().copied()
    }

    /// It was told of something by a span. What is known to be of another trace stays there.
    pub(crate) fn heard(&mut self, origin: Uuid, by: Traceparent) {
        let known = self.0.entry(origin).or_insert(by);
        if known.trace() == by.trace() {
            *known = by;
        }
    }

    /// Forgets what a state, as JSON, does not name any more. Whether it forgot any.
    pub(crate) fn keep_named_in(&mut self, state: &[u8]) -> bool {
        let before = self.0.len();
        if before > 0 {
            let named = state
                .split(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
                .filter(|token| token.len() == UUID_LENGTH)
                .filter_map(|token| Uuid::try_parse_ascii(token).ok());
            let mut kept = BTreeMap::new();
            for id in named {
                if let Some(span) = self.0.get(&id) {
                    kept.insert(id, *span);
                }
                if kept.len() == before {
                    break;
                }
            }
            self.0 = kept;
        }
        self.0.len() < before
    }
}

/// How a message came here.
#[derive(Debug)]
pub(crate) struct Heard {
    /// Its subject.
    pub subject: String,
    /// When the stream took it.
    pub at: Timestamp,
    /// When it came to this process.
    pub taken: Timestamp,
    /// How often it was delivered.
    pub delivered: u64,
}

/// The span from which something is said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here {
    pub own: Traceparent,
    pub parent: Traceparent,
    /// The run that it is about.
    pub run: Option<RunId>,
}

impl Here {
    /// The span in which an aggregate handles an event; none: the event is in no trace.
    pub(crate) fn of_event(
        service: Service,
        key: &Key,
        event: &Event,
        traces: &mut Traces,
    ) -> Option<Self> {
        let parent = event.trace.or_else(|| traces.of(event.body.origins()))?;
        let id = event.id.to_string();
        let own = parent.span_of(&["message", service.name(), key.as_str(), &id]);
        if let Some(origin) = event.body.origins().next() {
            traces.heard(origin, own);
        }
        Some(Self {
            own,
            parent,
            run: event.run(),
        })
    }

    /// The span in which an aggregate handles a command.
    pub(crate) fn of_command(
        service: Service,
        key: &Key,
        command: &Command,
        traces: &mut Traces,
    ) -> Self {
        let parent = Traceparent::root(command.id.0);
        let id = command.id.to_string();
        let own = parent.span_of(&["message", service.name(), key.as_str(), &id]);
        traces.heard(command.id.0, own);
        Self {
            own,
            parent,
            run: None,
        }
    }

    /// The span of a piece of work.
    pub(crate) fn of_work(doing: &Doing) -> Self {
        Self {
            own: doing.own,
            parent: doing.parent,
            run: doing.concern.run,
        }
    }
}

/// Where something that is said stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In no trace.
    Nowhere,
    /// Here.
    At(Traceparent),
    /// A trace begins with it.
    Begins(Traceparent),
}

impl Place {
    /// Of something that is said from a span, or from none.
    pub(crate) fn of(body: &Body, here: Option<Here>, traces: &Traces) -> Self {
        let run = body.run();
        match (here, traces.of(body.origins())) {
            (Some(here), Some(known)) if here.own.trace() == known.trace() => Self::At(here.own),
            (_, Some(known)) => Self::At(known),
            (Some(here), None) if run.is_none() || here.run.is_none() || here.run == run => {
                Self::At(here.own)
            }
            // Ferry began a run by itself, such as a repair: what came before was of another.
            (_, None) => run.map_or(Self::Nowhere, |RunId(run)| {
                Self::Begins(Traceparent::root(run))
            }),
        }
    }

    /// For the event.
    pub(crate) fn trace(self) -> Option<Traceparent> {
        match self {
            Self::Nowhere => None,
            Self::At(trace) | Self::Begins(trace) => Some(trace),
        }
    }
}

/// A piece of work that is in a trace.
#[derive(Debug)]
pub(crate) struct Doing {
    pub own: Traceparent,
    pub parent: Traceparent,
    /// What else it is done for.
    pub links: Vec<Traceparent>,
    pub key: Key,
    /// For whom, first of all.
    pub concern: Concern,
    /// How often it was begun, this time included.
    pub attempt: u32,
    /// When its claim was decided.
    pub began: Timestamp,
}

impl Doing {
    /// Work under a claim; none: nobody whom it concerns is in a trace.
    pub(crate) fn of(
        service: Service,
        key: &Key,
        claim: &crate::Claim,
        concerns: Vec<Concern>,
        traces: &Traces,
        began: Timestamp,
    ) -> Option<Self> {
        let span = |concern: &Concern| {
            let run = concern.run.map(|run| run.0);
            let push = concern.push.map(|push| push.0);
            traces.of(run
                .into_iter()
                .chain(push)
                .chain(concern.command.map(|it| it.0)))
        };
        let mut traced = concerns
            .into_iter()
            .filter_map(|concern| Some((span(&concern)?, concern)));
        let (parent, concern) = traced.next()?;
        let number = claim.number.to_string();
        Some(Self {
            own: parent.span_of(&["work", service.name(), key.as_str(), &number]),
            parent,
            links: traced.map(|(link, _)| link).collect(),
            key: key.clone(),
            concern,
            attempt: claim.begun,
            began,
        })
    }
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With an outcome, which was taken.
    Done,
    /// With an outcome after its claim was lost: another's counts.
    Late,
    /// It is tried again.
    Retried,
    /// Nobody wants it any more, or the service drains.
    Cancelled,
    /// In a panic.
    Panicked,
}

/// A span that is over, before it is brought into the form of an exporter.
#[derive(Clone, Debug)]
pub(crate) enum Draft {
    /// An aggregate handled an event.
    Event {
        here: Here,
        heard: Arc<Heard>,
        event: Arc<Event>,
        said: SaidOf,
    },
    /// An aggregate handled a command.
    Command {
        here: Here,
        heard: Arc<Heard>,
        command: Arc<Command>,
        said: SaidOf,
    },
    /// A piece of work was done.
    Work {
        doing: Arc<Doing>,
        at: Timestamp,
        ended: Ended,
        said: SaidOf,
    },
    /// A run began by itself.
    Begun {
        own: Traceparent,
        link: Option<Traceparent>,
        scope: Scope,
        run: RunId,
    },
}

impl Draft {
    /// Of a piece of work, and when it ended; none: it is in no trace.
    pub(crate) fn work(
        work: Option<(Arc<Doing>, Timestamp)>,
        ended: Ended,
        said: SaidOf,
    ) -> Option<Self> {
        let (doing, at) = work?;
        Some(Self::Work {
            doing,
            at,
            ended,
            said,
        })
    }
}

/// What followed, as far as a span says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SaidOf {
    /// The kinds of events.
    pub kinds: Vec<Kind>,
    /// Why something stopped.
    pub stop: Option<Stop>,
    /// The version of the module, where an event says it.
    pub version: Option<String>,
    /// The base, where one does.
    pub base: Option<String>,
    /// CDEvents' taskRun, where one does.
    pub task_run: Option<Uuid>,
}

impl SaidOf {
    /// Adds an event.
    pub(crate) fn add(&mut self, body: &Body) {
        self.kinds.push(body.kind());
        let cancelled = matches!(body, Body::RunFinished(it) if it.outcome == ferry_events::run::Outcome::Cancel);
        if let Some(stop) = body.stop().filter(|_| !cancelled) {
            self.stop = Some(stop.clone());
        }
        let version = body.version().map(str::to_owned);
        self.version = version.or_else(|| self.version.take());
        let base = body.base().map(str::to_owned);
        self.base = base.or_else(|| self.base.take());
        self.task_run = body.task_run().or(self.task_run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn span(trace: u128, name: &str) -> Traceparent {
        Traceparent::root(id(trace)).span_of(&[name])
    }

    #[test]
    fn what_told_last_counts_but_never_moves_to_another_trace() {
        let mut traces = Traces::default();
        traces.heard(id(1), span(7, "first"));
        traces.heard(id(1), span(7, "second"));
        traces.heard(id(1), span(8, "another trace"));
        assert_eq!(traces.of([id(2), id(1)]), Some(span(7, "second")));
        assert_eq!(traces.of([id(2)]), None);
    }

    #[test]
    fn what_the_state_does_not_name_is_forgotten() {
        let mut traces = Traces::default();
        for origin in 1..=3 {
            traces.heard(id(origin), span(7, "it"));
        }
        let state = format!(
            r#"{{"run":"{}","keys":{{"push.{}":1}},"other":"{}0"}}"#,
            id(1),
            id(2),
            id(3)
        );
        assert!(traces.keep_named_in(state.as_bytes()));
        assert_eq!(traces.of([id(1)]), Some(span(7, "it")));
        assert_eq!(traces.of([id(2)]), Some(span(7, "it")));
        assert_eq!(traces.of([id(3)]), None);
        assert!(!traces.keep_named_in(state.as_bytes()));
        assert!(traces.keep_named_in(b"{}"));
        assert!(traces.is_empty());
    }

    #[test]
    fn traces_are_stored_as_text_and_come_back() {
        let mut traces = Traces::default();
        traces.heard(id(1), span(7, "it"));
        let json = serde_json::to_string(&traces).unwrap();
        assert!(
            json.contains("00-00000000000000000000000000000007-"),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Traces>(&json).unwrap(), traces);
        let broken = json.replace("00-", "no-");
        let read: Traces = serde_json::from_str(&broken).unwrap();
        assert!(read.is_empty(), "and a record is read all the same");
    }
}
