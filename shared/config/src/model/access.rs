//! Who may do what through the API: `[tokens.NAME]` and its grants.
//! In: serde. Out: [`Token`], [`Grant`], [`Role`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One bearer token of the API. Its name is the author of what is done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// `sha256:` and the 64 hex digits of the token's SHA-256; the token itself
    /// is never written down. Made by [`crate::hash_token`].
    #[schemars(extend("format" = "token-hash", "pattern" = "^sha256:[0-9a-f]{64}$"))]
    pub hash: String,
    /// What it may do; a request is allowed when one grant allows it.
    #[schemars(length(min = 1))]
    pub grants: Vec<Grant>,
}

/// One role, on some modules, in some environments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// What may be done.
    pub role: Role,
    /// Globs of module names. Default: all.
    #[serde(default = "all")]
    #[schemars(length(min = 1), extend("items" = crate::text::item_schema("glob")))]
    pub modules: Vec<String>,
    /// Globs of environment names. Default: all.
    #[serde(default = "all")]
    #[schemars(length(min = 1), extend("items" = crate::text::item_schema("glob")))]
    pub environments: Vec<String>,
}

/// A role; each includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read runs, bases, events and logs.
    View,
    /// Run, deploy, roll back.
    Operate,
    /// Also let a waiting rollout pass.
    Approve,
    /// Everything, the configuration included.
    Admin,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}
