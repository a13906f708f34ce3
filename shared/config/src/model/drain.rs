//! `[pools.NAME.drain]`: taking a base out of its load balancer while a module is changed on it.
//! In: serde. Out: [`Drain`], [`Call`], [`DrainCheck`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// What is asked of a load balancer around each change on a base of the pool. Without it nothing is asked.
///
/// Calls may come twice, so asking again for what is so already has to be answered well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Changes of which modules are drained for. Default: `web`.
    #[serde(default)]
    pub modules: DrainFor,
    /// By when a base must be drained, its check included; and again by when it must be back. Default:
    /// 30 s, the time that load balancers and container platforms give running requests by default.
    #[serde(default = "default_deadline", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "1h"))]
    pub deadline: Duration,
    /// What is done where the base was told to drain and the check does not hold by the deadline.
    /// Default: `fail`.
    #[serde(default)]
    pub at_deadline: AtDeadline,
    /// How long one request may take. Default: 5 s; a load balancer's own API answers at once.
    #[serde(default = "default_timeout", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "10m"))]
    pub timeout: Duration,
    /// Time between two requests. Default: 200 ms, so that waiting adds little to a deployment and costs
    /// a load balancer five requests a second at most.
    #[serde(default = "default_interval", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "10m"))]
    pub interval: Duration,
    /// A header's whole value, by reference, sent with every request, as `Bearer …` or `Basic …`. Only
    /// the installer resolves it. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// The header that holds the secret. Default: `authorization`.
    #[serde(default = "default_header")]
    #[schemars(extend("format" = "header-name", "pattern" = "^[A-Za-z0-9-]+$"))]
    pub header: String,
    /// Takes the base out: no new requests, those that run may end.
    pub drain: Call,
    /// Puts it back.
    pub undrain: Call,
}

/// Changes of which modules a base is drained for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrainFor {
    /// Those with a web context path: only they answer requests, and only they do not while they are
    /// replaced.
    #[default]
    Web,
    /// All.
    All,
}

/// What is done with a base that was told to drain and is not empty by the deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AtDeadline {
    /// It is not changed: the task fails.
    #[default]
    Fail,
    /// It is changed: for connections that never end by themselves.
    Proceed,
}

/// A request to a load balancer. It is asked again until it is answered as said here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Where; `{base}`, `{zone}` and `{module}` stand for their names.
    #[schemars(extend("format" = "url-template"))]
    pub url: String,
    /// How. Default: `POST`.
    #[serde(default)]
    pub method: CallMethod,
    /// A body; names stand in it as in `url`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The type of the body. Default: `application/json`.
    #[serde(default = "default_content_type")]
    #[schemars(extend("format" = "content-type", "pattern" = "^[a-z0-9.+-]+/[a-z0-9.+-]+"))]
    pub content_type: String,
    /// The status that says that it is done. Default: any from 200 to 299. Redirects are not followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 599))]
    pub status: Option<u16>,
    /// Time between the answer and the first check: for a load balancer that notices later and cannot be
    /// asked. Counts to the deadline. Default: none.
    #[serde(default, with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "0s", "x-most" = "1h"))]
    pub wait: Duration,
    /// What must hold before Ferry goes on: asked until it does. Default: the answer is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<DrainCheck>,
}

/// How a load balancer is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CallMethod {
    /// GET.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

/// A GET that is answered as said here once a base is drained, or back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrainCheck {
    /// Where; names stand in it as in the call's.
    #[schemars(extend("format" = "url-template"))]
    pub url: String,
    /// The status that it must answer. Default: 200.
    #[serde(default = "default_status")]
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// Text that the body must contain, byte for byte. Default: any body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub contains: Option<String>,
    /// A regular expression that the body must match somewhere. Default: any body. In both, names stand
    /// as in `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "regex-template"))]
    pub matches: Option<String>,
}

fn default_deadline() -> Duration {
    Duration::from_secs(30)
}

fn default_timeout() -> Duration {
    Duration::from_secs(5)
}

fn default_interval() -> Duration {
    Duration::from_millis(200)
}

fn default_header() -> String {
    "authorization".to_owned()
}

fn default_content_type() -> String {
    "application/json".to_owned()
}

fn default_status() -> u16 {
    200
}
