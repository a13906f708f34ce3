//! `ferry-verifier`: the verifier as a process.

use std::process::ExitCode;

use clap::Parser;
use ferry_events::Service;
use ferry_runtime::Args;
use ferry_verifier::{VerifierDecide, VerifierEffects};

fn main() -> ExitCode {
    ferry_runtime::start(
        &Args::parse(),
        |environment| {
            let effects = VerifierEffects::new(environment.hands)?;
            Ok((
                VerifierDecide,
                effects.with_secrets(environment.secrets_root),
            ))
        },
        Service::Verifier,
    )
}
