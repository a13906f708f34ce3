//! Bases as they were last seen.
//!
//! In: serde. Out: [`BaseView`].

use ferry_events::{Timestamp, base::ModuleOnBase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a base is there.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum BaseState {
    /// It answers.
    Joined,
    /// It has not answered several times in a row.
    Lost,
    /// Nothing is known of it yet.
    Unknown,
}

/// Room for classes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metaspace {
    /// In use.
    pub used: u64,
    /// The limit, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// A base of the configuration, as it was last seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaseView {
    /// Its name.
    pub name: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
    /// Its zone.
    pub zone: String,
    /// The address at which its modules answer.
    pub url: String,
    /// Whether it is there.
    pub state: BaseState,
    /// What it carries, sorted; of a lost base, what it carried last.
    pub modules: Vec<ModuleOnBase>,
    /// Room for classes, where the base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace: Option<Metaspace>,
    /// When it was last seen to change, or last answered before it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Why it counts as lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
