//! Bases as they were last seen.
//!
//! In: serde. Out: [`BaseView`], [`BaseRequest`].

use ferry_events::{RunId, Timestamp, base::ModuleOnBase, line::Standing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StopView;

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

/// A module on a base: what it should run beside what it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WantedView {
    /// The module.
    pub module: String,
    /// The version that was decided; none: the base should be without the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// What is there, as it was last seen.
    pub actual: Vec<ModuleOnBase>,
    /// Whether that is the wanted version, active and alone.
    pub agrees: bool,
    /// The rollout in hand: until it ends, the base may run either version, and no repair begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RunId>,
    /// What is done about it, where the base is known to differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<RepairView>,
}

/// Bringing a base back to what it should run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RepairView {
    /// Since when it is known that the base differs.
    pub since: Timestamp,
    /// The repair that has it in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// How many repairs were begun for it within the window.
    pub repairs: u32,
    /// When the next one may begin; none: it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Why the last one failed, or why there will be no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

impl RepairView {
    /// Whether nothing more is tried by itself.
    pub fn is_given_up(&self) -> bool {
        self.run.is_none() && self.next.is_none()
    }
}

/// How far the restart of a base is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestartState {
    /// It is on the list, and waits for its turn.
    Listed,
    /// It has its turn: its modules are asked whether they can spare it.
    Asked,
    /// It is being restarted.
    Restarting,
    /// It answers again; its modules are being brought back.
    Settling,
    /// The last restart failed.
    Failed,
}

/// The restart of a base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestartView {
    /// How far it is.
    pub state: RestartState,
    /// Since when.
    pub since: Timestamp,
    /// Why it is to be restarted; none: that is long past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the pool has a driver that does it; else a person has to.
    pub driven: bool,
    /// Why the last one failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
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
    /// What it should run beside what it runs, sorted by module; of modules that Ferry decided on.
    #[serde(default)]
    pub wanted: Vec<WantedView>,
    /// Room for classes, where the base tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metaspace: Option<Metaspace>,
    /// When it was last seen to change, or last answered before it was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// Why it counts as lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// That it is left alone by rollouts and repairs: since when, by whose word and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Standing>,
    /// Its restart, where one is to be done or the last one failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartView>,
}

/// `POST /bases/{base}/hold`, `/release`, `/restart`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseRequest {
    /// Why, in your words.
    pub why: String,
}
