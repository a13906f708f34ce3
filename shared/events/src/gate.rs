//! Gates: what must hold between two waves, before the first, and after the last.
//!
//! The scheduler says what a rollout waits for (`gate.requested`) and how that ended (`gate.finished`).
//! Metrics and outside checks are judged by the verifier (`gate.judged`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{PlanId, RunId, Stop, Timestamp, ids::derive};

/// A place between waves.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Before the first wave.
    Start,
    /// After this wave, from 1, and before the next one.
    After(u32),
    /// After the last wave and the soak.
    End,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start => f.write_str("before the first wave"),
            Self::After(wave) => write!(f, "after wave {wave}"),
            Self::End => f.write_str("after the last wave"),
        }
    }
}

/// Kinds of places at which a gate of a plan stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// [`Point::Start`].
    Start,
    /// Every [`Point::After`].
    Wave,
    /// [`Point::End`].
    End,
}

impl Point {
    /// What kind of place it is.
    pub fn place(self) -> Place {
        match self {
            Self::Start => Place::Start,
            Self::After(_) => Place::Wave,
            Self::End => Place::End,
        }
    }
}

/// What a gate asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// People say yes.
    Approval {
        /// Who may, by the names of their tokens; empty: whoever has the role.
        by: Vec<String>,
        /// How many of them.
        count: u32,
        /// Who may not: the author, and whoever asked for the run, where that is set.
        not: Vec<String>,
    },
    /// A metric stays within bounds.
    Metric {
        /// Address of Prometheus.
        url: String,
        /// The query, with everything put in.
        query: String,
        /// The least value that is well, as a decimal number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<String>,
        /// The greatest value that is well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<String>,
        /// Between two queries, in milliseconds.
        interval_ms: u64,
        /// So many well values in a row pass.
        count: u32,
    },
    /// Somebody outside says yes over HTTP.
    Check {
        /// Where the CloudEvent is posted.
        url: String,
        /// Between two questions, in milliseconds.
        interval_ms: u64,
    },
    /// Other modules of the same release: to begin, those that it comes after; at the end, all of them.
    Release {
        /// The release.
        name: String,
        /// The other modules.
        modules: Vec<String>,
    },
    /// A window opens, a freeze ends.
    Calendar,
    /// The time between two waves.
    Pause,
    /// A person who paused it resumes it.
    Line,
    /// A person lets it go on or aborts it, because it could not be told whether a gate holds.
    Decision,
}

impl Ask {
    /// Whether the verifier judges it.
    pub fn is_judged(&self) -> bool {
        matches!(self, Self::Metric { .. } | Self::Check { .. })
    }
}

/// A gate of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// Its name: `approval`, `metric NAME`, `check NAME`, `release NAME`.
    pub name: String,
    /// Where it stands.
    pub at: Vec<Place>,
    /// How long it is waited for, in milliseconds.
    pub deadline_ms: u64,
    /// What it asks.
    pub ask: Ask,
}

/// The id of a gate at a place of a plan.
pub fn gate_id(plan: &PlanId, point: Point, name: &str) -> Uuid {
    let point = serde_json::to_string(&point).expect("a point is always JSON");
    derive("gate", &[&plan.to_string(), &point, name])
}

/// `gate.requested`: a rollout waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// This wait: derived from the plan, the place and the name.
    pub gate: Uuid,
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The version that is rolled out.
    pub version: String,
    /// The gate's name; `window …`, `freeze …`, `pause` and `paused …` are none of the plan's.
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
}

/// A verdict on a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// It could not be told: no data, no answer. The rollout halts until a person decides.
    Inconclusive,
}

/// `gate.judged`: the verifier's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// The wait.
    pub gate: Uuid,
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The gate's name.
    pub name: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What was seen: the values, the answer, or why there is none.
    pub seen: String,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds; the rollout goes on.
    Passed,
    /// It does not; the rollout stops.
    Failed,
    /// It was not known by its deadline; the rollout stops.
    Expired,
    /// A person let the rollout go on without it.
    Promoted,
    /// The rollout ended for another reason.
    Cancelled,
}

/// `gate.finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The wait.
    pub gate: Uuid,
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The gate's name.
    pub name: String,
    /// Where the rollout is.
    pub point: Point,
    /// How it ended.
    pub outcome: Outcome,
    /// The people who let it pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// What was seen, or why a person let it pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Why the rollout stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}
