//! Work that did not come off and is tried again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, PushId, RunId, Service, Stop, Timestamp};

/// `work.retried`: an attempt failed for a cause that may pass; the next one has its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Retried {
    /// Who does the work.
    pub service: Service,
    /// The aggregate whose work it is.
    pub work: String,
    /// What is tried, in a word: `fetch`, `build`, `slim`.
    pub what: String,
    /// The push that it is for, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// The command that it is for, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// The run that it is for, where there is one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The module, where it is for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Attempts that failed so far.
    pub tries: u32,
    /// Attempts at most; 4294967295 says that there is no end to them.
    pub most: u32,
    /// When the first one failed.
    pub first_at: Timestamp,
    /// When the next one begins.
    pub next_at: Timestamp,
    /// Why the last one failed.
    pub stop: Stop,
}
