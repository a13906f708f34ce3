//! `ferry up`: nats-server, the configuration and the six services, kept running
//! on one machine until it is told to end.
//!
//! In: ferry.toml, a data folder, binaries. Out: a running Ferry; lines that say
//! what happens.

mod bus;
mod child;
mod find;
mod keep;
mod lock;
mod nats;
mod processes;
mod ready;
mod said;
mod services;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use ferry_config::Loaded;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::config::{checked, summary};
use crate::data::{DATA_DIR, Data};
use crate::exit::Exit;
use crate::operator::apply;

use processes::Processes;
use said::Said;
use services::Services;

/// Arguments of `ferry up`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ends on SIGINT or SIGTERM after a drain; a second one ends it at once.\n\nExamples:\n  ferry up\n  ferry up --config /etc/ferry/ferry.toml --data /var/lib/ferry\n  ferry up --bus nats://nats.ferry.example:4222      a bus that runs already"
)]
pub struct Args {
    /// The configuration; applied again whenever it changes
    #[arg(long, value_name = "FILE", default_value = "ferry.toml")]
    config: PathBuf,
    /// The folder for keys, logs, and all that is stored
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
    /// The nats-server to start; default: FERRY_NATS_SERVER, else the one on the PATH
    #[arg(long, value_name = "PATH", conflicts_with_all = ["bus", "no_nats"])]
    nats_server: Option<PathBuf>,
    /// Use this bus, with the keys in DATA/keys where there are some; start none
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
    /// Start no nats-server: use the one at [bus] url
    #[arg(long)]
    no_nats: bool,
}

impl Args {
    /// Whether nats-server is ours to start.
    fn own_bus(&self) -> bool {
        self.bus.is_none() && !self.no_nats
    }
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let mut ends = Ends::new()?;
    let loaded = checked(&args.config)?;
    let data = Data::create(&args.data)?;
    let _lock = lock::take(&data.lock())?;
    let said = Said::new();
    let processes = Processes::after_those_of_before(data.processes(), &said).await?;
    let services = Services::find(&data, secrets_root(&args.config)?)?;

    let mut parts = Parts::default();
    let ended = tokio::select! {
    biased;
            ended = go(&args, &data, loaded, services, &processes, &said, &mut parts) => ended,
            () = ends.next() => {
                said.line("ending: the services finish or hand back what is in hand");
                Ok(())
            }
        };
    // Whatever went wrong: what was started is ended.
    let drained = tokio::select! {
    biased;
            drained = parts.end() => drained,
            () = ends.next() => {
                processes.kill_all();
                false
            }
        };
    ended?;
    if drained {
        said.line("ended");
        return Ok(Exit::Success);
    }
    said.bad("ended at once; what was in hand goes on at the next start");
    Ok(Exit::Failed)
}

/// What runs, in the order in which it ends. Each task says whether its process
/// ended by itself in time.
#[derive(Default)]
struct Parts {
    services: JoinSet<bool>,
    services_end: CancellationToken,
    nats: JoinSet<bool>,
    nats_ends: CancellationToken,
}

impl Parts {
    /// Ends everything: the services first, so that they can hand back to the bus
    /// what they have in hand.
    async fn end(&mut self) -> bool {
        self.services_end.cancel();
        let mut in_time = all(&mut self.services).await;
        self.nats_ends.cancel();
        in_time &= all(&mut self.nats).await;
        in_time
    }
}

async fn all(tasks: &mut JoinSet<bool>) -> bool {
    let mut good = true;
    while let Some(task) = tasks.join_next().await {
        good &= task.unwrap_or(false);
    }
    good
}

/// Starts everything, and goes on until the caller drops it.
async fn go(
    args: &Args,
    data: &Data,
    loaded: Loaded,
    services: Services,
    processes: &Arc<Processes>,
    said: &Said,
    parts: &mut Parts,
) -> Result<()> {
    let config = &loaded.config;
    let url = bus::url(args, config);
    let users = bus::users(args, data)?;
    if let (true, Some(users)) = (args.own_bus(), &users) {
        let program = find::nats_server(args.nats_server.as_deref())?;
        let server = nats::Server::new(program, data, &url, users)?;
        let (ends, tasks) = (parts.nats_ends.clone(), &mut parts.nats);
        server.start(processes, said, ends, tasks).await?;
    }
    let operator = bus::connect(&url, users.as_ref()).await?;
    bus::provision(&operator, said).await?;
    let applied = apply(&operator, config).await?;
    said.line(&format!(
        "configuration {}{}: {}",
        &config.revision_digest()[..12],
        if applied.changed { "" } else { " (as before)" },
        summary(config)
    ));

    let (ends, tasks) = (parts.services_end.clone(), &mut parts.services);
    let states = services.start(&url, users.is_some(), config, processes, said, ends, tasks);
    let ready = async {
        ready::wait(&states, said).await;
        said.good(&ready::addresses(config, &url, data));
    };
    tokio::join!(ready, watch::files(&args.config, &loaded, &operator, said));
    Ok(())
}

/// Relative secrets stand below the folder of ferry.toml.
fn secrets_root(config: &Path) -> Result<PathBuf> {
    let whole = std::path::absolute(config)
        .with_context(|| format!("{} cannot be used", config.display()))?;
    Ok(whole.parent().unwrap_or(Path::new("/")).to_owned())
}

/// The signals that end it.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    fn new() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?,
            interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
        biased;
                    _ = self.terminate.recv() => {}
                    _ = self.interrupt.recv() => {}
                }
    }
}
