//! A state as it is stored: with its own sequence and the claim on its work.
//!
//! On the bus: JSON of [`Stored`] at `ferry.state.<service>.<key>`.

use ferry_events::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Retry, Traces};

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
    /// Which traces the runs, pushes and commands are in that the state names.
    #[serde(default, skip_serializing_if = "Traces::is_empty")]
    pub traces: Traces,
}

impl<S: Serialize> Stored<S> {
    /// The record as it is stored; first it forgets the traces of what its state does not name any more.
    pub(crate) fn settle(&mut self) -> Vec<u8> {
        let payload = self.json();
        if self.traces.is_empty() {
            return payload;
        }
        // They stand last, and name each themselves.
        let traces = serde_json::to_vec(&self.traces).expect("a map is always JSON");
        let rest = payload.len() - traces.len() - 1;
        if self.traces.keep_named_in(&payload[..rest]) {
            return self.json();
        }
        payload
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a state is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use ferry_events::Traceparent;

    use super::*;

    #[test]
    fn a_record_keeps_the_traces_of_what_its_state_names_and_comes_back() {
        let (run, past) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut stored = Stored {
            state: vec![run],
            ..Stored::default()
        };
        for id in [run, past] {
            stored.traces.heard(id, Traceparent::root(past));
        }
        let payload = stored.settle();
        assert_eq!(stored.traces.of([run]), Some(Traceparent::root(past)));
        assert_eq!(stored.traces.of([past]), None);
        let read: Stored<Vec<Uuid>> = serde_json::from_slice(&payload).unwrap();
        assert_eq!(read, stored);
        stored.state.clear();
        let payload = String::from_utf8(stored.settle()).unwrap();
        assert!(!payload.contains("traces"), "{payload}");
    }
}
