//! Bases: there, changed, lost; and modules on them that nobody decided.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

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
    /// Its limit, in bytes, where there is one and the base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace_max: Option<u64>,
    /// When it was seen.
    pub at: Timestamp,
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
}
