//! `ferry-schemas`: writes `schemas/` and the generated pages of `docs/` from the Rust types, or
//! checks them.
//!
//! In: `--check`. Out: the files; or, with `--check`, exit code 1 and the names
//! of those that differ.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use ferry_rig::{schemas, tools};

/// Write the schemas and pages that are generated from the Rust types.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Write nothing; fail when a file differs from its type
    #[arg(long)]
    check: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let root = tools::workspace_root();
    if !args.check {
        for path in schemas::write(&root)? {
            println!("{path}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let differing = schemas::differing(&root)?;
    if differing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for path in differing {
        eprintln!("{path} differs from its type");
    }
    eprintln!("Write them with: {}", schemas::COMMAND);
    Ok(ExitCode::FAILURE)
}
