//! Observations: whether a module is active, answering and well on a base.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{PlanId, RunId, Stop, TaskId};

/// What a module must answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Probe {
    /// The path on the base, from the root.
    pub path: String,
    /// The status that it must answer with.
    pub status: u16,
    /// A text that the body must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// One request's limit, in milliseconds.
    pub timeout_ms: u64,
    /// By when it must have answered well once, in milliseconds from the request.
    pub deadline_ms: u64,
    /// Between two requests, in milliseconds.
    pub interval_ms: u64,
}

/// `observation.requested`: look at a module on a base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// The observation: derived from the task.
    pub observation: Uuid,
    /// The task whose effect is looked at.
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
    /// The name under which the base knows the module.
    pub biz: String,
    /// The version that must be active; none: the module must be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The revision of the module on the base that the task left.
    pub revision: u64,
    /// What it must answer; none: being active is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// For how long it must stay well, in milliseconds.
    pub soak_ms: u64,
}

/// `module.answering`: the probe passed for the first time; the soak goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answering {
    /// The observation.
    pub observation: Uuid,
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The base.
    pub base: String,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it answered; none without a probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// What a probe was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body's first 200 characters.
    pub excerpt: String,
    /// How long the answer took, in milliseconds.
    pub millis: u64,
}

/// `testsuiterun.finished`: the observation's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The observation.
    pub observation: Uuid,
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
    /// The revision that was seen; a verdict on another one than the task's is ignored.
    pub revision: u64,
    /// Why it failed; nothing when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The last answer, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}
