//! Dead letters that come back: replayed or dropped, as a person commands.
//!
//! In: a command `replay` or `drop`. Out: the message handled by the service that could not handle it
//! before, and one batch that closes the letter and says so. Every service takes these commands through
//! its runtime, so nobody needs the right to say another's events again. A letter is closed once.

use std::collections::VecDeque;

use ferry_bus::{Advisory, Batch, BusError, CommitError, DeadLetter, KEEP_DEAD, Keep, Write};
use ferry_events::{
    Body, Command, CommandId, Event, EventId, Reason, RunId, Scope, Stop, Timestamp, Traceparent,
    Verb,
    body::{LetterDropped, LetterReplayed},
    command::Settled,
    letter::{Closed, Letter},
    subject,
};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::{
    Decide, Fault, Key,
    messages::{Messages, Read},
};

/// The kind of a letter's record among the service's own.
const KIND: &str = "letter";
/// Commands about one letter that are remembered: people who ask again are few.
const COMMANDS_MAX: usize = 16;
/// Commits of one command whose events are stored already: more, and the stream is of another moment.
const DUPLICATES_MAX: u32 = 3;

/// Whether a key is a letter's, and no aggregate's of the service.
pub(crate) fn is_letter(key: &Key) -> bool {
    key.kind() == KIND
}

/// A letter's record: what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Counts what was settled about it. Event ids are derived from it.
    sequence: u64,
    /// How it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    /// Commands about it that were settled last.
    commands: VecDeque<CommandId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    verb: String,
    actor: String,
    command: CommandId,
    at: Timestamp,
}

/// The message that a letter stands for.
struct Found {
    subject: String,
    /// The message itself, or why there is none any more.
    payload: Result<Vec<u8>, &'static str>,
    reason: Reason,
}

impl<D: Decide> Messages<D> {
    /// Carries out a command about a letter; one that was settled before changes nothing.
    pub(crate) async fn letter(&self, command: &Command, letter: &Letter) -> Result<(), Fault> {
        let key = Key::new(KIND, &[&letter.letter.to_string()]);
        let at = subject::state(self.decide.service(), key.as_str());
        let mut duplicates = 0;
        loop {
            let step = self.step(command, letter, &key, &at).await;
            match step {
                Ok(()) => return Ok(()),
                Err(CommitError::Conflict) => {}
                Err(CommitError::Duplicate) => {
                    duplicates += 1;
                    if duplicates > DUPLICATES_MAX {
                        return Err(Fault(
                            "the stream holds an event that the letter's record does not know"
                                .into(),
                        ));
                    }
                }
                Err(CommitError::Bus(error)) => {
                    warn!(letter = %letter.letter, %error, "a dead letter waits for the bus");
                    self.rest().await;
                }
            }
            if self.drain.is_cancelled() {
                return Err(Fault("the service drains".into()));
            }
        }
    }

    async fn step(
        &self,
        command: &Command,
        letter: &Letter,
        key: &Key,
        at: &str,
    ) -> Result<(), CommitError> {
        let (mut record, expected) = match self.bus.read(at).await? {
            Some(stored) => {
                let record: Record = serde_json::from_slice(&stored.payload)
                    .map_err(|error| BusError::Damaged(format!("record {at}: {error}")))?;
                (record, stored.sequence)
            }
            None => (Record::default(), 0),
        };
        if record.commands.contains(&command.id) {
            return Ok(());
        }
        let done = match &record.end {
            Some(end) => Err(Stop::new(
                Reason::LetterClosed,
                format!("{} asked for its {} at {}", end.actor, end.verb, end.at),
            )),
            None => match self.find(letter).await? {
                Ok(found) => self.close(command, found).await,
                Err(stop) => Err(stop),
            },
        };
        if self.drain.is_cancelled() && done.is_err() {
            // Perhaps for no other reason: it comes again elsewhere.
            return Err(BusError::Unavailable("the service drains".into()).into());
        }
        record.sequence += 1;
        record.commands.push_back(command.id);
        while record.commands.len() > COMMANDS_MAX {
            record.commands.pop_front();
        }
        let (scope, run, found, stop) = match done {
            Ok((found, event)) => {
                record.end = Some(End {
                    verb: command.verb.token().to_owned(),
                    actor: command.actor.clone(),
                    command: command.id,
                    at: self.clock.now(),
                });
                let run = event.as_ref().and_then(Event::run);
                (event.map(|event| event.scope), run, Some(found), None)
            }
            Err(stop) => (None, None, None, Some(stop)),
        };
        let scope = scope.unwrap_or_else(|| self.scope(letter));
        info!(letter = %letter.letter, verb = command.verb.token(), actor = command.actor, refused = ?stop, "a dead letter");
        let mut bodies: Vec<Body> = vec![Settled::of(command, None, stop).into()];
        if let Some(found) = found {
            bodies.push(self.closed(command, letter, &found, run));
        }
        let batch = self.batch(&record, key, at, expected, scope, bodies);
        self.bus.commit(batch).await.map(drop)
    }

