//! What `ferry up` says: what goes well on stdout, the rest on stderr.
//!
//! In: sentences. Out: lines. A closed pipe does not end a running Ferry.

use std::io::Write as _;
use std::sync::Arc;

use crate::output::{Output, say};
use crate::screen::Paint;

/// The screen of `ferry up`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Said(Arc<(Paint, Paint)>);

impl Said {
    /// For this process's stdout and stderr.
    pub fn new() -> Self {
        Self(Arc::new((
            Output::new(false).paint(),
            Output::errors().paint(),
        )))
    }

    /// Something happened.
    pub fn line(&self, text: &str) {
        let _ = say(text);
    }

    /// Something is well.
    pub fn good(&self, text: &str) {
        let mut lines = text.lines();
        let head = self.0.0.good(lines.next().unwrap_or_default());
        let rest: Vec<&str> = lines.collect();
        let _ = say(format!("{head}\n{}", rest.join("\n")).trim_end());
    }

    /// Something needs attention.
    pub fn bad(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", self.0.1.bad(text));
    }
}
