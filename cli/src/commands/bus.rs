//! `ferry bus`. In: a nats-server that runs elsewhere. Out: its users, its
//! configuration, its streams.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ferry_bus::{ServerOptions, StreamLimits, User, Users, provision, server_config};
use serde::Serialize;

use super::Json;
use crate::exit::Exit;
use crate::operator::BusArgs;
use crate::output::Output;

/// What to do with a bus.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Make the streams and consumers on a nats-server that runs, or bring them up to date
    Init(InitArgs),
    /// Make the users' keys, and the nats-server configuration that knows them
    Users(UsersArgs),
    /// Say that the bus was restored from a backup, so that the services go on with what it holds
    Restored(RestoredArgs),
}

/// Arguments of `ferry bus restored`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry bus restored --why 'the disk of nats-1 was lost, backup of 03:00'"
)]
pub struct RestoredArgs {
    /// Why it was restored, for those who read it later
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    bus: BusArgs,
}

/// Arguments of `ferry bus init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry bus init --bus nats://nats.ferry.example:4222 --credentials keys/operator.nk"
)]
pub struct InitArgs {
    /// Copies of each stream: 1, or 3 in a cluster
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=5))]
    replicas: u64,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    bus: BusArgs,
}

/// Arguments of `ferry bus users`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry bus users --dir keys --server-config nats-server.conf --host 0.0.0.0 --store-dir /data\n  nats-server -c nats-server.conf"
)]
pub struct UsersArgs {
    /// The folder of the keys, one file a user; those that are there stay
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Write the nats-server configuration here
    #[arg(long, value_name = "FILE")]
    server_config: Option<PathBuf>,
    /// The address that nats-server listens on
    #[arg(
        long,
        value_name = "HOST",
        default_value = "127.0.0.1",
        requires = "server_config"
    )]
    host: String,
    /// The port that nats-server listens on
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 4222,
        requires = "server_config"
    )]
    port: u16,
    /// The folder in which JetStream keeps its files, as nats-server sees it
    #[arg(
        long,
        value_name = "DIR",
        default_value = "nats",
        requires = "server_config"
    )]
    store_dir: PathBuf,
    #[command(flatten)]
    json: Json,
}

/// One thing on the bus, for `--json`.
#[derive(Serialize)]
struct Made {
    name: String,
    created: bool,
}

/// One user, for `--json`.
#[derive(Serialize)]
struct Key {
    user: &'static str,
    public_key: String,
    seed_file: PathBuf,
}

/// Runs it.
pub async fn run(task: Task) -> Result<Exit> {
    match task {
        Task::Init(args) => init(args).await,
        Task::Users(args) => users(&args),
        Task::Restored(args) => restored(args).await,
    }
}

async fn init(args: InitArgs) -> Result<Exit> {
    let config = ferry_config::load(std::path::Path::new("ferry.toml")).ok();
    let bus = args
        .bus
        .connect(config.as_ref().map(|loaded| &loaded.config))
        .await?;
    let limits = StreamLimits {
        replicas: usize::try_from(args.replicas)?,
        ..StreamLimits::default()
    };
    let made = provision(&bus, &limits).await?;
    let made: Vec<Made> = made
        .into_iter()
        .map(|it| Made {
            name: it.name,
            created: it.created,
        })
        .collect();
    Output::new(args.json.json).print(&made, |_| {
        let line = |it: &Made| {
            format!(
                "{:<24} {}",
                it.name,
                if it.created { "made" } else { "up to date" }
            )
        };
        made.iter().map(line).collect::<Vec<_>>().join("\n")
    })?;
    Ok(Exit::Success)
}

async fn restored(args: RestoredArgs) -> Result<Exit> {
    let config = ferry_config::load(std::path::Path::new("ferry.toml")).ok();
    let bus = args
        .bus
        .connect(config.as_ref().map(|loaded| &loaded.config))
        .await?;
    ferry_bus::audit::goes_on(&bus).await?;
    let said = ferry_bus::restored::acknowledge(&bus, &args.why, crate::output::now()).await?;
    Output::new(args.json.json).print(&said, |_| {
        format!(
            "said at message {}: services that wait begin anew from what the bus holds.\n\
             Pushes since the backup are not in it: redeliver them at the forge, or `ferry run` them.",
            said.end
        )
    })?;
    Ok(Exit::Success)
}

fn users(args: &UsersArgs) -> Result<Exit> {
    crate::data::secret_dir(&args.dir)?;
    let users = Users::load_or_create(&args.dir)?;
    if let Some(path) = &args.server_config {
        let options = ServerOptions {
            name: "ferry".to_owned(),
            host: args.host.clone(),
            port: Some(args.port),
            store_dir: args.store_dir.clone(),
            ports_file_dir: None,
            monitoring_port: None,
        };
        std::fs::write(path, server_config(&options, &users))
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let keys: Vec<Key> = User::all()
        .map(|user| Key {
            user: user.name(),
            public_key: users.public(user).to_owned(),
            seed_file: args.dir.join(user.seed_file()),
        })
        .collect();
    Output::new(args.json.json).print(&keys, |_| {
        let line = |key: &Key| {
            format!(
                "{:<10} {}  {}",
                key.user,
                key.public_key,
                key.seed_file.display()
            )
        };
        let mut lines: Vec<String> = keys.iter().map(line).collect();
        if let Some(path) = &args.server_config {
            lines.push(format!(
                "\n{0} is written: nats-server -c {0}",
                path.display()
            ));
        }
        lines.join("\n")
    })?;
    Ok(Exit::Success)
}
