//! `ferry-scheduler`: the scheduler as a process.

use std::process::ExitCode;

use clap::Parser;
use ferry_events::Service;
use ferry_runtime::Args;
use ferry_scheduler::{NoEffects, Scheduler};

fn main() -> ExitCode {
    ferry_runtime::start(
        &Args::parse(),
        |_| Ok((Scheduler, NoEffects)),
        Service::Scheduler,
    )
}
