//! Facts: small records that one service keeps for the others to read.
//!
//! A fact is written in the same batch as the state that it follows from, so the two never differ.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PlanId, RunId, Stop, Timestamp};

/// `ferry.facts.scheduler.plan.<module>.<environment>`: the plan in force. The installer reads it from the
/// leader before each change: a task of any other plan does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActivePlan {
    /// The plan; none while nothing is being rolled out.
    pub plan: Option<PlanId>,
    /// Its run.
    pub run: Option<RunId>,
}

/// `ferry.facts.scheduler.wanted.<module>.<environment>`: what bases should run of a module in an
/// environment, and what is done where one does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wanted {
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// The name under which bases know the module.
    pub biz: String,
    /// The version that was verified last, by pool. A pool that is not here should be without the module.
    pub versions: BTreeMap<String, String>,
    /// The rollout in hand: until it ends, its bases may run either version, and no repair begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RunId>,
    /// Bases that were seen to run something else, or could not be brought back, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub owed: BTreeMap<String, Owed>,
}

/// A base that is to be brought back to what it should run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owed {
    /// Since when that is known.
    pub since: Timestamp,
    /// The repair that has it in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<RunId>,
    /// How many repairs were begun for it within the window.
    pub repairs: u32,
    /// When the next one may begin; none: there will be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Whether it does not answer: then it is waited for.
    #[serde(default)]
    pub lost: bool,
    /// Why the last attempt failed, or why there will be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// `ferry.facts.installer.base.<base>`: what the installer left on a base. While a task is in hand, that it changes a
/// module shows in its revision, and what came of it once it ends.
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
