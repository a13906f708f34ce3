//! Dead letters as FERRY_DEAD and the events tell them.
//!
//! In: letters, JetStream's advisories, `letter.replayed` and `letter.dropped`, in any order between the
//! two streams. Out: summaries, newest first. Payloads are not held: they are read when one is looked at.

use std::collections::BTreeMap;

use ferry_api::{LetterEnd, LetterState, LetterSummary, LettersQuery};
use ferry_bus::{Advisory, DeadLetter};
use ferry_events::{
    Body, Command, Event, LetterId, Reason, Timestamp,
    letter::{Closed, Letter},
    subject::{STREAM, TIMERS},
};

use super::Kept;

/// A letter, and where it stands.
#[derive(Clone, Debug)]
pub struct Held {
    /// What is shown of it.
    pub summary: LetterSummary,
    /// Its sequence in `FERRY_DEAD`.
    pub place: u64,
    /// The service's own letter; else only the bus told of it.
    pub own: bool,
}

impl Held {
    /// As a command names it.
    pub fn letter(&self) -> Letter {
        Letter {
            letter: self.summary.id,
            service: self.summary.service,
            sequence: self.place,
            module: self.summary.module.clone(),
        }
    }
}

/// Every letter that is held.
#[derive(Debug, Default)]
pub struct Letters {
    letters: Kept<LetterId, Held>,
    ends: BTreeMap<LetterId, (LetterState, LetterEnd)>,
}

/// What a look-up by the first digits of an id gave.
#[derive(Debug)]
pub enum FoundLetter {
    /// Exactly one letter.
    One(Box<Held>),
    /// Several letters' ids begin so.
    Several(Vec<LetterId>),
    /// None does.
    None,
}

impl Letters {
    /// Takes a message of FERRY_DEAD. False: it cannot be read.
    pub fn take(&mut self, subject: &str, place: u64, payload: &[u8], at: Timestamp) -> bool {
        if subject.starts_with("$JS.") {
            let Ok(advisory) = serde_json::from_slice::<Advisory>(payload) else {
                return false;
            };
            self.advised(&advisory, place, at);
            return true;
        }
        let Ok(letter) = serde_json::from_slice::<DeadLetter>(payload) else {
            return false;
        };
        self.put(of_letter(&letter), place, true);
        true
    }

    /// The bus's own word counts where the service left none. It ends each dead-lettered message too.
    fn advised(&mut self, advisory: &Advisory, place: u64, at: Timestamp) {
        let id = advisory.letter();
        let ours = [STREAM, TIMERS].contains(&advisory.stream.as_str());
        let Some(service) = advisory.service().filter(|_| ours) else {
            return;
        };
        if self.letters.get(&id).is_some() {
            return;
        }
        let summary = LetterSummary {
            id,
            state: LetterState::Open,
            service,
            reason: Reason::Undelivered,
            error: None,
            module: None,
            environment: None,
            run: None,
            subject: String::new(),
            stream: advisory.stream.clone(),
            sequence: advisory.stream_seq,
            tries: advisory.deliveries,
            first_at: at,
            at,
            end: None,
        };
        self.put(summary, place, false);
    }

    fn put(&mut self, mut summary: LetterSummary, place: u64, own: bool) {
        if let Some((state, end)) = self.ends.get(&summary.id) {
            (summary.state, summary.end) = (*state, Some(end.clone()));
        }
        let held = Held {
            summary,
            place,
            own,
        };
        self.letters.put(held.summary.id, held);
    }

    /// Takes an event that closes a letter.
    pub fn apply(&mut self, event: &Event) {
        let (state, closed): (_, &Closed) = match &event.body {
            Body::LetterReplayed(it) => (LetterState::Replayed, it),
            Body::LetterDropped(it) => (LetterState::Dropped, it),
            _ => return,
        };
        let end = LetterEnd {
            actor: closed.actor.clone(),
            why: closed.why.clone(),
            command: closed.command,
            at: event.time,
        };
        if let Some(held) = self.letters.get_mut(&closed.letter) {
            (held.summary.state, held.summary.end) = (state, Some(end.clone()));
        }
        self.ends.insert(closed.letter, (state, end));
        // As many as letters are held: an older one's letter is forgotten too.
        while self.ends.len() > super::KEPT {
            let oldest = self.ends.iter().min_by_key(|(id, (_, end))| (end.at, **id));
            let Some(oldest) = oldest.map(|(id, _)| *id) else {
                return;
            };
            self.ends.remove(&oldest);
        }
    }

    /// The letters that a query asks for, newest first.
    pub fn list(
        &self,
        query: &LettersQuery,
        seen: impl Fn(&LetterSummary) -> bool,
    ) -> Vec<LetterSummary> {
        let wanted = |it: &&LetterSummary| {
            (query.all || it.state == LetterState::Open)
                && query.service.is_none_or(|service| service == it.service)
                && query.reason.is_none_or(|reason| reason == it.reason)
                && (query.module.is_none() || query.module == it.module)
                && seen(it)
        };
        let all = self.letters.newest().map(|held| &held.summary);
        all.filter(wanted).cloned().collect()
    }

    /// A letter by its id or the id's first digits, of those that `seen` lets through.
    pub fn find(&self, prefix: &str, seen: impl Fn(&LetterSummary) -> bool) -> FoundLetter {
        let of_id =
            |held: &&Held| seen(&held.summary) && held.summary.id.to_string().starts_with(prefix);
        let found: Vec<&Held> = self.letters.newest().filter(of_id).collect();
        match found.as_slice() {
            [] => FoundLetter::None,
            [one] => FoundLetter::One(Box::new((*one).clone())),
            several => FoundLetter::Several(several.iter().map(|it| it.summary.id).collect()),
        }
    }
}

fn of_letter(letter: &DeadLetter) -> LetterSummary {
    let (module, environment, run) = about(letter);
    LetterSummary {
        id: letter.id,
        state: LetterState::Open,
        service: letter.service,
        reason: letter.reason,
        error: letter.errors.first().cloned(),
        module,
        environment,
        run,
        subject: letter.subject.clone(),
        stream: letter.stream.clone(),
        sequence: letter.sequence,
        tries: letter.tries,
        first_at: letter.first_at,
        at: letter.at,
        end: None,
    }
}

/// The module, environment and run that a message is about: as it says, or as its subject does.
fn about(letter: &DeadLetter) -> (Option<String>, Option<String>, Option<ferry_events::RunId>) {
    if let Ok(event) = Event::decode(letter.payload.as_bytes()) {
        let run = event.run();
        return (event.scope.module, event.scope.environment, run);
    }
    if let Ok(command) = serde_json::from_str::<Command>(&letter.payload) {
        let module = command.verb.module().to_owned();
        return (Some(module).filter(|it| !it.is_empty()), None, None);
    }
    let mut tokens = letter.subject.split('.').skip(3);
    let mut token = || {
        tokens
            .next()
            .filter(|token| *token != "_")
            .map(ToOwned::to_owned)
    };
    match letter.subject.starts_with("ferry.events.") {
        true => (token(), token(), None),
        false => (None, None, None),
    }
}
