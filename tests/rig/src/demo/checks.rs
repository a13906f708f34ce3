//! What is expected, and whether it held.
//!
//! In: expectations with what was found. Out: a line each; those that failed.

use crate::screen::Screen;

/// One expectation that did not hold.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub push: String,
    pub what: String,
    pub found: String,
}

/// All expectations.
#[derive(Debug)]
pub(super) struct Checks {
    screen: Screen,
    push: String,
    held: usize,
    failed: Vec<Failed>,
    left_out: Vec<String>,
}

impl Checks {
    pub(super) fn new(screen: Screen) -> Self {
        Self {
            screen,
            push: String::new(),
            held: 0,
            failed: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// What follows is about this push.
    pub(super) fn about(&mut self, push: &str) {
        push.clone_into(&mut self.push);
    }

    /// One expectation; `found` says what was seen.
    pub(super) fn expect(&mut self, held: bool, what: &str, found: &str) {
        let paint = self.screen.paint();
        let mark = if held {
            paint.good("✔")
        } else {
            paint.bad("✘")
        };
        let found = if found.is_empty() {
            String::new()
        } else {
            format!(": {found}")
        };
        self.screen
            .line(&format!("  {mark} {what}{}", paint.faint(&found)));
        if held {
            self.held += 1;
        } else {
            let found = found.trim_start_matches(": ").to_owned();
            self.failed.push(Failed {
                push: self.push.clone(),
                what: what.to_owned(),
                found,
            });
        }
    }

    /// Something that cannot be shown here, and why.
    pub(super) fn leave_out(&mut self, what: &str) {
        self.left_out.push(what.to_owned());
    }

    pub(super) fn all_held(&self) -> bool {
        self.failed.is_empty()
    }

    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn failed(&self) -> &[Failed] {
        &self.failed
    }

    pub(super) fn left_out(&self) -> &[String] {
        &self.left_out
    }
}
