//! Where modules go: `[environments.NAME]`, `[pools.NAME]`, `[[pools.NAME.bases]]`.
//! In: serde. Out: [`Environment`], [`Pool`], [`Base`]. The gates of an environment are in
//! `gate.rs`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Amount, Approval, Check, Drain, Metric, Restart, Window};

/// One environment. Environments form one chain: exactly one has no `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// The environment that comes before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-names" = "environments"))]
    pub after: Option<String>,
    /// Bases in the first wave. One: the least that can show a fault.
    pub canary: Amount,
    /// Bases of one later wave; 0 means all the rest at once.
    pub parallel: Amount,
    /// Bases of one zone that may be out of service at a time, being changed or lost. Default, and the most
    /// in any case: all but one, so that no zone with several bases is emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<Amount>,
    /// Bases of each zone that must stay in service while others are changed. A zone that has not so many
    /// is never changed: the plan is refused.
    pub min_available: Amount,
    /// Failed bases that a rollout puts up with; one more stops it and takes it back. The failed ones are
    /// repaired afterwards.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_failures: u32,
    /// Time between the end of a wave and the next one.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "0s", "x-most" = "7days"))]
    pub pause: Duration,
    /// How long all bases together must stay well after the last wave. Until it ends, a fault takes the
    /// rollout back by itself.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "0s", "x-most" = "7days"))]
    pub soak: Duration,
    /// How a rollout goes back.
    pub rollback: Rollback,
    /// What a newer push does to a rollout that soaks.
    pub supersede: Supersede,
    /// At least every so many-th run goes live, however many newer ones come.
    #[schemars(range(min = 1, max = 1000))]
    pub live_every: u32,
    /// A run that waited so long is not superseded any more.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub live_after: Duration,
    /// How long a rollout waits at most for a window, the end of a freeze, or a person who paused it; then
    /// it stops, and goes back if it had begun.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub wait: Duration,
    /// Somebody must say yes before the first wave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Metrics that must be well.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub metrics: BTreeMap<String, Metric>,
    /// When waves may begin; without any, always.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub windows: BTreeMap<String, Window>,
    /// Others who must say yes over HTTP.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub checks: BTreeMap<String, Check>,
}

/// How a rollout goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rollback {
    /// Every touched base at once: the quickest.
    #[default]
    AtOnce,
    /// Wave by wave, the last one first, within the limits of each zone.
    ReverseWaves,
}

/// What a newer push does to a rollout that soaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Supersede {
    /// It waits for the end of the soak.
    #[default]
    Finish,
    /// It cuts the soak short where it can begin at once. What was soaking never counts as verified.
    CutShort,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            after: None,
            canary: Amount::Count(1),
            parallel: Amount::Count(0),
            max_unavailable: None,
            min_available: Amount::Count(0),
            max_failures: 0,
            pause: Duration::ZERO,
            soak: Duration::ZERO,
            rollback: Rollback::default(),
            supersede: Supersede::default(),
            live_every: 10,
            live_after: Duration::from_secs(3600),
            wait: Duration::from_secs(7 * 24 * 3600),
            approval: None,
            metrics: BTreeMap::new(),
            windows: BTreeMap::new(),
            checks: BTreeMap::new(),
        }
    }
}

/// The bases of one environment that are built from one base repository.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The environment to which these bases belong.
    #[schemars(extend("x-names" = "environments"))]
    pub environment: String,
    /// The base's jar, or its profile as JSON: what the slimmer slims against.
    /// Without it nothing is left out of a module, and the slimmer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "path"))]
    pub base_jar: Option<PathBuf>,
    /// The base (a key of `modules`, of the kind `base`) from whose pushes these bases are built: the slimmer
    /// slims against the profile of the last build of it, and snippets are compiled against its jar. Instead of
    /// `base_jar`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-names" = "modules"))]
    pub base: Option<String>,
    /// A file of more `[[bases]]`, read again when it changes. Its bases are
    /// already merged into `bases` here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "path"))]
    pub bases_file: Option<PathBuf>,
    /// How a base is taken out of its load balancer while a module is changed on it. Default: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// Metaspace that installing a module is expected to take, in bytes, until installs have told: nothing is
    /// rolled out to a base that has less than this left. Default: nothing is asked or kept back.
    #[serde(default, skip_serializing_if = "is_none", with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "1KiB", "x-most" = "64GiB"))]
    pub metaspace_growth: u64,
    /// So much of its metaspace taken from the system, in percent of the limit, puts a base on the list of
    /// those to be restarted. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub metaspace_mark: Option<u8>,
    /// How its bases are restarted. Default: by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// The bases.
    #[serde(default)]
    pub bases: Vec<Base>,
}

/// One running JVM that takes modules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// Its name, unique over all pools; `[a-z0-9-]{1,63}`.
    #[schemars(extend("format" = "name", "pattern" = crate::text::NAME_PATTERN))]
    pub name: String,
    /// Address of its arklet (1238 is arklet's own default port). Unique.
    #[schemars(with = "String", extend("format" = "http-url"))]
    pub arklet: Url,
    /// Address at which its modules answer.
    #[schemars(with = "String", extend("format" = "http-url"))]
    pub url: Url,
    /// The data centre in which it stands. Default: `default`.
    #[serde(default = "default_zone")]
    #[schemars(extend("format" = "name", "pattern" = crate::text::NAME_PATTERN))]
    pub zone: String,
}

fn is_none(bytes: &u64) -> bool {
    *bytes == 0
}

fn default_zone() -> String {
    "default".to_owned()
}
