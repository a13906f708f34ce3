//! `cargo xtask compose-test`: a container engine, then `ferry-compose-test`.
//!
//! A command of its own and no part of `.ci/run`: an engine, images and what they
//! fetch take minutes.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{Profile, run_program};
use crate::tools::{self, Tool};

#[derive(clap::Args)]
pub struct Args {
    /// Passed on to ferry-compose-test
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(&[
        Tool::NatsServer,
        Tool::Jdk,
        Tool::Maven,
        Tool::Git,
        Tool::Containers,
    ])?;
    // The programs of the tests: an optimised build would take longer than the test.
    run_program("ferry-compose-test", Profile::Dev, &args.rest)
}
