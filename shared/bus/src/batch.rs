//! What is written at once: states with their expected sequences, and what follows from them.
//!
//! In: writes. Out: a [`Batch`] that the bus stores whole or not at all.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use ferry_events::Event;

use crate::{BusError, packed::pack};

/// How long a message is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Past the stream's `max_age`, until it is replaced.
    Forever,
    /// As long as the stream keeps its messages.
    Stream,
    /// For this long, whole seconds, at least one.
    For(Duration),
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Its subject, in the stream `FERRY`.
    pub subject: String,
    /// Its payload.
    pub payload: Bytes,
    /// The sequence of the last message on that subject; 0: there must be none. None: whatever is there.
    pub expected: Option<u64>,
    /// Whether it takes the place of all earlier messages on its subject.
    pub replaces: bool,
    /// How long it is kept.
    pub keep: Keep,
    /// Its id for the dedupe window, which only saves work.
    pub id: Option<String>,
}

impl Write {
    /// The largest payload in bytes: nats-server takes 1 MiB a message, headers included.
    pub const MAX_PAYLOAD: usize = 1_000_000;

    /// A state of an aggregate: replaces the last one, whose sequence must be `expected`.
    pub fn state(subject: String, payload: impl Into<Bytes>, expected: u64, keep: Keep) -> Self {
        Self {
            subject,
            payload: pack(payload.into()),
            expected: Some(expected),
            replaces: true,
            keep,
            id: None,
        }
    }

    /// A fact: replaces the last one. The state in the same batch guards it.
    pub fn fact(subject: String, payload: impl Into<Bytes>) -> Self {
        Self {
            subject,
            payload: pack(payload.into()),
            expected: None,
            replaces: true,
            keep: Keep::Forever,
            id: None,
        }
    }

    /// Whether its subject may stand in a batch once only.
    pub(crate) fn is_alone(&self) -> bool {
        self.expected.is_some() || self.replaces
    }

    /// An event.
    pub fn event(event: &Event) -> Self {
        Self {
            subject: event.bus_subject(),
            payload: event.encode().into(),
            expected: None,
            replaces: false,
            keep: Keep::Stream,
            id: Some(event.id.to_string()),
        }
    }

    /// A command.
    pub fn command(command: &ferry_events::Command) -> Self {
        Self {
            subject: ferry_events::subject::command(command),
            payload: serde_json::to_vec(command)
                .expect("a command is always JSON")
                .into(),
            expected: None,
            replaces: false,
            keep: Keep::Stream,
            id: Some(command.id.to_string()),
        }
    }
}

/// Messages that are stored whole or not at all, in their order, with consecutive sequences.
///
/// A subject whose write is guarded by `expected` or that `replaces` stands in it once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The messages; at least one, at most [`Batch::MAX`].
    pub writes: Vec<Write>,
}

impl Batch {
    /// Half of what nats-server takes in one batch, so that a retry with a few more still fits.
    pub const MAX: usize = 500;

    /// Whether the bus can take it at all, so that both buses refuse the same.
    pub(crate) fn check(&self) -> Result<(), BusError> {
        match self.writes.len() {
            0 => return Err(BusError::Refused("a batch without a message".into())),
            1..=Self::MAX => {}
            more => {
                let text = format!("a batch of {more} messages; at most {}", Self::MAX);
                return Err(BusError::Refused(text));
            }
        }
        // For each subject, whether one that has it is guarded or replaces.
        let mut subjects: BTreeMap<&str, bool> = BTreeMap::new();
        for write in &self.writes {
            let subject = write.subject.as_str();
            if !is_subject(subject) {
                return Err(BusError::Refused(format!(
                    "{subject:?} is no subject to publish on"
                )));
            }
            if write.payload.len() > Write::MAX_PAYLOAD {
                let (size, most) = (write.payload.len(), Write::MAX_PAYLOAD);
                return Err(BusError::Refused(format!(
                    "{subject} has {size} bytes; at most {most}"
                )));
            }
            let alone = write.is_alone();
            // The server refuses a second replacement of a subject (10111), and sees no guard but the first.
            if subjects
                .insert(subject, alone)
                .is_some_and(|before| before || alone)
            {
                let text =
                    format!("{subject} is written twice in one batch; keep only the last write");
                return Err(BusError::Refused(text));
            }
        }
        Ok(())
    }
}

/// Tokens divided by dots, none of them empty, blank or a wildcard.
fn is_subject(subject: &str) -> bool {
    subject.split('.').all(|token| {
        !token.is_empty() && token != "*" && token != ">" && !token.contains(char::is_whitespace)
    })
}

impl From<Vec<Write>> for Batch {
    fn from(writes: Vec<Write>) -> Self {
        Self { writes }
    }
}

/// What a commit gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The stream sequence of each write, in order.
    pub sequences: Vec<u64>,
}
