//! `ferry-compose-test`: `compose.yaml` for real. `cargo xtask compose-test` builds
//! and runs it.
//!
//! In: flags. Out: lines as it happens; exit code 0 only when every expectation
//! held. Whatever happened, it takes down what it brought up. It is no part of
//! `.ci/run`: images, an engine and their downloads take minutes of their own.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use ferry_rig::compose::Compose;
use ferry_rig::screen::Screen;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Bring compose.yaml up for real and carry pushes through it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Stay up when everything held, until Ctrl-C
    #[arg(long)]
    stay: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    go().await.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

async fn go() -> Result<ExitCode> {
    let args = Args::parse();
    let screen = Screen::new();
    let (mut interrupt, mut terminate) = (
        caught(SignalKind::interrupt())?,
        caught(SignalKind::terminate())?,
    );
    let mut told = async move || {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let compose = tokio::select! {
        biased;
        started = Compose::start(&screen) => started?,
        () = told() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let work = async {
        compose.prepare(&screen).await?;
        compose.check(&screen).await
    };
    let held = tokio::select! {
        biased;
        held = work => held.map(|()| ExitCode::SUCCESS),
        () = told() => Ok(ExitCode::from(INTERRUPTED)),
    };
    if args.stay && matches!(held, Ok(ExitCode::SUCCESS)) {
        screen.line(&format!("\n{}", compose.addresses().await?));
        told().await;
    }
    let step = screen.step("taking everything down");
    let ended = compose.end().await;
    if ended.is_ok() {
        step.done("taken down: containers, networks, volumes");
    }
    // Why it did not hold is worth more than why it did not end.
    let code = held?;
    ended?;
    if code == ExitCode::SUCCESS {
        screen.line("compose-test: passed");
    }
    Ok(code)
}

fn caught(kind: SignalKind) -> Result<Signal> {
    signal(kind).context("signals cannot be caught")
}
