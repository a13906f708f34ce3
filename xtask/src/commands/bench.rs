//! `cargo xtask bench`: tools and release binaries, then `ferry-bench`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{Profile, run_program};
use crate::tools;

#[derive(clap::Args)]
pub struct Args {
    /// What to measure, such as `push`, and its options
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    what: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(tools::EVERYTHING)?;
    run_program("ferry-bench", Profile::Release, &args.what)
}
