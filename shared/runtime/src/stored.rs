//! A state as it is stored: with its own sequence and the claim on its work.
//!
//! On the bus: JSON of [`Stored`] at `ferry.state.<service>.<key>`.

use ferry_events::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Retry;

/// A worker's claim on an aggregate's work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The worker: a process of the service.
    pub by: Uuid,
    /// Until when the others leave it alone.
    pub until: Timestamp,
    /// How often this work was begun and did not end, this time included: its worker died. A drain
    /// does not count.
    pub tries: u32,
    /// How often this work was begun, this time included, however it ended.
    #[serde(default)]
    pub begun: u32,
    /// Counts the claims of this aggregate: an outcome of an older one is not taken.
    pub number: u64,
}

/// An aggregate's record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored<S> {
    /// Counts the transitions. Event ids are derived from it; claims and retries are none.
    pub sequence: u64,
    /// How many claims there were.
    #[serde(default)]
    pub claims: u64,
    /// Who does its work now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Its work failed for a cause that may pass, and is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// The service's own state.
    pub state: S,
}
