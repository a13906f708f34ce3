//! `ferry-installer`: the installer as a process.

use std::process::ExitCode;

use clap::Parser;
use ferry_events::Service;
use ferry_installer::{InstallerDecide, InstallerEffects};
use ferry_runtime::Args;

fn main() -> ExitCode {
    ferry_runtime::start(
        &Args::parse(),
        |environment| {
            Ok((
                InstallerDecide,
                InstallerEffects::new(environment.hands, &environment.data_dir)?
                    .with_secrets(environment.secrets_root),
            ))
        },
        Service::Installer,
    )
}
