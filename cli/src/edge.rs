//! Where the command meets the process: arguments, runtime, the one place that
//! prints an error.
//!
//! In: the process. Out: its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::Cli;
use crate::exit::Exit;
use crate::output::Output;
use crate::{commands, failure};

/// What is logged to stderr beside the command's own words: `warn`, `info`, …
const LOG_ENV: &str = "FERRY_LOG";

/// Runs the command with the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env(LOG_ENV).unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the runtime cannot be started: {error}");
            return Exit::Failed.into();
        }
    };
    let exit = match runtime.block_on(commands::run(cli)) {
        Ok(exit) => exit,
        Err(error) if failure::is_closed_pipe(&error) => Exit::Success,
        Err(error) => {
            eprint!("{}", failure::text(&error, Output::errors()));
            failure::exit_of(&error)
        }
    };
    // A thread that reads a terminal or a file must not hold up the end.
    runtime.shutdown_background();
    exit.into()
}
