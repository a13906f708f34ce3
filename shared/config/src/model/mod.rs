//! The typed configuration: what a checked `ferry.toml` (with its `conf.d/`)
//! becomes. Data only; the questions that are asked of it are in `ask.rs`.
//! In: serde (from the checked tree, or from the JSON of a stored revision).
//! Out: [`Config`], whose field names are the keys of the file.

mod access;
mod amount;
mod builder;
mod drain;
mod environment;
mod gate;
mod module;
mod own;
mod reconcile;
mod release;
mod repository;
mod restart;
mod services;
mod telemetry;

pub use access::{Grant, Role, Token};
pub use amount::{AMOUNT_MAX, Amount, Percent};
pub use builder::{Builder, Sandbox, Snippets};
pub use drain::{AtDeadline, Call, CallMethod, Drain, DrainCheck, DrainFor};
pub use environment::{Base, Environment, Pool, Rollback, Supersede};
pub use gate::{Approval, At, Check, Freeze, Metric, Window};
pub(crate) use module::{BASE_JAR, BIZ_JAR};
pub use module::{Build, Module, ModuleKind, Probe, Slim, Versions};
pub use own::{ModuleFile, OwnKey, Policy, keys_in_words};
pub use reconcile::Reconcile;
pub use release::{MemberOf, ReleaseOf};
pub use repository::{Forge, Repository, Team};
pub use restart::Restart;
pub use services::{Bus, Gateway, Installer, Verifier};
pub use telemetry::Telemetry;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole configuration of one Ferry.
///
/// Every key of a table of names (`modules.hello`) matches `[a-z0-9-]{1,63}`,
/// because names become subject tokens on the bus.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the message bus is.
    pub bus: Bus,
    /// The service that takes webhooks and serves the API.
    pub gateway: Gateway,
    /// The service that builds commits.
    pub builder: Builder,
    /// The service that changes bases.
    pub installer: Installer,
    /// The service that looks at bases.
    pub verifier: Verifier,
    /// What is done with bases that run something other than what was decided.
    pub reconcile: Reconcile,
    /// Where traces are sent.
    #[serde(skip_serializing_if = "Telemetry::is_off")]
    pub telemetry: Telemetry,
    /// API tokens by the name under which their acts are recorded.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub tokens: BTreeMap<String, Token>,
    /// Teams: owners of repositories.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub teams: BTreeMap<String, Team>,
    /// Git repositories whose pushes are taken.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub repositories: BTreeMap<String, Repository>,
    /// Modules: what is built from a repository and installed on bases.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub modules: BTreeMap<String, Module>,
    /// Environments: one chain, each after the one before.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub environments: BTreeMap<String, Environment>,
    /// Times in which nothing is rolled out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub freezes: BTreeMap<String, Freeze>,
    /// Bounds of what modules set in their own `.ferry.toml`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub policies: BTreeMap<String, Policy>,
    /// Releases: modules that go live together.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub releases: BTreeMap<String, ReleaseOf>,
    /// Pools: the bases of one environment that are built alike.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub pools: BTreeMap<String, Pool>,
}
