//! Tasks: one change on one base.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Digest, PlanId, RunId, Stop, TaskId};

/// A slimmed jar as a base shall run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Want {
    /// The slimmed jar's name in the store.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Its `Ark-Biz-Version`.
    pub version: String,
    /// Its `web-context-path`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_context_path: Option<String>,
}

/// `task.requested`: change this base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// The task.
    pub task: TaskId,
    /// The plan; only equality with the active one counts.
    pub plan: PlanId,
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The base.
    pub base: String,
    /// The name under which the base knows the module (`Ark-Biz-Name`).
    pub biz: String,
    /// What it shall run; none: it shall be without the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub want: Option<Want>,
    /// What to put back when the new one does not start: the last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Want>,
    /// The push or command that it came of: on a base these take turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Uuid>,
}

/// `taskrun.started`: the installer took the task in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// The task.
    pub task: TaskId,
    /// The plan.
    pub plan: PlanId,
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The base.
    pub base: String,
}

/// How long one step of a task took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepTime {
    /// `observe`, `fetch` (what of it was left after that), `drain`, `uninstall`, `install`, `restore`, `undrain`.
    pub step: String,
    /// Milliseconds.
    pub millis: u64,
}

/// `taskrun.finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The task.
    pub task: TaskId,
    /// The plan.
    pub plan: PlanId,
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The base.
    pub base: String,
    /// The version that was seen running afterwards; none: none was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// How often this module was changed on this base by now. Observations name it.
    pub revision: u64,
    /// Why it failed; nothing when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Where the time went.
    #[serde(default)]
    pub steps: Vec<StepTime>,
    /// Metaspace that the base took from the system while the module was installed, in bytes, where the pool
    /// asks for it and the base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_growth: Option<u64>,
}
