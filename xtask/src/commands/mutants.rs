//! `cargo xtask mutants`: builds what breaks copies of the product, and nothing else, and becomes it.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cargo::{Profile, cargo, exec_program, succeeds};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// What it takes: see `cargo xtask mutants --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    if !succeeds(cargo().args(["build", "--quiet", "--package", "ferry-mutants"]))? {
        bail!("the build failed");
    }
    exec_program("ferry-mutants", Profile::Dev, &args.rest)
}
