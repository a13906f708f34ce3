//! What a rollout waits for.
//!
//! In: serde, [`ferry_events::gate`]. Out: [`GateView`], [`VerdictView`].

use ferry_events::gate::{Ask, Judged, Point, Requested, Verdict};
use ferry_events::{PlanId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A gate at which a rollout waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    /// This wait.
    pub gate: Uuid,
    /// The plan that waits.
    pub plan: PlanId,
    /// Its name: `approval`, `metric NAME`, `check NAME`, `window …`, `freeze …`, `pause`, `paused …`.
    pub name: String,
    /// Where the rollout is.
    pub point: Point,
    /// What is waited for, in a sentence.
    pub what: String,
    /// What it asks.
    pub ask: Ask,
    /// Since when it waits.
    pub since: Timestamp,
    /// Until when it waits; then the rollout stops, and goes back if it had begun.
    pub until: Timestamp,
    /// When it ends by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// The last verdict, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<VerdictView>,
}

/// A verdict on a gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictView {
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// When it was judged.
    pub at: Timestamp,
}

impl GateView {
    /// Whether it halts until a person decides: it could not be told whether it holds.
    pub fn is_halted(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.verdict == Verdict::Inconclusive)
    }
}

impl From<&Requested> for GateView {
    fn from(it: &Requested) -> Self {
        Self {
            gate: it.gate,
            plan: it.plan.clone(),
            name: it.name.clone(),
            point: it.point,
            what: it.what.clone(),
            ask: it.ask.clone(),
            since: it.since,
            until: it.until,
            opens: it.opens,
            last: None,
        }
    }
}

impl VerdictView {
    /// A verdict of the verifier, and when it came.
    pub fn of(it: &Judged, at: Timestamp) -> Self {
        Self {
            verdict: it.verdict,
            seen: it.seen.clone(),
            at,
        }
    }
}
