//! A build's log: its lines cleaned, counted and bounded.
//!
//! In: raw lines as the build writes them. Out: lines for the bus, and what is kept to tell why the
//! build failed.

use std::collections::VecDeque;

/// Bytes of one line. A classpath of a large module fits; a dump without line ends does not.
pub const LINE_MAX: usize = 4096;
/// Bytes of a log. A verbose build of a large module writes some hundred KiB; what is longer is a loop.
pub const LOG_MAX: usize = 4 * 1024 * 1024;
/// Lines from the end of a log that was cut: the cause of a failure stands there.
pub const TAIL_MAX: usize = 400;
/// Line numbers of one attempt. A worker that died has used some; the next attempt starts above, or its
/// lines would be taken for those. A log has fewer lines than bytes.
pub const NUMBERS: u64 = LOG_MAX as u64 + 16;

/// A log in the making.
#[derive(Clone, Debug)]
pub struct Log {
    root: String,
    bytes: usize,
    limit: usize,
    next: u64,
    lines: Vec<String>,
    tail: VecDeque<String>,
    full: bool,
}

impl Log {
    /// A log of a build that sees its sources at `root`, for an attempt counted from 1. Paths are
    /// written without the root.
    pub fn new(root: &str, attempt: u32, limit: usize) -> Self {
        Self {
            root: format!("{}/", root.trim_end_matches('/')),
            bytes: 0,
            limit,
            next: u64::from(attempt.max(1) - 1) * NUMBERS + 1,
            lines: Vec::new(),
            tail: VecDeque::new(),
            full: false,
        }
    }

    /// Says where the build sees its sources, once that is known.
    pub fn set_root(&mut self, root: &str) {
        self.root = format!("{}/", root.trim_end_matches('/'));
    }

    /// Takes a line; gives what goes onto the bus, with its number.
    pub fn take(&mut self, raw: &str) -> Option<(u64, String)> {
        let line = self.clean(raw)?;
        if self.full {
            self.tail.push_back(line);
            while self.tail.len() > TAIL_MAX {
                self.tail.pop_front();
            }
            return None;
        }
        self.bytes += line.len() + 1;
        if self.bytes > self.limit {
            self.full = true;
            self.tail.push_back(line);
            let limit = self.limit / 1024;
            return Some(self.number(format!(
                "[ferry] the log is longer than {limit} KiB; the rest of it is cut"
            )));
        }
        self.lines.push(line.clone());
        Some(self.number(line))
    }

    /// A line of Ferry's own; it is never cut, and says nothing about why a build failed.
    pub fn note(&mut self, text: &str) -> (u64, String) {
        self.number(format!("[ferry] {text}"))
    }

    /// Forgets what was kept, for a second try in the same log.
    pub fn forget(&mut self) {
        self.lines.clear();
        self.tail.clear();
    }

    /// What is kept: the beginning, and the end of a log that was cut.
    pub fn kept(&self) -> Vec<String> {
        self.lines.iter().chain(&self.tail).cloned().collect()
    }

    fn number(&mut self, text: String) -> (u64, String) {
        let number = self.next;
        self.next += 1;
        (number, text)
    }

    /// Without escape codes, other control characters and the root; none for what was codes only.
    fn clean(&self, raw: &str) -> Option<String> {
        let plain = anstream::adapter::strip_str(raw).to_string();
        let mut line: String = plain
            .chars()
            .map(|c| if c == '\t' { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        line.truncate(line.trim_end().len());
        if line.is_empty() && !raw.trim().is_empty() {
            return None;
        }
        line = line.replace(&self.root, "");
        if line.len() > LINE_MAX {
            let mut end = LINE_MAX;
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.truncate(end);
            line.push('…');
        }
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_and_the_root_go_and_lines_are_counted() {
        let mut log = Log::new("/ferry/src", 1, LOG_MAX);
        assert_eq!(
            log.take("\u{1b}[0m\u{1b}[0m"),
            None,
            "codes alone are no line"
        );
        let said = "\u{1b}[1;31m[ERROR]\u{1b}[m /ferry/src/src/A.java:[1,2] ';' expected\r";
        assert_eq!(
            log.take(said),
            Some((1, "[ERROR] src/A.java:[1,2] ';' expected".into()))
        );
        assert_eq!(log.take(""), Some((2, String::new())));
        assert_eq!(log.note("again"), (3, "[ferry] again".into()));
        assert_eq!(log.kept(), ["[ERROR] src/A.java:[1,2] ';' expected", ""]);
    }

    #[test]
    fn a_long_log_is_cut_once_and_keeps_its_end() {
        let mut log = Log::new("/x", 2, 1000);
        let said: Vec<_> = (0..2000)
            .filter_map(|i| log.take(&format!("line {i}")))
            .collect();
        let (number, last) = said.last().unwrap();
        assert!(last.contains("is cut"), "{last}");
        assert_eq!(
            *number,
            NUMBERS + said.len() as u64,
            "numbers of a second attempt are its own"
        );
        assert!(log.kept().iter().map(|line| line.len() + 1).sum::<usize>() < 1000 + TAIL_MAX * 10);
        assert_eq!(log.kept().last().unwrap(), "line 1999");
        assert_eq!(log.kept()[0], "line 0");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn a_line_is_one_clean_line(raw in ".{0,200}") {
            let mut log = Log::new("/x", 1, LOG_MAX);
            if let Some((_, line)) = log.take(&raw) {
                prop_assert!(!line.contains(char::is_control), "{line:?}");
                prop_assert!(line.len() <= LINE_MAX + 3);
            }
        }
    }
}
