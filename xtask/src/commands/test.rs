//! `cargo xtask test`: tools and binaries, then `cargo test`, and one line that counts all its tests.

use std::{
    io::{BufRead, BufReader},
    process::{ExitCode, Stdio},
};

use anyhow::{Context, Result};

use crate::cargo::{build_tests, cargo};
use crate::tools;

#[derive(clap::Args)]
pub struct Args {
    /// Passed on to `cargo test --workspace --no-fail-fast`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(tools::TESTS)?;
    // The end-to-end tests start the services as processes of their own.
    build_tests()?;
    let mut tests = cargo()
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(args.rest)
        // A snapshot that changed is a failure, never a new file.
        .env("INSTA_UPDATE", "no")
        .stdout(Stdio::piped())
        .spawn()
        .context("cargo cannot be run")?;
    let output = tests.stdout.take().context("cargo's output")?;
    let mut all = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cargo's output")?;
        all.add(&line);
        println!("{line}");
    }
    let well = tests
        .wait()
        .context("cargo cannot be waited for")?
        .success();
    // Each test binary has a summary of its own; this is that of all.
    println!("\n{} passed, {} failed", all.passed, all.failed);
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The tests of all binaries so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// Adds a binary's summary: `test result: ok. 9 passed; 0 failed; …`. Other lines add nothing.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line
            .strip_prefix("test result: ")
            .and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split("; ") {
            match count.split_once(' ') {
                Some((n, "passed")) => self.passed += n.parse().unwrap_or(0),
                Some((n, "failed")) => self.failed += n.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_summaries_of_all_binaries_add_up() {
        let mut all = Counts::default();
        for line in [
            "test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 1 filtered out; finished in 0.00s",
            "test the_summary ... ok",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            all.add(line);
        }
        assert_eq!(
            all,
            Counts {
                passed: 12,
                failed: 2
            }
        );
    }
}
