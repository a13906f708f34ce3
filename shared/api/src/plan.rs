//! What would be done with a module, before it is done.
//!
//! In: serde. Out: [`PlanQuery`], [`PlanView`].

use ferry_events::question::Preview;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /modules/{module}/plan`: of what, and to where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    /// An artifact: the first digits of its SHA-256, its version, or a run that made it. Default: what is
    /// verified in the first environment that has something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// Only this environment. Default: all of the module's, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What would be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlanView {
    /// The module.
    pub module: String,
    /// In each environment, in order.
    pub environments: Vec<EnvironmentPlan>,
}

/// What would be done in one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentPlan {
    /// The plan and what surrounds it.
    #[serde(flatten)]
    pub preview: Preview,
    /// How long it should take, in milliseconds, as far as Ferry's own work goes: by how long the last
    /// changes of this module took, with soaks and pauses, without approvals and other gates. None: nothing
    /// to go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_ms: Option<u64>,
}
