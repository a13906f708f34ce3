//! What a service decides: pure functions from state and input to new state and what follows.
//!
//! In: a state, an input, the time and the configuration. Out: a [`Decision`]. No I/O, no clock, no
//! chance: the same inputs give the same decision, or a replay would differ.

use std::{collections::BTreeMap, fmt, sync::Arc};

use ferry_bus::Keep;
use ferry_config::Config;
use ferry_events::{
    Body, Command, CommandId, Digest, Event, PushId, Reason, RunId, Scope, Service, Stop,
    Timestamp,
    name::token,
    question::{Answer, Question},
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::Policy;

/// An aggregate's name: dotted tokens, so that it can stand in a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The aggregate of a kind that these names tell apart. Each name is made a token.
    pub fn new(kind: &str, names: &[&str]) -> Self {
        let mut key = token(kind);
        for name in names {
            key.push('.');
            key.push_str(&token(name));
        }
        Self(key)
    }

    /// A key as it stands in a subject.
    pub(crate) fn from_subject(rest: &str) -> Self {
        Self(rest.to_owned())
    }

    /// The dotted tokens.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind: the first token.
    pub fn kind(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an aggregate is told.
#[derive(Clone, Debug)]
pub enum Input<O> {
    /// An event that the service's contract takes.
    Event(Arc<Event>),
    /// A command for the service.
    Command(Arc<Command>),
    /// What [`Decide::work`] asked for is done. Comes only from the worker that holds the claim.
    Outcome(O),
    /// Effects noticed something by themselves; no claim stands behind it.
    Report(O),
    /// A deadline may have passed: look.
    Due,
    /// The work is given up: it took its worker down again and again, or failed until patience ended.
    GivenUp {
        /// How often it was tried.
        tries: u32,
        /// Why the last attempt failed; none: it took its worker down.
        stop: Option<Stop>,
    },
}

/// What a decision may know besides state and input.
#[derive(Clone, Debug)]
pub struct Context {
    /// The time.
    pub now: Timestamp,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// Its revision.
    pub revision: Digest,
}

/// An event to publish. Its id, source, time and cause are the runtime's to add.
#[derive(Clone, Debug, PartialEq)]
pub struct Say {
    /// Whose it is.
    pub scope: Scope,
    /// What it says.
    pub body: Body,
}

/// What follows from an input.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<S> {
    /// The new state.
    pub state: S,
    /// Events, in order.
    pub events: Vec<Say>,
    /// Facts: subject and value.
    pub facts: Vec<(String, serde_json::Value)>,
}

impl<S> Decision<S> {
    /// A new state, and nothing said yet.
    pub fn to(state: S) -> Self {
        Self {
            state,
            events: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// Adds an event.
    pub fn say(mut self, scope: Scope, body: impl Into<Body>) -> Self {
        self.events.push(Say {
            scope,
            body: body.into(),
        });
        self
    }

    /// Adds a fact.
    pub fn fact(mut self, subject: String, value: &impl Serialize) -> Self {
        self.facts.push((
            subject,
            serde_json::to_value(value).expect("a fact is always JSON"),
        ));
        self
    }
}

/// What a question is answered with.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// This.
    Say(Answer),
    /// The report that the store holds under this name.
    Fetch(Digest),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self::Say(answer)
    }
}

/// A failure of ours: the message is tried again, then dead-lettered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// Where a piece of work waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Work of one pool shares a limit: see [`Decide::limit`].
    pub pool: &'static str,
    /// Lanes of a pool take turns: what came of one push or command, or a module's name, so that none waits
    /// behind a thousand others.
    pub lane: String,
}

impl Slot {
    /// The lane of what came of a push or command; where that is not known, of the module.
    pub fn lane_of(origin: Option<Uuid>, module: &str) -> String {
        origin.map_or_else(|| module.to_owned(), |origin| origin.to_string())
    }
}

