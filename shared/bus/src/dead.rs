//! Dead letters: messages that could not be handled, kept with all that is known.

use chrono::{DateTime, Utc};
use ferry_events::{LetterId, Reason, Service, subject};
use serde::{Deserialize, Serialize};

use crate::{Keep, Write};

/// A message that a service could not handle. On the bus: `ferry.dead.<service>.<reason>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its id, derived from service, stream and sequence.
    pub id: LetterId,
    /// Who could not handle it.
    pub service: Service,
    /// Why.
    pub reason: Reason,
    /// The chain of errors, outermost first.
    pub errors: Vec<String>,
    /// How often it was delivered.
    pub tries: u64,
    /// Its subject.
    pub subject: String,
    /// The stream that it is from.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its payload, as text where it is text.
    pub payload: String,
    /// When the stream took it.
    pub first_at: DateTime<Utc>,
    /// When it was given up.
    pub at: DateTime<Utc>,
}

impl DeadLetter {
    /// The message that stands for it. One that is buried again while its id is remembered is stored once.
    pub(crate) fn write(&self, parked: bool) -> Write {
        let subject = if parked {
            subject::parked(self.service)
        } else {
            subject::dead(self.service, self.reason)
        };
        Write {
            subject,
            payload: serde_json::to_vec(self)
                .expect("a dead letter is always JSON")
                .into(),
            expected: None,
            replaces: false,
            keep: Keep::Stream,
            id: Some(self.id.to_string()),
        }
    }
}
