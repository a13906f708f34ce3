//! `cargo xtask chaos`: tools and binaries, then `ferry-chaos`.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{Profile, run_program};
use crate::tools::{self, Tool};

#[derive(clap::Args)]
pub struct Args {
    /// For how long pushes, kills and freezes go on
    #[arg(long, value_name = "M", default_value_t = 2.0)]
    minutes: f64,
    /// What fixes the schedule; by default another one each time
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Three nats-servers with three copies of each stream, instead of one
    #[arg(long)]
    cluster: bool,
    /// Print an object instead of lines
    #[arg(long)]
    json: bool,
    /// Passed on to ferry-chaos
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    tools::ensure(&[Tool::NatsServer, Tool::Git])?;
    let mut passed = vec!["--minutes".to_owned(), args.minutes.to_string()];
    if let Some(seed) = args.seed {
        passed.extend(["--seed".to_owned(), seed.to_string()]);
    }
    passed.extend(args.cluster.then(|| "--cluster".to_owned()));
    passed.extend(args.json.then(|| "--json".to_owned()));
    passed.extend(args.rest);
    run_program("ferry-chaos", Profile::Dev, &passed)
}
