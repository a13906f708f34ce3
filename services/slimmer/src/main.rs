//! `ferry-slimmer`: the slimmer as a process.

use std::process::ExitCode;

use clap::Parser;
use ferry_events::Service;
use ferry_runtime::Args;
use ferry_slimmer::{Slimmer, SlimmerEffects};

fn main() -> ExitCode {
    let make = |environment| Ok((Slimmer, SlimmerEffects::new(environment)));
    ferry_runtime::start(&Args::parse(), make, Service::Slimmer)
}
