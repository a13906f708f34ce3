//! A service's command line and its main: the same for all.
//!
//! In: arguments, each also as an environment variable. Out: an exit code: 0 after a drain in time,
//! 1 when something failed, 3 when the drain's deadline came first.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use ferry_bus::{Bus, ConnectOptions, JetStream, User};
use ferry_events::Service;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::{
    Decide, Effects, Hands, Notes, Room, Settings, Tracer, Witness, health, init_telemetry,
    print_chain,
};

/// What a service needs to know by itself; everything else is in the configuration on the bus.
#[derive(Clone, Debug, Parser)]
#[command(version, about = "A service of Ferry. `ferry up` starts all of them.")]
pub struct Args {
    /// Where the bus is; several addresses, divided by commas, for a cluster.
    #[arg(long, env = "FERRY_BUS", default_value = "nats://127.0.0.1:4222")]
    pub bus: String,
    /// The file with the nkey seed of this service's user of the bus.
    #[arg(long, env = "FERRY_CREDENTIALS")]
    pub credentials: Option<PathBuf>,
    /// The folder that relative `file:` secrets are in.
    #[arg(long, env = "FERRY_SECRETS", default_value = ".")]
    pub secrets: PathBuf,
    /// The folder for what this service keeps on disk; all of it can be made again, except the
    /// gateway's inbox.
    #[arg(long, env = "FERRY_DATA", default_value = ".ferry")]
    pub data: PathBuf,
    /// Where to answer `/healthz` and `/readyz`; nowhere by default.
    #[arg(long, env = "FERRY_HEALTH")]
    pub health: Option<SocketAddr>,
    /// Log as JSON, a line an entry.
    #[arg(long, env = "FERRY_LOG_JSON")]
    pub log_json: bool,
}

/// What a service's effects are made from.
#[derive(Clone)]
pub struct Environment {
    /// The folder that relative `file:` secrets are in.
    pub secrets_root: PathBuf,
    /// The service's own folder; it exists.
    pub data_dir: PathBuf,
    /// Hands on the bus.
    pub hands: Hands,
    /// Where to note what it does without.
    pub notes: Notes,
}

impl Args {
    /// Connects to the bus as a service.
    ///
    /// # Errors
    /// When the credentials cannot be read or are refused.
    pub async fn connect(&self, service: Service) -> anyhow::Result<Arc<dyn Bus>> {
        let seed = match &self.credentials {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .with_context(|| format!("credentials {} cannot be read", path.display()))?,
            ),
            None => None,
        };
        let options = ConnectOptions {
            url: self.bus.clone(),
            user: User::Service(service),
            seed,
            name: format!("ferry-{service}"),
        };
        Ok(Arc::new(JetStream::connect(options).await?))
    }

    /// The service's own folder, made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn own_folder(&self, service: Service) -> anyhow::Result<PathBuf> {
        let folder = self.data.join(service.name());
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("folder {} cannot be made", folder.display()))?;
        // Builds and sandboxes change their working directory.
        std::path::absolute(&folder).with_context(|| format!("folder {}", folder.display()))
    }
}

/// Runs a service until SIGTERM or SIGINT, and drains.
pub fn start<D: Decide, E: Effects<D>>(
    args: &Args,
    make: impl FnOnce(Environment) -> anyhow::Result<(D, E)>,
    service: Service,
) -> ExitCode {
    init_telemetry(args.log_json);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            print_chain(&anyhow::Error::new(error).context("no async runtime"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(go(args, make, service)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            print_chain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn go<D: Decide, E: Effects<D>>(
    args: &Args,
    make: impl FnOnce(Environment) -> anyhow::Result<(D, E)>,
    service: Service,
) -> anyhow::Result<bool> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let bus = args.connect(service).await?;
    let data_dir = args.own_folder(service)?;
    let witness = Witness::open(&data_dir)
        .with_context(|| format!("{} cannot be used", data_dir.display()))?;
    let environment = Environment {
        secrets_root: args.secrets.clone(),
        data_dir,
        hands: Hands::watched(bus.clone(), witness.clone()),
        notes: Notes::default(),
    };
    let room = Room::default();
    let tracer = Tracer::start(service);
    let health = health::Health::new(
        bus.connected(),
        witness.clone(),
        room.clone(),
        environment.notes.clone(),
        tracer.clone(),
    );
    if let Some(address) = args.health {
        health
            .clone()
            .serve(address)
            .await
            .with_context(|| format!("{address} cannot be listened on"))?;
    }
    let (decide, effects) = make(environment)?;
    let starting = crate::run(
        decide,
        effects,
        bus,
        Settings {
            witness,
            room,
            tracer: tracer.clone(),
            ..Settings::default()
        },
    );
    let running = tokio::select! {
        biased;
        running = starting => running,
        _ = terminate.recv() => return Ok(true),
        _ = interrupt.recv() => return Ok(true),
    };
    health.running();
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        why = running.stopped() => {
            // What is in memory is of a stream that is no more: begin anew, and wait there.
            running.drain().await;
            tracer.flush().await;
            return Err(anyhow::anyhow!(why));
        }
    }
    info!("draining");
    health.draining();
    let in_time = running.drain().await;
    tracer.flush().await;
    if in_time {
        info!("drained");
    } else {
        warn!("the drain's deadline came first; what was in hand comes again elsewhere");
    }
    Ok(in_time)
}
