//! Rollouts: carrying one release to one environment, by an immutable plan of waves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, PlanId, RunId, Stop, artifact::Release, ids, task::Want};

/// What a rollout brings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// This release.
    Release(Box<Release>),
    /// The verified release before the one that is live, or the one with this version.
    Back {
        /// The version to go back to; none: the one before.
        to: Option<String>,
    },
}

/// `rollout.requested`: a run has come to an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The branch that `order` counts in.
    pub branch: String,
    /// The head's sequence: a higher one of the same branch supersedes.
    pub order: u64,
    /// What to bring.
    pub aim: Aim,
}

/// Whether a plan goes forward or undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// It brings a release.
    Forward,
    /// It brings back what was verified before, because the rollout failed.
    Back,
    /// It brings bases that run something else back to what was verified last.
    Repair,
}

/// One base's change under a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// What it shall run; none: it shall be without the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
}

/// The immutable list of waves that a rollout follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// Forward, back, or a repair.
    pub direction: Direction,
    /// Counts the plans of this module in this environment, so that no two have one digest.
    pub generation: u64,
    /// The configuration's revision that it was made from.
    pub configuration: Digest,
    /// Bases changed side by side, wave after wave.
    pub waves: Vec<Vec<Step>>,
}

impl Plan {
    /// The plan's name: the digest of its canonical JSON.
    pub fn id(&self) -> PlanId {
        ids::Digest::of(&serde_json::to_vec(self).expect("a plan is always JSON"))
    }

    /// The bases of all waves, in order.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.waves.iter().flatten().map(|step| step.base.as_str())
    }
}

/// `rollout.planned`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// The plan's name.
    pub id: PlanId,
    /// The plan, whole.
    pub plan: Plan,
    /// The version that it brings; none: it takes the module out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// `wave.started` and `wave.finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wave {
    /// The run.
    pub run: RunId,
    /// The plan.
    pub plan: PlanId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// Forward or back.
    pub direction: Direction,
    /// Which wave, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// Its bases.
    pub bases: Vec<String>,
    /// Why it failed; only on `wave.finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutOutcome {
    /// The release is verified on every base.
    Verified,
    /// It failed, and every base that it touched is as it was before.
    RolledBack,
    /// It failed, and a base could not be brought back.
    Broken,
    /// It failed before any base was touched.
    Stopped,
    /// A newer one took its place before it began; of a repair: before it ended.
    Superseded,
}

/// `rollout.finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// How it ended.
    pub outcome: RolloutOutcome,
    /// The version that is live there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// `service.deployed`, `.upgraded`, `.rolledback`: once an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The version that is live now.
    pub version: String,
    /// Its packaged digest.
    pub packaged: Digest,
    /// The version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}
