//! What is wrong in the configuration, and where.
//! In: a place and a message. Out: one line of text, or JSON.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably is not what was meant.
    Warning,
}

/// One finding. `Display` gives
/// `ferry.toml:12:1: modules.hello.repositry: unknown key, did you mean "repository"?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named when it was read.
    pub file: PathBuf,
    /// The line, from 1; 0 when it is about the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 with line 0.
    pub column: u32,
    /// The dotted key, as `pools.prod.bases[0].name`; empty when there is none.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The nearest known name, where one is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if self.severity == Severity::Warning {
            write!(f, " warning:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(suggestion) = &self.suggestion {
            write!(f, ", did you mean {suggestion:?}?")?;
        }
        Ok(())
    }
}

/// The name that is nearest to what was written, if one is near: at most a
/// third of its letters differ (two in a short name).
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let written = written.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&written, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| {
            let longer = written.chars().count().max(name.chars().count());
            *distance <= (longer / 3).max(1)
        })
        .min()
        .map(|(_, name)| name.to_owned())
}
