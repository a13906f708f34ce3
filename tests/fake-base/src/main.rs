//! `ferry-fake-base`: a fake base as a process of its own. Goes in: flags.
//! Comes out: one JSON line with its addresses on stdout once it listens.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ferry_fake_base::{Dialect, FakeBase, Faults, Options};

/// What a JVM with -XX:+ExitOnOutOfMemoryError exits with.
const EXIT_JVM: u8 = 3;

/// A Koupleless base without Java, for tests and demos.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Port of arklet on loopback; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    arklet_port: u16,
    /// Port of the modules' own HTTP; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    modules_port: u16,
    /// Port of /_fake/faults and /_fake/ledger; 0 takes any free one
    #[arg(long, default_value_t = 0)]
    control_port: u16,
    /// What the base calls itself
    #[arg(long, default_value = "fake-base")]
    name: String,
    /// Cap on metaspace in bytes; an empty base takes 54 MiB
    #[arg(long)]
    metaspace_max: Option<u64>,
    /// Version of arklet to imitate: 2.1.3 or 2.1.6
    #[arg(long, default_value = "2.1.6", value_parser = ["2.1.3", "2.1.6"])]
    dialect: String,
    /// Make a second version of a module the active one
    #[arg(long)]
    activate_new_module: bool,
    /// Append what is asked and done to this file, as JSON lines
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Faults to start with, as JSON: {"hang_health": true}
    #[arg(long, default_value = "{}", value_parser = faults)]
    faults: Faults,
}

fn faults(json: &str) -> Result<Faults, serde_json::Error> {
    serde_json::from_str(json)
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let flags = Flags::parse();
    let base = FakeBase::start(Options {
        arklet_port: flags.arklet_port,
        modules_port: flags.modules_port,
        control_port: flags.control_port,
        name: flags.name,
        metaspace_max: flags.metaspace_max,
        activate_new_module: flags.activate_new_module,
        dialect: if flags.dialect == "2.1.3" {
            Dialect::V2_1_3
        } else {
            Dialect::V2_1_6
        },
        ledger: flags.ledger,
        faults: flags.faults,
    })
    .await?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &base.addresses())?;
    writeln!(out)
        .and_then(|()| out.flush())
        .context("nobody reads the addresses")?;
    drop(out);
    tokio::select! {
    biased;
            () = base.exited() => Ok(ExitCode::from(EXIT_JVM)),
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        }
}
