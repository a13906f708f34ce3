//! Why a build failed, from what Maven wrote.
//!
//! In: the log's lines, clean. Out: a [`Stop`] whose detail is the first useful lines. Maven's exit
//! code is 1 for everything, so its messages are all there is; `tests/fixtures/maven` holds real ones.
//! A line of the module's own (a test that prints an error) is not believed: only Maven's marked ones.

use std::collections::BTreeSet;

use ferry_events::{Reason, SourceError, Stop};
use ferry_runtime::Failure;

/// What Maven writes when it may not ask the network and lacks something.
const OFFLINE: [&str; 3] = [
    "in offline mode",
    "No plugin found for prefix",
    "during a previous attempt",
];

/// What Maven writes when it cannot get something.
const MISSING: [&str; 9] = [
    "Could not resolve dependencies",
    "or one of its dependencies could not be resolved",
    "Could not find artifact",
    "Could not transfer artifact",
    "Non-resolvable parent POM",
    "Non-resolvable import POM",
    "Failed to read artifact descriptor",
    "No plugin found for prefix",
    "in offline mode",
];

/// What Maven writes when a repository did not give what it was asked for.
const NOT_GIVEN: [&str; 2] = ["Could not transfer artifact", "transfer failed for"];

/// What stands beside that when it will not give it later either: who asks, how, or over what.
const NEVER_GIVEN: [&str; 8] = [
    "status code: 401",
    "status code: 403",
    "status code: 407",
    "Not authorized",
    "authentication failed",
    "authorization failed",
    "PKIX path building failed",
    "maven-default-http-blocker",
];

/// What surefire and failsafe write when tests are the cause.
const TESTS: [&str; 4] = [
    "There are test failures",
    "There was a timeout or other error in the fork",
    "The forked VM terminated",
    "ExecutionException There was an error in the forked process",
];

/// How lines begin that help with Maven, not with the cause.
const BOILERPLATE: [&str; 10] = [
    "To see the full stack trace",
    "Re-run Maven using",
    "For more information about the errors",
    "After correcting the problems",
    "mvn <args> -rf",
    "[Help ",
    "-> [Help ",
    "Please refer to",
    "Some problems were encountered",
    "The build could not read",
];

/// Whether the build failed for want of the network alone.
pub fn wants_network(lines: &[String]) -> bool {
    errors(lines).any(|line| OFFLINE.iter().any(|mark| line.contains(mark)))
}

/// Judges a build that ended with an error. `keep` is the most lines of the detail.
pub fn failed(lines: &[String], keep: usize) -> Failure {
    let has = |mark: &str| errors(lines).any(|line| line.contains(mark));
    let any = |marks: &[&str]| marks.iter().any(|mark| has(mark));
    let (reason, detail) = if has("No space left on device") {
        (Reason::DiskFull, useful(lines))
    } else if has("COMPILATION ERROR") {
        (
            Reason::DoesNotCompile,
            section(lines, &["COMPILATION ERROR"]),
        )
    } else if any(&["Compilation failure", "Fatal error compiling"]) {
        (Reason::DoesNotCompile, useful(lines))
    } else if any(&TESTS) {
        (Reason::TestsFail, section(lines, &["Failures:", "Errors:"]))
    } else if unreachable(lines) {
        (Reason::DependencyUnreachable, useful(lines))
    } else if any(&MISSING) {
        (Reason::DependencyMissing, useful(lines))
    } else {
        (Reason::BuildFailed, useful(lines))
    };
    let mut detail = if detail.is_empty() {
        useful(lines)
    } else {
        detail
    };
    if detail.is_empty() {
        // No word of Maven's: the end of the log is the best there is.
        let last = lines
            .iter()
            .rev()
            .filter(|line| !line.is_empty())
            .take(keep);
        detail = last.cloned().collect();
        detail.reverse();
    }
    let places = match reason {
        Reason::DoesNotCompile => places(&detail),
        _ => Vec::new(),
    };
    detail.truncate(keep);
    let stop = Stop::new(reason, detail.join("\n")).with_errors(places);
    match reason {
        Reason::DependencyUnreachable => Failure::Again(stop),
        _ => Failure::GiveUp(stop),
    }
}

/// Whether a repository could not be asked. What another one does not have may then be in it.
fn unreachable(lines: &[String]) -> bool {
    errors(lines).any(|line| {
        NOT_GIVEN.iter().any(|mark| line.contains(mark))
            && !NEVER_GIVEN.iter().any(|mark| line.contains(mark))
    })
}

/// Maven's marked lines.
fn errors(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().filter_map(|line| marked(line))
}

/// A marked line without its marks.
fn marked(line: &str) -> Option<&str> {
    let mut rest = line;
    while let Some(next) = rest
        .strip_prefix("[ERROR]")
        .or_else(|| rest.strip_prefix("[FATAL]"))
    {
        rest = next.strip_prefix(' ').unwrap_or(next);
    }
    (rest.len() < line.len()).then_some(rest)
}

/// The marked lines that say something, each once.
fn useful(lines: &[String]) -> Vec<String> {
    distinct(errors(lines))
}

