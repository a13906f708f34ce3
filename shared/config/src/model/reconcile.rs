//! `[reconcile]`: bringing bases back that run something other than what was decided.
//! In: serde. Out: [`Reconcile`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[reconcile]`: what is done with a base that lost a module, or runs another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reconcile {
    /// Whether such a base is brought back by itself. Without it, it is only shown.
    pub enabled: bool,
    /// Repairs of one module on one base within `window`; then it is given up. Five: a base that is
    /// restarted a few times by hand still gets its modules, one that falls over from them is left alone.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: u32,
    /// The time in which `attempts` are counted. An hour: longer than a base needs to show that it stays.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub window: Duration,
    /// The least time between the first repair of a base and the second; it doubles with each further one.
    /// Half a minute: a base that restarts in a loop is through with one round of it.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "1day"))]
    pub pause: Duration,
}

impl Default for Reconcile {
    fn default() -> Self {
        Self {
            enabled: true,
            attempts: 5,
            window: Duration::from_secs(3600),
            pause: Duration::from_secs(30),
        }
    }
}
