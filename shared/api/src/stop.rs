//! Why something stopped, with the next step, for people.
//!
//! In: [`ferry_events::Stop`]. Out: [`StopView`].

use ferry_events::{Reason, SourceError, Stop};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reason: what happened, the cause as seen, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopView {
    /// The stable code, explained in `docs/reasons.md`.
    pub code: Reason,
    /// What happened, in one sentence.
    pub text: String,
    /// What to do next, in one sentence.
    pub next: String,
    /// The cause as it was seen; of a build, the first useful lines of its log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The base that it happened on, where it happened on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Where the sources are wrong, when that is why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<SourceError>,
}

impl From<&Stop> for StopView {
    fn from(stop: &Stop) -> Self {
        Self {
            code: stop.reason,
            text: stop.reason.what().to_owned(),
            next: stop.reason.next_step().to_owned(),
            detail: stop.detail.clone(),
            base: stop.base.clone(),
            errors: stop.errors.clone(),
        }
    }
}
