//! `cargo xtask corpus`: what the proof of linking foretells against what a real base does, or what is read from
//! class files against what `javap` prints.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{cargo, exec};

#[derive(clap::Args)]
pub struct Args {
    /// Compare references with javap's instead, for every library of the demo's base: some minutes
    #[arg(long)]
    references: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let mut tests = cargo();
    tests.args(["test", "--quiet", "--package", "ferry-corpus", "--test"]);
    match args.references {
        true => tests.args(["references", "--", "--include-ignored", "--nocapture"]),
        false => tests.args(["corpus", "--", "--nocapture"]),
    };
    exec(&mut tests)
}
