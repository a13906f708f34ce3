//! Small pieces of text: times, sizes, names, words from outside.
//!
//! In: values. Out: text that fits a line.

use chrono::TimeDelta;
use ferry_events::Timestamp;

/// The longest text from outside in a line: a terminal's width holds it beside
/// the rest.
pub(super) const LINE_MAX: usize = 120;

/// The time since `began`, as it stands before each line of a run:
/// `   1.234s`.
pub fn elapsed(began: Timestamp, at: Timestamp) -> String {
    let millis = (at - began).num_milliseconds().max(0);
    format!("{:>4}.{:03}s", millis / 1000, millis % 1000)
}

/// How long something took: `412ms`, `5.412s`, `3m 2s`, `2h 5m`, `4d 3h`.
pub fn took(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{:03}s", millis / 1000, millis % 1000),
        _ => units(millis / 1000, 2),
    }
}

/// How long ago: `now`, `12s ago`, `3m ago`, `2h ago`, `4d ago`.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now - then).num_seconds().max(0).unsigned_abs();
    if seconds == 0 {
        return "now".to_owned();
    }
    format!("{} ago", units(seconds, 1))
}

/// How long from now: `a moment`, `12s`, `3m`, `2h`.
pub(super) fn until(now: Timestamp, then: Timestamp) -> String {
    match (then - now).num_seconds() {
        ..=0 => "a moment".to_owned(),
        seconds => units(seconds.unsigned_abs(), 1),
    }
}

/// A time in its largest units, at most so many. Beyond that nothing matters.
fn units(seconds: u64, most: usize) -> String {
    let all = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<String> = all
        .iter()
        .skip_while(|(number, _)| *number == 0)
        .take(most)
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    parts.join(" ")
}

/// The milliseconds of a difference, never negative.
pub(super) fn millis(delta: TimeDelta) -> u64 {
    delta.num_milliseconds().max(0).unsigned_abs()
}

/// A size: `34.0 KiB`.
pub fn bytes(size: u64) -> String {
    bytesize::ByteSize(size).display().iec().to_string()
}

/// The first eight digits of a commit or id.
pub fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
}

/// The first line that says something, without control characters, at most `max`
/// characters. What comes from outside must not move the cursor or paint.
pub fn one_line(text: &str, max: usize) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("");
    cut(&clean(line), max)
}

/// A line without escape codes and control characters; tabs become spaces.
pub(super) fn clean(line: &str) -> String {
    anstream::adapter::strip_str(line)
        .to_string()
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect()
}

/// Marks that turn the direction of writing make a line say what it does not.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(max.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// `1 base`, `2 bases`, `2 libraries`, `2 classes`.
pub(super) fn count(number: usize, one: &str) -> String {
    match one.strip_suffix('y') {
        _ if number == 1 => format!("1 {one}"),
        Some(stem) => format!("{number} {stem}ies"),
        None if one.ends_with('s') => format!("{number} {one}es"),
        None => format!("{number} {one}s"),
    }
}

/// The moment in UTC, to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_the_parts_that_matter() {
        for (millis, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (5_412, "5.412s"),
            (182_900, "3m 2s"),
            (3_600_000, "1h"),
            (363_661_000, "4d 5h"),
            (86_401_000, "1d"),
        ] {
            assert_eq!(took(millis), text);
        }
    }

    #[test]
    fn elapsed_lines_up_and_is_never_negative() {
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(elapsed(at, at + TimeDelta::milliseconds(1234)), "   1.234s");
        assert_eq!(elapsed(at, at - TimeDelta::seconds(1)), "   0.000s");
    }

    #[test]
    fn words_from_outside_cannot_paint_or_run_over() {
        assert_eq!(one_line("\n \n  a\u{1b}[31mb\u{202e}\tc\nd", 20), "ab c");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(one_line("", 4), "");
    }
}
