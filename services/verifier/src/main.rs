//! `ferry-verifier`: the verifier as a process.

use std::process::ExitCode;

use clap::Parser;
use ferry_events::Service;
use ferry_runtime::Args;
use ferry_verifier::{VerifierDecide, VerifierEffects};

fn main() -> ExitCode {
    ferry_runtime::start(
        &Args::parse(),
        |environment| Ok((VerifierDecide, VerifierEffects::new(environment.hands)?)),
        Service::Verifier,
    )
}
