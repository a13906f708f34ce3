//! The bus as its operator: for the configuration and for streams.
//!
//! In: where the bus is, whose key. Out: a connection, and a configuration put
//! in force.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_bus::config_store::{self, Revision};
use ferry_bus::{BusError, CommitError, ConnectOptions, JetStream, User};
use ferry_config::Config;

use crate::data::{DATA_DIR, operator_seed};
use crate::exit::Exit;
use crate::failure::Stopped;

/// How long the bus may take to be there for a command.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// How often a configuration is put again when another one came between: each
/// time somebody else made progress.
const APPLY_ATTEMPTS: u32 = 8;

/// Which bus, and the operator's key.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bus")]
pub struct BusArgs {
    /// The bus; default: [bus] url of ferry.toml
    #[arg(long, value_name = "URL", env = "FERRY_BUS")]
    pub bus: Option<String>,
    /// The operator's nkey seed; default: .ferry/keys/operator.nk where it is
    #[arg(long, value_name = "FILE", env = "FERRY_CREDENTIALS")]
    pub credentials: Option<PathBuf>,
}

impl BusArgs {
    /// Connects. `config` says where the bus is when the arguments do not.
    pub async fn connect(&self, config: Option<&Config>) -> Result<JetStream> {
        let url = self.bus.clone().unwrap_or_else(|| match config {
            Some(config) => config.bus.url.clone(),
            None => Config::default().bus.url,
        });
        let default = operator_seed(Path::new(DATA_DIR));
        let seed = match &self.credentials {
            Some(file) => Some(read_seed(file)?),
            None if default.is_file() => Some(read_seed(&default)?),
            None => None,
        };
        let bus = connect(&url, seed).await?;
        bus.ready(READY_WITHIN).await.map_err(|error| {
            Stopped::new(
                Exit::Unreachable,
                format!("the bus at {url} does not answer: {error}"),
            )
            .next("start it with `ferry up`, or name another one with --bus")
        })?;
        Ok(bus)
    }
}

/// An nkey seed from its file.
pub fn read_seed(file: &Path) -> Result<String> {
    let seed = std::fs::read_to_string(file)
        .with_context(|| format!("the key in {} cannot be read", file.display()))?;
    Ok(seed.trim().to_owned())
}

/// Connects as the operator; does not wait for a bus that is not there yet.
pub async fn connect(url: &str, seed: Option<String>) -> Result<JetStream> {
    let without_key = seed.is_none();
    let options = ConnectOptions {
        url: url.to_owned(),
        user: User::Operator,
        seed,
        name: "ferry".to_owned(),
    };
    JetStream::connect(options)
        .await
        .map_err(|error| match error {
            BusError::Refused(what) => {
                let stopped = Stopped::new(Exit::NotAllowed, what);
                if without_key {
                    stopped
                        .next("name the operator's key with --credentials")
                        .into()
                } else {
                    stopped.into()
                }
            }
            other => other.into(),
        })
}

/// A configuration that was put in force, or was already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision's sequence on the bus.
    pub sequence: u64,
    /// It was not in force before.
    pub changed: bool,
}

/// Puts a configuration in force, unless it is already.
pub async fn apply(bus: &JetStream, config: &Config) -> Result<Applied> {
    let payload = bytes::Bytes::from(serde_json::to_vec(config)?);
    for _ in 0..APPLY_ATTEMPTS {
        let now = config_store::read(bus).await?;
        let expected = match &now {
            Some(revision) if decode(revision).is_ok_and(|in_force| in_force == *config) => {
                return Ok(Applied {
                    sequence: revision.sequence,
                    changed: false,
                });
            }
            Some(revision) => revision.sequence,
            None => 0,
        };
        match config_store::put(bus, payload.clone(), expected).await {
            Ok(sequence) => {
                return Ok(Applied {
                    sequence,
                    changed: true,
                });
            }
            Err(CommitError::Conflict) => {}
            Err(error) => return Err(error).context("the configuration cannot be put on the bus"),
        }
    }
    Err(Stopped::new(
        Exit::Failed,
        "somebody else keeps applying another configuration",
    )
    .next("find out who: two `ferry up` or `ferry config apply` share one bus")
    .into())
}

/// The configuration of a revision.
pub fn decode(revision: &Revision) -> Result<Config> {
    serde_json::from_slice(&revision.payload)
        .context("the configuration on the bus is of another version of Ferry")
}
