//! A commit is built.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{RunId, Stop};

/// `build.queued` and `build.started`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// The run that waits for it.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The build: one a commit, module and configuration. Several runs may share it.
    pub build: Uuid,
    /// The commit.
    pub commit: String,
}

/// `build.finished`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The run that waited for it.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The build.
    pub build: Uuid,
    /// Why it failed; nothing when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// For how long the build tool ran, in milliseconds; 0 for a reused build.
    pub millis: u64,
    /// Whether an earlier build of the same commit and configuration served.
    pub reused: bool,
}
