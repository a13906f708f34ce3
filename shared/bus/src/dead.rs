//! Dead letters: messages that could not be handled, kept with all that is known.

use chrono::{DateTime, Utc};
use ferry_events::{LetterId, Reason, Service, subject};
use serde::{Deserialize, Serialize};

use crate::{Keep, Write, permissions};

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
    /// Its payload, as text.
    pub payload: String,
    /// Whether that is all of it: a payload that leaves no room for a letter around it is cut.
    pub whole: bool,
    /// When the stream took it.
    pub first_at: DateTime<Utc>,
    /// When it was given up.
    pub at: DateTime<Utc>,
}

/// JetStream's word that it delivers a message no more: too often in vain, or a service said so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Advisory {
    /// The stream.
    pub stream: String,
    /// The consumer: a service's name.
    pub consumer: String,
    /// The message's sequence in the stream.
    pub stream_seq: u64,
    /// How often it was delivered.
    pub deliveries: u64,
}

impl Advisory {
    /// The letter that stands for the message, where the service left one.
    pub fn letter(&self) -> LetterId {
        LetterId::of(&self.consumer, &self.stream, self.stream_seq)
    }

    /// The service whose message it was, where it was one's.
    pub fn service(&self) -> Option<Service> {
        Service::ALL
            .into_iter()
            .find(|service| permissions::consumer_name(*service) == self.consumer)
    }
}

/// Bytes of a payload that a letter holds at most: escaped as JSON, and with its errors, it still is
/// one message.
const PAYLOAD_MAX: usize = 400_000;

impl DeadLetter {
    /// The letter's payload: as text, and whether it is whole.
    pub fn payload_of(payload: &[u8]) -> (String, bool) {
        let kept = &payload[..payload.len().min(PAYLOAD_MAX)];
        let text = String::from_utf8_lossy(kept).into_owned();
        let whole = kept.len() == payload.len() && text.as_bytes() == payload;
        (text, whole)
    }

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
