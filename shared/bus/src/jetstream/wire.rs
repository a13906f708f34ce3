//! JetStream's requests, answers and errors, as far as Ferry uses them.
//!
//! In: JSON of nats-server (its `api_errors` and the ADRs 31, 37 and 50). Out: what the caller does next.

use async_nats::Message;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::BusError;

/// A moment of the server's.
pub(super) fn moment(nanos: i128) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// An error of JetStream's API.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub code: u16,
    #[serde(default)]
    pub err_code: u64,
    #[serde(default)]
    pub description: String,
}

/// Someone else wrote the subject first.
pub(super) const WRONG_LAST_SEQUENCE: u64 = 10071;
/// The same, where the server names no sequence.
pub(super) const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10164;
/// A message of the batch is in the dedupe window.
pub(super) const BATCH_DUPLICATE: u64 = 10201;
/// The same id is being stored at this moment (replicated streams).
const DUPLICATE_IN_FLIGHT: u64 = 10158;
/// A part of a batch did not arrive: a connection broke, or a part was refused.
pub(super) const BATCH_INCOMPLETE: u64 = 10176;
/// No message has that sequence or subject.
pub(super) const NO_MESSAGE: u64 = 10037;
const STREAM_NOT_FOUND: u64 = 10059;
const CONSUMER_NOT_FOUND: u64 = 10014;
/// The store took no more: a limit of the stream, or the disk.
const STORE_FAILED: u64 = 10077;
/// Limits of the account and the server, and a lack of disk or memory.
const NO_ROOM: [u64; 4] = [10002, 10023, 10028, 10047];
/// Too many batches are under way: soon there are fewer.
const TOO_MANY: [u64; 2] = [10167, 10210];

impl ApiError {
    /// What it means for the caller. `what` is what was asked for.
    pub fn into_bus_error(self, what: &str) -> BusError {
        let text = format!("{what}: {} ({})", self.description, self.err_code);
        match self.err_code {
            STREAM_NOT_FOUND | CONSUMER_NOT_FOUND => BusError::Missing(what.to_owned()),
            STORE_FAILED if self.description.contains("maximum") => BusError::Full(text),
            code if NO_ROOM.contains(&code) => BusError::Full(text),
            // Whether what is being stored will be, a cluster's next leader decides.
            BATCH_INCOMPLETE | STORE_FAILED | DUPLICATE_IN_FLIGHT => BusError::Unavailable(text),
            code if TOO_MANY.contains(&code) => BusError::Unavailable(text),
            _ if self.code >= 500 => BusError::Unavailable(text),
            _ => BusError::Refused(text),
        }
    }
}

/// The answer to a publish.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PubAck {
    #[serde(default)]
    pub seq: u64,
    #[serde(default)]
    pub duplicate: bool,
    /// How many messages of a batch were stored.
    #[serde(default)]
    pub count: Option<usize>,
    #[serde(default)]
    pub error: Option<ApiError>,
}

/// Reads the answer to a request.
pub(super) fn parse<T: for<'a> Deserialize<'a>>(
    what: &str,
    message: &Message,
) -> Result<T, BusError> {
    serde_json::from_slice(&message.payload).map_err(|error| {
        BusError::Unavailable(format!("{what}: an answer that is not understood: {error}"))
    })
}
