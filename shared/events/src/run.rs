//! A run: what one push causes for one module, from its change to its last environment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, PushId, RunId, Stop};

/// `pipelinerun.queued`: a run is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Queued {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// What it is for: a change, a way back, a repair.
    pub kind: RunKind,
    /// The environments that it will pass, in order.
    pub environments: Vec<String>,
    /// The repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The commit, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Who pushed or asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of the commit's message, or why a person asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The push that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// The command that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// It carries a change forward.
    Change,
    /// It goes back to a verified version, because a person asked.
    Rollback,
    /// It brings bases that run something else back to what was verified last.
    Repair,
}

/// `pipelinerun.started`: its first work began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// Where to look at it, absolute.
    pub uri: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Verified in its last environment.
    Success,
    /// It stopped; what was there before is there again.
    Failure,
    /// A newer run took its place.
    Cancel,
    /// It stopped, and something is not as it should be.
    Error,
}

/// `pipelinerun.finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// The environment in which it stopped, where it had come to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}
