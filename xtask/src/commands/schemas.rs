//! `cargo xtask schemas`: `schemas/` is generated from the Rust types.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::cargo::{Profile, exec, program, succeeds};

/// The program of `tests/rig` that knows every type that goes over a wire.
const PROGRAM: &str = "ferry-schemas";

#[derive(clap::Args)]
pub struct Args {
    /// Write nothing; fail when a file differs from its type
    #[arg(long)]
    check: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    exec(generator()?.args(args.check.then_some("--check")))
}

/// True when every generated file is up to date.
pub fn check() -> Result<bool> {
    succeeds(generator()?.arg("--check"))
}

fn generator() -> Result<Command> {
    program(PROGRAM, Profile::Dev)
}
