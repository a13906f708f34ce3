//! The gateway as a process.
//!
//! In: the command line of every service. Out: an exit code: 0 after a drain in
//! time, 1 when something failed, 3 when the drain's deadline came first.

use std::process::ExitCode;

use anyhow::Context as _;
use ferry_events::Service;
use ferry_runtime::{Args, Clock, init_telemetry, print_chain};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Parts;

/// Runs until SIGTERM or SIGINT, and drains.
pub fn start(args: &Args) -> ExitCode {
    init_telemetry(args.log_json);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let ended = runtime
        .context("no async runtime")
        .and_then(|runtime| runtime.block_on(go(args)));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            print_chain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn go(args: &Args) -> anyhow::Result<bool> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let parts = Parts {
        bus: args.connect(Service::Gateway).await?,
        clock: Clock::wall(),
        data: args.own_folder(Service::Gateway)?,
        secrets: args.secrets.clone(),
        listener: None,
        health: args.health,
    };
    let drain = CancellationToken::new();
    let asked = drain.clone();
    tokio::spawn(async move {
        tokio::select! {
        biased;
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
        info!("draining");
        asked.cancel();
    });
    let in_time = crate::run(parts, drain).await?;
    if !in_time {
        warn!("the drain's deadline came first; what was in hand is cut off");
    }
    Ok(in_time)
}
