//! `cargo xtask sim`: builds the simulation, and nothing else, and becomes it.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cargo::{Profile, cargo, exec_program, succeeds};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// Optimise it: slow to build, for many thousands of seeds
    #[arg(long)]
    release: bool,
    /// What the simulation takes: see `cargo xtask sim --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let profile = if args.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "ferry-sim"]);
    if args.release {
        build.arg("--release");
    }
    if !succeeds(&mut build)? {
        bail!("the build failed");
    }
    exec_program("ferry-sim", profile, &args.rest)
}
