//! The builder's process.

use std::process::ExitCode;

use clap::Parser as _;
use ferry_builder::{BuilderDecide, BuilderEffects, Places};
use ferry_events::Service;
use ferry_runtime::{Args, start};

fn main() -> ExitCode {
    let args = Args::parse();
    let make = |environment: ferry_runtime::Environment| {
        let places = Places {
            data_dir: environment.data_dir,
            secrets_root: environment.secrets_root,
        };
        Ok((
            BuilderDecide,
            BuilderEffects::noting(places, environment.hands, environment.notes)?,
        ))
    };
    start(&args, make, Service::Builder)
}
