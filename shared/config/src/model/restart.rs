//! `[pools.NAME.restart]`: how a base is restarted, and how long each part of it may take.
//! In: serde. Out: [`Restart`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The driver that restarts bases of the pool. Without it a person has to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The command, run by the installer without a shell: a program and its arguments, in which `{base}`
    /// and `{zone}` stand for names. It ends once the old process has ended; with 0, or the restart failed.
    /// A restart that the installer did not live to the end of is run again.
    #[schemars(length(min = 1), inner(length(min = 1)))]
    pub exec: Vec<String>,
    /// How long the command may take; then it is killed. Default: 5 minutes.
    #[serde(default = "minutes::<5>", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "1h"))]
    pub timeout: Duration,
    /// How long after the command until the base answers. Default: 5 minutes.
    #[serde(default = "minutes::<5>", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "1h"))]
    pub ready: Duration,
    /// How long after that until its modules are back; it is out of its load balancer until then. Default: 15
    /// minutes.
    #[serde(default = "minutes::<15>", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "1day"))]
    pub settle: Duration,
    /// How long to wait for a moment in which no module needs the base. Default: 1 hour.
    #[serde(default = "minutes::<60>", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "7days"))]
    pub wait: Duration,
    /// The least time between two restarts of a base by its mark. Default: 1 hour.
    #[serde(default = "minutes::<60>", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub every: Duration,
}

fn minutes<const N: u64>() -> Duration {
    Duration::from_secs(N * 60)
}
