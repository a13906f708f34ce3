//! A run's build log.
//!
//! In: serde. Out: [`LogView`]; with `follow`, server-sent events whose `id` is
//! the line's number and whose `data` is a [`LogLine`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Counts the lines of the run's log, from 1.
    pub number: u64,
    /// The text, without its line end.
    pub text: String,
}

/// The log so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogView {
    /// The lines, in order.
    pub lines: Vec<LogLine>,
    /// Whether the build has ended, so that no more will come.
    pub complete: bool,
}

/// How to read a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Stay, and get each line as it is written, as server-sent events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
}
