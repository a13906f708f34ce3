//! The event stream: `GET /events`, server-sent events.
//!
//! Each has `id` (the stream's sequence, good for `Last-Event-ID`), `event`
//! (the kind, such as `push.received`) and `data` (the structured CloudEvent).
//! In: serde. Out: [`EventsQuery`], [`StreamedEvent`].

use ferry_events::{DecodeError, Event};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `event` of the last message of a stream that is complete.
pub const END: &str = "end";

/// Which events to stream. Without `after` and `Last-Event-ID` it begins with
/// what happens from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Only this module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Only this kind, such as `push.received`, or all of a subject: `push`.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
    /// Only this run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<ferry_events::RunId>,
    /// Begin after this sequence; 0 is the beginning. `Last-Event-ID` counts more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// End at what is the newest now, instead of waiting for more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreamedEvent {
    /// Its place in the stream.
    pub sequence: u64,
    /// Its kind, such as `push.received`.
    pub kind: String,
    /// The structured CloudEvent.
    pub event: serde_json::Value,
}

impl StreamedEvent {
    /// The typed event.
    ///
    /// # Errors
    /// When it is of a kind that this version does not know.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        Event::decode(self.event.to_string().as_bytes())
    }
}