/// Somebody for whom work is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concern {
    /// Whose it is.
    pub scope: Scope,
    /// What is done, in a word.
    pub what: &'static str,
    /// Which step of it, where it has several.
    pub step: Option<&'static str>,
    /// The base that it is done on.
    pub base: Option<String>,
    /// CDEvents' taskRun that it is done for.
    pub task: Option<Uuid>,
    /// The push that it is for.
    pub push: Option<PushId>,
    /// The command that it is for.
    pub command: Option<CommandId>,
    /// The run that it is for.
    pub run: Option<RunId>,
}

/// The pure half of a service.
pub trait Decide: Send + Sync + 'static {
    /// An aggregate's state. Its default is that of one that was never heard of.
    type State: Clone
        + Default
        + PartialEq
        + fmt::Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync;
    /// What effects shall do.
    type Work: Clone + PartialEq + fmt::Debug + Send + Sync;
    /// What came of it, or what effects noticed.
    type Outcome: Clone + fmt::Debug + Send + Sync;

    /// Which service it is.
    fn service(&self) -> Service;

    /// The aggregates that an event concerns. None: it is acked and forgotten.
    fn route(&self, event: &Event, config: &Config) -> Vec<Key>;

    /// The aggregates that a command concerns.
    fn route_command(&self, command: &Command, config: &Config) -> Vec<Key> {
        let _ = (command, config);
        Vec::new()
    }

    /// The aggregates whose states are needed to answer a question.
    fn route_question(&self, question: &Question, config: &Config) -> Vec<Key> {
        let _ = (question, config);
        Vec::new()
    }

    /// The answer to a question, from the states of those that there are. Nothing follows from it.
    fn answer(
        &self,
        question: &Question,
        states: &BTreeMap<Key, Self::State>,
        context: &Context,
    ) -> Reply {
        let _ = (question, states, context);
        let stop = Stop::new(
            Reason::OurFault,
            format!("the {} answers no such question", self.service()),
        );
        Answer::Refused(stop).into()
    }

    /// What follows from an input. A stale or repeated input gives the same state and nothing said.
    ///
    /// # Errors
    /// [`Fault`] when something is wrong that cannot be: a transition that does not exist.
    fn decide(
        &self,
        key: &Key,
        state: &Self::State,
        input: &Input<Self::Outcome>,
        context: &Context,
    ) -> Result<Decision<Self::State>, Fault>;

    /// What is to be done now, as the state says.
    fn work(&self, key: &Key, state: &Self::State) -> Option<Self::Work> {
        let _ = (key, state);
        None
    }

    /// Whether that work may begin while its claim is still being committed. Then it must change nothing that
    /// anyone else would miss or find twice: it is dropped where the commit fails, and may go on in two
    /// replicas until one of them hears so.
    fn may_begin_early(&self, key: &Key, work: &Self::Work) -> bool {
        let _ = (key, work);
        false
    }

    /// Where that work waits for its turn.
    fn slot(&self, key: &Key, work: &Self::Work) -> Slot {
        let _ = work;
        Slot {
            pool: "work",
            lane: key.to_string(),
        }
    }

    /// How much work of a pool is done at a time.
    fn limit(&self, pool: &str, config: &Config) -> usize {
        let _ = (pool, config);
        16
    }

    /// How patiently work is tried whose failures may pass: see [`crate::Done::Again`].
    fn patience(&self, key: &Key, work: &Self::Work) -> Policy {
        let _ = (key, work);
        Policy::default()
    }

    /// For whom the state's work is done. The work is in the trace of the first; where it is tried again, each is
    /// told by a `work.retried`, which the service's contract must name.
    fn concerns(&self, key: &Key, state: &Self::State, config: &Config) -> Vec<Concern> {
        let _ = (key, state, config);
        Vec::new()
    }

    /// The state's next deadline.
    fn wake_at(&self, state: &Self::State) -> Option<Timestamp> {
        let _ = state;
        None
    }

    /// How long the state is kept.
    fn keep(&self, state: &Self::State) -> Keep {
        let _ = state;
        Keep::Forever
    }
}
