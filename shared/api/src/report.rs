//! The report of a run's slimming.
//!
//! In: serde. Out: [`ReportQuery`], [`ReportView`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `GET /runs/{id}/report`: of which pool's jar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    /// The pool. Default: the one that was refused, else the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
}

/// What went, what stayed, why, and whether the rest links: as `ferry slim --report` writes it. Its fields
/// are those of the slimmer that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ReportView(pub serde_json::Map<String, serde_json::Value>);
