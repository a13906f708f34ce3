//! The gateway as a process.
//!
//! In: the command line of every service. Out: an exit code: 0 after a drain in
//! time, 1 when something failed, 3 when the drain's deadline came first.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use ferry_events::Service;
use ferry_runtime::{Clock, Tracer, init_telemetry, print_chain};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::Parts;

/// What the gateway needs to know by itself.
#[derive(Clone, Debug, Parser)]
#[command(
    version,
    about = "The gateway of Ferry. `ferry up` starts all services."
)]
pub struct GatewayArgs {
    /// What every service takes.
    #[command(flatten)]
    pub service: ferry_runtime::Args,
    /// Where to listen instead of `[gateway] listen`: for a second gateway on one machine.
    #[arg(long, env = "FERRY_LISTEN")]
    pub listen: Option<SocketAddr>,
}

/// Runs until SIGTERM or SIGINT, and drains.
pub fn start(args: &GatewayArgs) -> ExitCode {
    init_telemetry(args.service.log_json);
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

async fn go(args: &GatewayArgs) -> anyhow::Result<bool> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let listener =
        match args.listen {
            Some(address) => Some(TcpListener::bind(address).await.with_context(|| {
                format!("cannot listen on {address}; set --listen to a free one")
            })?),
            None => None,
        };
    let service = &args.service;
    let tracer = Tracer::start(Service::Gateway);
    let parts = Parts {
        bus: service.connect(Service::Gateway).await?,
        clock: Clock::wall(),
        data: service.own_folder(Service::Gateway)?,
        secrets: service.secrets.clone(),
        listener,
        health: service.health,
        tracer: tracer.clone(),
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
    let ended = crate::run(parts, drain).await;
    tracer.flush().await;
    let in_time = ended?;
    if !in_time {
        warn!("the drain's deadline came first; what was in hand is cut off");
    }
    Ok(in_time)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::GatewayArgs;

    #[test]
    fn the_command_line_is_sound() {
        GatewayArgs::command().debug_assert();
    }
}
