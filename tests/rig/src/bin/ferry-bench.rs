//! `ferry-bench`: measures, and prints one line to read or one object.
//!
//! In: what to measure, and how often. Out: figures on stdout; what goes on, on
//! stderr where stdout is for data.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use ferry_rig::bench::push;
use ferry_rig::screen::Screen;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Measure, and print one line to read.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// From a push to the answer: by hand and by Ferry, on one real base
    Push(PushArgs),
}

#[derive(clap::Args)]
struct PushArgs {
    /// How often each is measured
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Print an object instead
    #[arg(long)]
    json: bool,
    /// MAVEN_OPTS of the build by hand; by default none, as a person has it
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    hand_maven_opts: Option<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let What::Push(args) = Args::parse().what;
    let screen = if args.json {
        Screen::beside_data()
    } else {
        Screen::new()
    };
    let plan = push::Plan {
        runs: args.runs,
        hand_maven_opts: args.hand_maven_opts,
    };
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be caught")?;
    let figures = tokio::select! {
    biased;
            figures = push::measure(&plan, &screen) => figures?,
            _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        screen.line(&push::text(&figures));
    }
    Ok(ExitCode::SUCCESS)
}
