//! Modules: what is live where.
//!
//! In: serde. Out: [`ModuleView`].

use ferry_events::{Digest, RunId, Timestamp, base::Drifted};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A module of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModuleView {
    /// Its name.
    pub name: String,
    /// Its repository.
    pub repository: String,
    /// The team that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Its environments, in order.
    pub environments: Vec<LiveView>,
}

/// What is live of a module in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LiveView {
    /// The environment.
    pub environment: String,
    /// The version that is live; none: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The commit that it was built from, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its packaged artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaged: Option<Digest>,
    /// Whether it is verified on every base.
    pub verified: bool,
    /// The run that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The run that is changing it now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing: Option<RunId>,
    /// Bases that run something else than was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drifted: Vec<Drifted>,
}
