//! What must hold before a rollout goes on: approvals, metrics, windows, outside checks; and freezes.
//! In: serde. Out: [`Approval`], [`Metric`], [`Window`], [`Check`], [`Freeze`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::secret::SecretRef;

/// Between which waves a gate stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// Before the first wave.
    Start,
    /// After each wave that another one follows.
    Wave,
    /// After the last wave and its soak, before the environment counts as verified.
    End,
}

/// Somebody must say yes before the first wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// Who may: names of tokens, and teams as `team:NAME`. Default (empty): whoever has the role `approve`
    /// there. The role is needed in any case.
    #[serde(default)]
    #[schemars(extend("items" = crate::text::item_schema("approver")))]
    pub by: Vec<String>,
    /// How many different people. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10))]
    pub count: u32,
    /// Whether the author of the change, and whoever asked for the run, may not. Default: true.
    #[serde(default = "yes")]
    pub not_author: bool,
    /// How long it is waited for; then the rollout stops. Default: one day.
    #[serde(default = "day", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub deadline: Duration,
}

/// A query to Prometheus' HTTP API whose value must stay within bounds. No data is inconclusive: it halts
/// the rollout until a person decides, and never passes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Address of Prometheus; `/api/v1/query` is asked below it.
    #[schemars(with = "String", extend("format" = "http-url"))]
    pub url: Url,
    /// The query. `{module}`, `{version}`, `{environment}` and `{run}` are put in.
    #[schemars(length(min = 1))]
    pub query: String,
    /// The least value that is well, as a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "decimal"))]
    pub min: Option<String>,
    /// The greatest value that is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "decimal"))]
    pub max: Option<String>,
    /// Time between two queries. Default: 10 s, as often as Prometheus commonly scrapes.
    #[serde(default = "ten_seconds", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "100ms", "x-most" = "1h"))]
    pub interval: Duration,
    /// So many values in a row must be well; the first that is not fails the gate. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    pub count: u32,
    /// By when there must be a verdict; without one it is inconclusive. Default: 5 min.
    #[serde(default = "five_minutes", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "1day"))]
    pub deadline: Duration,
    /// Where it stands. Default: after each wave and at the end.
    #[serde(default = "wave_and_end")]
    #[schemars(length(min = 1))]
    pub at: Vec<At>,
    /// Bearer token for Prometheus. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "secret-reference"))]
    pub token: Option<SecretRef>,
}

/// When waves may begin. Where an environment has windows, one of them must be open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it opens, as cron writes it: minute, hour, day of the month, month, day of the week.
    #[schemars(extend("format" = "cron"))]
    pub opens: String,
    /// How long it stays open.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1m", "x-most" = "30days"))]
    pub open_for: Duration,
    /// The time zone, as the IANA names it. Default: `UTC`.
    #[serde(default = "utc")]
    #[schemars(extend("format" = "time-zone"))]
    pub time_zone: String,
}

/// No wave begins from one date to another, except with a reason. Going back is always allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// The first moment, as `2026-12-20` (midnight) or `2026-12-20T18:00`.
    #[schemars(extend("format" = "local-time"))]
    pub from: String,
    /// The first moment after it.
    #[schemars(extend("format" = "local-time"))]
    pub until: String,
    /// The time zone, as the IANA names it. Default: `UTC`.
    #[serde(default = "utc")]
    #[schemars(extend("format" = "time-zone"))]
    pub time_zone: String,
    /// Why, as it is shown to those who wait.
    #[schemars(length(min = 1))]
    pub why: String,
    /// Globs of environments. Default: all.
    #[serde(default = "all")]
    #[schemars(length(min = 1), extend("items" = crate::text::item_schema("glob")))]
    pub environments: Vec<String>,
    /// Globs of modules. Default: all.
    #[serde(default = "all")]
    #[schemars(length(min = 1), extend("items" = crate::text::item_schema("glob")))]
    pub modules: Vec<String>,
}

/// A question to somebody outside: a CloudEvent is posted, and the answer is awaited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Where the CloudEvent is posted. `200` with `{"verdict": "pass" | "fail", "why": …}` is an answer;
    /// `202` or `{"verdict": "wait"}` means: ask again.
    #[schemars(with = "String", extend("format" = "http-url"))]
    pub url: Url,
    /// Time between two questions while there is no answer. Default: 10 s.
    #[serde(default = "ten_seconds", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "100ms", "x-most" = "1h"))]
    pub interval: Duration,
    /// By when there must be an answer; without one it is inconclusive. Default: 5 min.
    #[serde(default = "five_minutes", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "30days"))]
    pub deadline: Duration,
    /// Where it stands. Default: before the first wave.
    #[serde(default = "start")]
    #[schemars(length(min = 1))]
    pub at: Vec<At>,
    /// Bearer token for it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "secret-reference"))]
    pub token: Option<SecretRef>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn yes() -> bool {
    true
}

fn day() -> Duration {
    Duration::from_secs(24 * 3600)
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

fn wave_and_end() -> Vec<At> {
    vec![At::Wave, At::End]
}

fn start() -> Vec<At> {
    vec![At::Start]
}

fn utc() -> String {
    "UTC".to_owned()
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}
