//! What is kept for good: which events the stream `FERRY_AUDIT` holds.
//!
//! In: a kind. Out: whether it is kept. A kind is kept unless it is named here: what is new cannot be forgotten.

use crate::Kind::{self, *};

/// Kinds that only tell how far something is: what became of it is said by another kind.
const PASSING: &[Kind] = &[
    BuildQueued,
    BuildStarted,
    RunStarted,
    TaskRequested,
    TaskStarted,
    ObservationRequested,
    ModuleAnswering,
    BaseChanged,
    LineAsked,
    LineTold,
    JointReported,
    RestartAsked,
    RestartGiven,
    RestartRequested,
    WorkRetried,
];

impl Kind {
    /// Whether an event of this kind is an act, a decision or an outcome: it is kept when the stream of events
    /// has forgotten it.
    pub fn is_kept(self) -> bool {
        !PASSING.contains(&self)
    }
}
