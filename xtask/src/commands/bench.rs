//! `cargo xtask bench`: tools and release binaries, then `ferry-bench`, which
//! measures the programs beside it.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{Profile, run_program};
use crate::tools;

#[derive(clap::Args)]
pub struct Args {
    /// Measure what is built for development: quick to try, no figure to keep
    #[arg(long)]
    dev: bool,
    /// What to measure, such as `push`, and its options
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    what: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(tools::EVERYTHING)?;
    let profile = if args.dev {
        Profile::Dev
    } else {
        Profile::Release
    };
    run_program("ferry-bench", profile, &args.what)
}
