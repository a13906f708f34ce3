//! A line of a build's log.
//!
//! In: the line. Out: its text, safe for a terminal.

use ferry_api::LogLine;

use super::text::clean;

/// One line.
pub fn log_line(line: &LogLine) -> String {
    clean(&line.text)
}
