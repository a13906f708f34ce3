//! `cargo xtask demo`: tools and binaries, then `ferry-demo`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{Profile, run_program};
use crate::tools::{self, Tool};

#[derive(clap::Args)]
pub struct Args {
    /// End with an exit code after the last push, also on a terminal
    #[arg(long)]
    once: bool,
    /// Serve arklet's protocol from Rust instead of starting real bases
    #[arg(long)]
    simulated_bases: bool,
    /// Passed on to ferry-demo
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(if args.simulated_bases {
        &[Tool::NatsServer, Tool::Git]
    } else {
        tools::EVERYTHING
    })?;
    let mut passed = Vec::new();
    if args.once {
        passed.push("--once".to_owned());
    }
    if args.simulated_bases {
        passed.push("--simulated-bases".to_owned());
    }
    passed.extend(args.rest);
    run_program("ferry-demo", Profile::Dev, &passed)
}