    /// The message, from the letter or, where the letter does not hold it, from its stream.
    async fn find(&self, letter: &Letter) -> Result<Result<Found, Stop>, BusError> {
        let gone = |why: &str| Ok(Err(Stop::new(Reason::LetterGone, why)));
        let Some((place, stored)) = self.bus.read_at(subject::DEAD, letter.sequence).await? else {
            return gone("it is too old, and gone");
        };
        let known = if place.starts_with("$JS.") {
            serde_json::from_slice::<Advisory>(&stored.payload)
                .ok()
                .map(|it| {
                    (
                        it.letter(),
                        it.stream,
                        it.stream_seq,
                        Reason::Undelivered,
                        None,
                    )
                })
        } else {
            serde_json::from_slice::<DeadLetter>(&stored.payload)
                .ok()
                .map(|it| {
                    let held = it.whole.then(|| (it.subject, it.payload.into_bytes()));
                    (it.id, it.stream, it.sequence, it.reason, held)
                })
        };
        let Some((id, stream, sequence, reason, held)) = known else {
            return gone("it cannot be read");
        };
        if id != letter.letter || letter.service != self.decide.service() {
            return gone("another one stands in its place");
        }
        let (subject, payload) = match held {
            Some((subject, payload)) => (subject, Ok(payload)),
            None if stream == subject::STREAM => match self.bus.read_at(&stream, sequence).await? {
                Some((subject, record)) => (subject, Ok(record.payload.to_vec())),
                None => (place, Err("its message is too old, and gone")),
            },
            None => (
                place,
                Err("it stands for a deadline, which is looked at anyway"),
            ),
        };
        Ok(Ok(Found {
            subject,
            payload,
            reason,
        }))
    }

    /// Handles the message, or lets it be.
    async fn close(&self, command: &Command, found: Found) -> Result<(Found, Option<Event>), Stop> {
        let payload = found.payload.as_ref();
        let event = payload.ok().and_then(|it| Event::decode(it).ok());
        if matches!(command.verb, Verb::Drop(_)) {
            return Ok((found, event));
        }
        let payload = payload.map_err(|why| Stop::new(Reason::LetterGone, *why))?;
        match self.read(&found.subject, payload) {
            Read::Input { keys, input, cause } => {
                match self.decided(keys, &input, cause, None).await {
                    Ok(()) => Ok((found, event)),
                    Err(fault) => Err(Stop::new(Reason::OurFault, fault.to_string())),
                }
            }
            Read::Letter(..) => Err(Stop::new(
                Reason::LetterGone,
                "it stands for a command about another letter; ask for that one anew",
            )),
            Read::Unknown(what) => Err(Stop::new(Reason::NewerVersion, what)),
            Read::Malformed(why) => Err(Stop::new(Reason::Malformed, why)),
        }
    }

    fn scope(&self, letter: &Letter) -> Scope {
        let config = self.context.borrow().config.clone();
        match &letter.module {
            Some(module) => Scope::module(config.team_of_module(module), module),
            None => Scope::default(),
        }
    }

    fn closed(
        &self,
        command: &Command,
        letter: &Letter,
        found: &Found,
        run: Option<RunId>,
    ) -> Body {
        let closed = Closed {
            letter: letter.letter,
            service: letter.service,
            subject: found.subject.clone(),
            reason: found.reason,
            command: command.id,
            actor: command.actor.clone(),
            why: command.why.clone(),
            run,
        };
        match command.verb {
            Verb::Drop(_) => LetterDropped(closed).into(),
            _ => LetterReplayed(closed).into(),
        }
    }

    fn batch(
        &self,
        record: &Record,
        key: &Key,
        at: &str,
        expected: u64,
        scope: Scope,
        bodies: Vec<Body>,
    ) -> Batch {
        let payload = serde_json::to_vec(record).expect("a record is always JSON");
        // The letter itself is gone after that time.
        let keep = Keep::For(KEEP_DEAD);
        let mut writes = vec![Write::state(at.to_owned(), payload, expected, keep)];
        let (service, now) = (self.decide.service(), self.clock.now());
        for (index, body) in bodies.into_iter().enumerate() {
            let kind = body.kind().short_name();
            writes.push(Write::event(&Event {
                id: EventId::of(service.name(), key.as_str(), record.sequence, &kind, index),
                source: service,
                time: now,
                scope: scope.clone(),
                cause: None,
                trace: body.command().map(|CommandId(id)| Traceparent::root(id)),
                body,
            }));
        }
        writes.into()
    }
}
