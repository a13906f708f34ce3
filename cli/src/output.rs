//! Where words go: stdout for data, stderr for people, colours on terminals only.
//!
//! In: text or values. Out: bytes on stdout.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use chrono::Utc;
use ferry_events::Timestamp;
use serde::Serialize;

use crate::screen::Paint;

/// How a command prints what it found.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
    paint: Paint,
}

impl Output {
    /// For stdout: colours when it is a terminal and `NO_COLOR` is not set.
    pub fn new(json: bool) -> Self {
        Self {
            json,
            paint: paint_for(std::io::stdout().is_terminal()),
        }
    }

    /// For stderr.
    pub fn errors() -> Self {
        Self {
            json: false,
            paint: paint_for(std::io::stderr().is_terminal()),
        }
    }

    /// Without colours.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self {
            json: false,
            paint: Paint::Plain,
        }
    }

    /// Colours or none.
    pub fn paint(self) -> Paint {
        self.paint
    }

    /// Prints a value as JSON or, made by `text`, as text.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn print<T: Serialize>(self, value: &T, text: impl FnOnce(Paint) -> String) -> Result<()> {
        if self.json {
            return say(&serde_json::to_string_pretty(value)?);
        }
        say(text(self.paint).trim_end_matches('\n'))
    }

    /// Prints one line of a stream as JSON or, made by `text`, as text.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn line<T: Serialize>(self, value: &T, text: impl FnOnce(Paint) -> String) -> Result<()> {
        if self.json {
            return say(&serde_json::to_string(value)?);
        }
        say(&text(self.paint))
    }
}

/// The time, for screens, which read no clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a screen of a person is at the edge: nothing is decided by it"
)]
pub fn now() -> Timestamp {
    Utc::now()
}

/// One line, or several, on stdout.
///
/// # Errors
/// When stdout is closed. `println!` would panic.
pub fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// `NO_COLOR` counts when it is set to anything but nothing (no-color.org).
fn paint_for(terminal: bool) -> Paint {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if terminal && !unwanted {
        Paint::Colour
    } else {
        Paint::Plain
    }
}
