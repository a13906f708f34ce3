//! Where modules go: `[environments.NAME]`, `[pools.NAME]`, `[[pools.NAME.bases]]`.
//! In: serde. Out: [`Environment`], [`Pool`], [`Base`].

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Drain;

/// One environment. Environments form one chain: exactly one has no `after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Environment {
    /// The environment that comes before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-names" = "environments"))]
    pub after: Option<String>,
    /// Bases in the first wave. One: the least that can show a fault.
    #[schemars(range(min = 1, max = 10_000))]
    pub canary: u32,
    /// Bases of one later wave; 0 means all the rest at once.
    #[schemars(range(min = 0, max = 10_000))]
    pub parallel: u32,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            after: None,
            canary: 1,
            parallel: 0,
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
    /// A file of more `[[bases]]`, read again when it changes. Its bases are
    /// already merged into `bases` here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "path"))]
    pub bases_file: Option<PathBuf>,
    /// How a base is taken out of its load balancer while a module is changed on it. Default: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
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

fn default_zone() -> String {
    "default".to_owned()
}
