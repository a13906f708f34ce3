//! `[releases.NAME]`: modules that go live together, or not at all.
//! In: serde. Out: [`ReleaseOf`], [`MemberOf`].

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Modules of one repository that go live together: where a push touches several of them, all are verified
/// in an environment, or all go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseOf {
    /// How long one of them waits for the others in an environment; then all go back. Default: one day, as
    /// long as an approval is waited for.
    #[serde(default = "one_day", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub wait: Duration,
    /// The modules, by their names.
    #[schemars(extend("propertyNames" = crate::text::name_schema()))]
    pub modules: BTreeMap<String, MemberOf>,
}

/// One module of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MemberOf {
    /// Modules of the release that must be well in an environment before this one begins there.
    pub after: Vec<String>,
}

fn one_day() -> Duration {
    Duration::from_secs(24 * 3600)
}
