//! Stopping the line: what is paused, what waits, and the requests that change it.
//!
//! In: serde. Out: [`LineView`], [`WaitView`], [`StretchRequest`], [`RolloutRequest`].

use ferry_events::RunId;
use ferry_events::line::Standing;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GateView;

/// `GET /line`: what stands still.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineView {
    /// The pauses that stand, the oldest first.
    pub paused: Vec<Standing>,
    /// What rollouts wait for, the oldest first.
    pub waiting: Vec<WaitView>,
}

/// A rollout that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitView {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// What it waits for.
    pub gate: GateView,
}

/// `POST /runs/{id}/approve`, `/promote`: say yes to a rollout that waits, or let it go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutRequest {
    /// The environment. Default: the one that the run is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Why, in your words.
    pub why: String,
}

/// `POST /line/pause`, `/resume`, `/abort`: exactly one of `run`, `module`, `environment` and
/// `everything` says what it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StretchRequest {
    /// A run, by its id or the id's first digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// A module, in every environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// An environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Everything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everything: bool,
    /// Why, in your words; needed to pause and to abort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
