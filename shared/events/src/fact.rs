//! Facts: small records that one service keeps for the others to read.
//!
//! A fact is written in the same batch as the state that it follows from, so the two never differ.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PlanId, RunId};

/// `ferry.facts.scheduler.plan.<module>.<environment>`: the plan in force. The installer reads it from the
/// leader before each change: a task of any other plan does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivePlan {
    /// The plan; none while nothing is being rolled out.
    pub plan: Option<PlanId>,
    /// Its run.
    pub run: Option<RunId>,
}

/// `ferry.facts.installer.base.<base>`: what the installer left on a base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaseRecord {
    /// Whether a task is in hand there.
    pub busy: bool,
    /// What it left, by module.
    pub modules: BTreeMap<String, Left>,
}

/// What the installer left of one module on one base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Left {
    /// The name under which the base knows the module.
    pub biz: String,
    /// The version; none: it was taken out.
    pub version: Option<String>,
    /// How often the module was changed there.
    pub revision: u64,
}
