//! Rollouts: carrying one release to one environment, by an immutable plan of waves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use crate::{
    Digest, PlanId, RunId, Stop, artifact::Release, gate::Gate, ids, joint::Joint, task::Want,
    verify::Probe,
};

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
    /// Who wrote the change, or asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Whether it may bring what failed there before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// The environments in which the run is verified.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed: Vec<String>,
    /// The release of several modules that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint: Option<Joint>,
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
    /// Its zone.
    #[serde(default)]
    pub zone: String,
}

/// How many bases of a zone may be out of service at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Zone {
    /// Bases of the module there.
    pub bases: u32,
    /// At most so many may be changed or lost at a time.
    pub max_unavailable: u32,
    /// At least so many must be in service while one is changed.
    pub min_available: u32,
}

/// How a rollout goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WayBack {
    /// Every touched base at once.
    #[default]
    AtOnce,
    /// Wave by wave, the last one first.
    ReverseWaves,
}

/// The limits that a plan keeps to, with every share counted out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// By zone.
    pub zones: BTreeMap<String, Zone>,
    /// Bases of the first wave.
    pub canary: u32,
    /// Bases of a later wave; 0: all the rest.
    pub parallel: u32,
    /// Failed bases that are put up with.
    pub max_failures: u32,
    /// Between two waves, in milliseconds.
    pub pause_ms: u64,
    /// How long all bases must stay well after the last wave, in milliseconds.
    pub soak_ms: u64,
    /// How long it waits at most for a calendar or a person, in milliseconds.
    pub wait_ms: u64,
    /// How it goes back.
    pub way_back: WayBack,
}

/// How a module is judged on each base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Judge {
    /// What it must answer; none: being active is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// For how long it must stay well on each base, in milliseconds.
    pub soak_ms: u64,
    /// Which of these the module set itself, by their keys in its `.ferry.toml`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<String>,
}

/// The immutable list of waves that a rollout follows, and all that it goes by.
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
    /// What a pool's bases shall run. Those of a pool that is not here shall be without the module.
    pub wants: BTreeMap<String, Want>,
    /// What to put back where that does not start: the last verified.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restores: BTreeMap<String, Want>,
    /// How each base is judged.
    pub judge: Judge,
    /// What it keeps to.
    pub limits: Limits,
    /// What must hold on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// Bases changed side by side, wave after wave.
    pub waves: Vec<Vec<Step>>,
    /// Bases of the module there that are not changed, in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// A base that a plan leaves alone. It gets what is verified once it may be changed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// The base, its pool and zone.
    #[serde(flatten)]
    pub step: Step,
    /// Why.
    pub why: Stop,
}

impl Plan {
    /// The plan's name: the digest of its canonical JSON.
    pub fn id(&self) -> PlanId {
        ids::Digest::of(&serde_json::to_vec(self).expect("a plan is always JSON"))
    }

    /// The bases of all waves, in order.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.steps().map(|step| step.base.as_str())
    }

    /// The steps of all waves, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.waves.iter().flatten()
    }

    /// The bases of all waves and those that are left alone.
    pub fn all(&self) -> impl Iterator<Item = &Step> {
        self.steps()
            .chain(self.left_out.iter().map(|one| &one.step))
    }

    /// What a step's base shall run; none: it shall be without the module.
    pub fn want(&self, step: &Step) -> Option<&Want> {
        self.wants.get(&step.pool)
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
    /// Why the rollout goes back; only on a plan back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Stop>,
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

/// `wave 2 of 3 back in prod`.
impl std::fmt::Display for Wave {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let back = match self.direction {
            Direction::Forward => "",
            Direction::Back => " back",
            Direction::Repair => " of the repair",
        };
        let (number, of, environment) = (self.number, self.of, &self.environment);
        write!(f, "wave {number} of {of}{back} in {environment}")
    }
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
    /// Bases that could not be changed, or brought back, each with its cause: they are quarantined until a repair
    /// brings them to what is live. The first hundred.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Stop>,
}

impl Finished {
    /// As many failed bases as are named: with causes of a line each that is well within a message.
    pub const FAILED_MAX: usize = 100;
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
