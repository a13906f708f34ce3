//! `ferry-demo`: pushes going live on three bases, from the first to the broken
//! one.
//!
//! In: flags. Out: lines as it happens; exit code 0 only when every expectation
//! held. On a terminal it stays up until it is told to end.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use ferry_rig::demo::{self, Wish};
use ferry_rig::screen::Screen;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Show pushes going live on real bases, from the first to the broken one.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// End with an exit code after the last push, also on a terminal
    #[arg(long)]
    once: bool,
    /// Serve arklet's protocol from Rust instead of starting real bases
    #[arg(long)]
    simulated_bases: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let screen = Screen::new();
    let (mut interrupt, mut terminate) = (
        caught(SignalKind::interrupt())?,
        caught(SignalKind::terminate())?,
    );
    let wish = Wish {
        simulated: args.simulated_bases,
    };
    let (parts, held) = tokio::select! {
    biased;
            shown = demo::run(wish, &screen) => shown?,
            _ = interrupt.recv() => return Ok(ExitCode::from(INTERRUPTED)),
            _ = terminate.recv() => return Ok(ExitCode::from(INTERRUPTED)),
        };
    if screen.is_terminal() && !args.once {
        screen.line(&format!("\n{}", parts.addresses()));
        tokio::select! {
        biased;
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
    }
    let step = screen.step("ending");
    parts.stop().await?;
    step.done("ended");
    Ok(if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn caught(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("signals cannot be caught")
}
