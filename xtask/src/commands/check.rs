//! `cargo xtask check`: all that is checked without running a test.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{cargo, succeeds};
use crate::commands::schemas;
use crate::deny;

/// True when all is well.
type Check = fn() -> Result<bool>;

const CHECKS: [(&str, Check); 4] = [
    ("formatting", formatting),
    ("lints", lints),
    ("dependencies", deny::check),
    ("schemas", schemas::check),
];

#[derive(clap::Args)]
pub struct Args {
    /// Only these; all without a name
    #[arg(value_parser = CHECKS.map(|(name, _)| name))]
    names: Vec<String>,
}

/// Runs every check, also behind one that failed, so that one look tells all.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        if !args.names.is_empty() && !args.names.iter().any(|only| only == name) {
            continue;
        }
        eprintln!("check: {name}");
        match check() {
            Ok(true) => {}
            Ok(false) => failed.push(name),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        eprintln!("check: passed");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("check: failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

fn formatting() -> Result<bool> {
    succeeds(cargo().args(["fmt", "--all", "--check"]))
}

fn lints() -> Result<bool> {
    succeeds(
        cargo()
            .args(["clippy", "--workspace", "--all-targets"])
            .args(["--", "-D", "warnings"]),
    )
}
