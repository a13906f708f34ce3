//! `cargo xtask test`: tools and binaries, then `cargo test`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{Profile, build_programs, cargo, exec};
use crate::tools;

#[derive(clap::Args)]
pub struct Args {
    /// Passed on to `cargo test --workspace --no-fail-fast`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(tools::EVERYTHING)?;
    // The end-to-end tests start the services as processes of their own.
    build_programs(Profile::Dev)?;
    exec(
        cargo()
            .args(["test", "--workspace", "--no-fail-fast"])
            .args(args.rest)
            // A snapshot that changed is a failure, never a new file.
            .env("INSTA_UPDATE", "no"),
    )
}
