//! Bases: there, changed, lost; and modules on them that nobody decided.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RunId, Stop, Timestamp};

/// A module as a base reports it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ModuleOnBase {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version`.
    pub version: String,
    /// The state, in lower case: `activated`, `deactivated`, `resolved`, `broken`.
    pub state: String,
}

/// `base.joined` and `base.changed`: what a base reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
    /// Its zone.
    pub zone: String,
    /// Its modules, sorted.
    pub modules: Vec<ModuleOnBase>,
    /// Metaspace in use, in bytes, where the base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_used: Option<u64>,
    /// Metaspace taken from the system, in bytes, where the base tells: what installs are held back by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_committed: Option<u64>,
    /// Its limit, in bytes, where there is one and the base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_max: Option<u64>,
    /// When it was seen.
    pub at: Timestamp,
    /// Of each module that Ferry changed there: how often, as the installer's record said after the look.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<String, u64>,
    /// Counts what was said of this base: what has a lower one was said before.
    #[serde(default)]
    pub sighting: u64,
}

/// `base.lost`: a base has not answered several times in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
    /// When it last answered; none: never since Ferry looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// What the last attempt met.
    pub why: String,
    /// Counts what was said of this base: what has a lower one was said before.
    #[serde(default)]
    pub sighting: u64,
}

/// `module.drifted`: a base runs something other than what was decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drifted {
    /// The base.
    pub base: String,
    /// The environment.
    pub environment: String,
    /// The module.
    pub module: String,
    /// The version that was decided; none: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The versions that are there.
    pub actual: Vec<String>,
    /// The revision of the module in the base's record that this was seen against; a lower one is stale.
    #[serde(default)]
    pub revision: u64,
    /// Counts what was said of this base: what has a lower one was said before.
    #[serde(default)]
    pub sighting: u64,
}

/// `module.givenup`: a module was brought back on a base as often as it may be; it is not tried again
/// before a rollout, or before something new is seen there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GivenUp {
    /// The base.
    pub base: String,
    /// The environment.
    pub environment: String,
    /// The module.
    pub module: String,
    /// The version that it should run; none: it should be without the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// How often it was brought back within the window.
    pub repairs: u32,
    /// Why it ends here.
    pub stop: Stop,
}

/// `base.quarantined`: a module could not be brought back there. The base gets no rollouts until a repair
/// has brought it back, or a person releases it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantined {
    /// The base.
    pub base: String,
    /// The environment.
    pub environment: String,
    /// The module.
    pub module: String,
    /// The run that went back.
    pub run: RunId,
    /// Counts the plans of this module in this environment: what has a lower one was said before.
    pub generation: u64,
    /// Why it could not be brought back.
    pub stop: Stop,
}

/// `base.mended`: a module is there again as it should be, after it could not be brought back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mended {
    /// The base.
    pub base: String,
    /// The environment.
    pub environment: String,
    /// The module.
    pub module: String,
    /// The generation of the last quarantine that is over.
    pub generation: u64,
}
