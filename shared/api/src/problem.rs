//! Refusals: RFC 9457, `application/problem+json`.
//!
//! In: serde. Out: [`Problem`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The content type of a [`Problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request was refused, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// A short name that does not change, for machines.
    pub code: String,
    /// What is wrong with this request.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        match &self.next {
            Some(next) => write!(f, " ({next})"),
            None => Ok(()),
        }
    }
}