/// The lines from the first that begins with one of these marks to Maven's summary. Lines that are not
/// marked belong to it when they are indented: the compiler's `symbol:`.
fn section(lines: &[String], starts: &[&str]) -> Vec<String> {
    let begin = |line: &String| {
        marked(line).is_some_and(|text| starts.iter().any(|start| text.starts_with(start)))
    };
    let Some(start) = lines.iter().position(begin) else {
        return Vec::new();
    };
    let inside = lines[start..]
        .iter()
        .take_while(|line| {
            marked(line).is_none_or(|text| !text.starts_with("Failed to execute goal"))
        })
        .filter_map(|line| marked(line).or_else(|| line.starts_with(' ').then_some(line.as_str())))
        .filter(|line| !starts.iter().any(|start| line.starts_with(start)));
    distinct(inside)
}

/// Where the compiler plugin says that sources are wrong: `FILE:[LINE,COLUMN] message`, and lines that are indented
/// below it.
fn places(lines: &[String]) -> Vec<SourceError> {
    let mut found: Vec<(&str, (u32, u32), String)> = Vec::new();
    for line in lines {
        if let Some((file, at, message)) = place(line) {
            found.push((file, at, message.to_owned()));
        } else if let Some((.., message)) = found.last_mut().filter(|_| line.starts_with(' ')) {
            message.push('\n');
            message.push_str(line);
        }
    }
    let error = |(file, at, message): (&str, _, String)| SourceError::new(file, at, &message);
    found.into_iter().map(error).collect()
}

fn place(line: &str) -> Option<(&str, (u32, u32), &str)> {
    let (file, rest) = line.split_once(":[")?;
    let (at, message) = rest.split_once("] ")?;
    let (line, column) = at.split_once(',')?;
    Some((file, (line.parse().ok()?, column.parse().ok()?), message))
}

/// What went wrong, without which plugin met it: `Failed to execute goal … on project NAME: cause`.
fn cause(line: &str) -> &str {
    let rest = line.strip_prefix("Failed to execute goal");
    let rest = rest.and_then(|rest| rest.split_once(" on project "));
    rest.and_then(|(_, rest)| rest.split_once(": "))
        .map_or(line, |(_, cause)| cause)
}

fn distinct<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines
        .map(|line| match line.find(" -> [Help ") {
            Some(end) => &line[..end],
            None => line,
        })
        .map(|line| cause(line).trim_end_matches([' ', '@']))
        .filter(|line| {
            let text = line.trim_start();
            let empty = text.is_empty();
            !empty
                && !BOILERPLATE.iter().any(|start| text.starts_with(start))
                && seen.insert(text.to_owned())
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_a_test_prints_is_not_believed() {
        let log = lines(&[
            "COMPILATION ERROR :",
            "No space left on device",
            "[ERROR] Unknown lifecycle phase \"x\".",
        ]);
        let stop = failed(&log, 40).into_stop();
        assert_eq!(stop.reason, Reason::BuildFailed);
        assert_eq!(stop.detail, "Unknown lifecycle phase \"x\".");
        assert!(!wants_network(&lines(&[
            "this module works in offline mode"
        ])));
    }

    #[test]
    fn what_the_compiler_says_has_its_place() {
        let log = lines(&[
            "[ERROR] COMPILATION ERROR : ",
            "[ERROR] cart/src/main/java/Cart.java:[18,16] cannot find symbol",
            "  symbol:   variable prices",
            "[ERROR] cart/src/main/java/Cart.java:[20,1] ';' expected",
            "[ERROR] Failed to execute goal x on project cart: Compilation failure",
        ]);
        let stop = failed(&log, 40).into_stop();
        let shown: Vec<String> = stop.errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "cart/src/main/java/Cart.java:18:16: cannot find symbol; symbol:   variable prices",
                "cart/src/main/java/Cart.java:20:1: ';' expected",
            ]
        );
    }

    #[test]
    fn without_a_word_of_mavens_the_end_of_the_log_is_shown() {
        let stop = failed(&lines(&["one", "", "two", "Killed"]), 2).into_stop();
        assert_eq!(
            (stop.reason, stop.detail.as_str()),
            (Reason::BuildFailed, "two\nKilled")
        );
    }

    #[test]
    fn a_repository_that_will_never_answer_is_not_asked_again() {
        let line = |cause: &str| {
            lines(&[&format!(
                "[ERROR] Could not transfer artifact g:a:pom:1 from/to central (https://maven.example): {cause}"
            )])
        };
        for passes in [
            "Connect to maven.example:443 failed: Connection refused",
            "transfer failed for https://maven.example/g/a, status: 503 Service Unavailable",
            "Read timed out",
        ] {
            let failure = failed(&line(passes), 5);
            assert!(matches!(failure, Failure::Again(_)), "{failure:?}");
        }
        for stays in [
            "status code: 401, reason phrase: Unauthorized (401)",
            "PKIX path building failed",
        ] {
            let failure = failed(&line(stays), 5);
            let missing = Reason::DependencyMissing;
            assert!(matches!(&failure, Failure::GiveUp(stop) if stop.reason == missing));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_log_gets_a_short_answer(
            log in prop::collection::vec("(\\[ERROR\\] |\\[FATAL\\] )?[ -~]{0,60}", 0..80),
            keep in 1usize..50,
        ) {
            let stop = failed(&log, keep).into_stop();
            prop_assert!(stop.detail.lines().count() <= keep);
            prop_assert!(stop.detail.len() <= Stop::DETAIL_MAX);
        }
    }
}
