//! A real nats-server: JetStream on disk, synchronised at every write, on a
//! port of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use tempfile::TempDir;

use crate::process::Process;
use crate::tools;

/// It starts in 15 ms; half a million stored messages take it 0.5 s. The rest
/// is for a machine that is busy with a build.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The name of one that stands alone.
const NAME: &str = "ferry";

/// How long it may take to write out and end when asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A nats-server, killed when dropped.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    name: String,
    dir: PathBuf,
    extra: String,
    address: SocketAddr,
    // Removed last, after the process is gone.
    _temp: Option<TempDir>,
}

/// What nats-server writes into `ports_file_dir`.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl NatsServer {
    /// Starts one in a temporary folder, without users.
    ///
    /// # Errors
    /// When nats-server is missing or does not come up.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// Starts one in a temporary folder; `extra` is appended to its
    /// configuration, such as an `authorization` block.
    ///
    /// # Errors
    /// When nats-server is missing, refuses the configuration or does not come up.
    pub async fn start_with(extra: &str) -> Result<Self> {
        let temp = tempfile::Builder::new().prefix("ferry-nats-").tempdir()?;
        let mut server = Self::start_in(temp.path(), extra).await?;
        server._temp = Some(temp);
        Ok(server)
    }

    /// Starts one that keeps its data, log and configuration in `dir`.
    ///
    /// # Errors
    /// When nats-server is missing, refuses the configuration or does not come up.
    pub async fn start_in(dir: &Path, extra: &str) -> Result<Self> {
        Self::start_as(NAME, dir, ferry_ports::port()?, extra).await
    }

    /// As [`Self::start_in`], under a name of its own and on a port that was chosen before.
    ///
    /// # Errors
    /// As [`Self::start_in`].
    pub async fn start_as(name: &str, dir: &Path, port: u16, extra: &str) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let (process, address) = launch(name, dir, extra, port).await?;
        Ok(Self {
            process,
            name: name.to_owned(),
            dir: dir.to_path_buf(),
            extra: extra.to_owned(),
            address,
            _temp: None,
        })
    }

    /// Where clients connect: `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The address of [`Self::url`].
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name, which JetStream calls its leaders by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder with its data, log and configuration.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process, to signal it or to read its log.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// kill -9.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await.map(drop)
    }

    /// Asks it to end, and waits.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> Result<()> {
        self.process.terminate(STOP_LIMIT).await.map(drop)
    }

    /// Stops it where it stands: connections stay open and nothing answers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn freeze(&self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets a frozen one go on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn thaw(&self) -> Result<()> {
        self.process.thaw()
    }

    /// Kills it if it still runs, and starts it again on the same port and data.
    ///
    /// # Errors
    /// When it does not come up, for example because the port was taken meanwhile.
    pub async fn restart(&mut self) -> Result<()> {
        self.restart_with(&self.extra.clone()).await
    }

    /// As [`Self::restart`], with other configuration appended.
    ///
    /// # Errors
    /// As [`Self::restart`].
    pub async fn restart_with(&mut self, extra: &str) -> Result<()> {
        if self.process.ended()?.is_none() {
            self.kill().await?;
        }
        extra.clone_into(&mut self.extra);
        let port = self.address.port();
        (self.process, self.address) = launch(&self.name, &self.dir, extra, port).await?;
        Ok(())
    }
}

async fn launch(name: &str, dir: &Path, extra: &str, port: u16) -> Result<(Process, SocketAddr)> {
    let binary = tools::nats_server()?;
    let config = dir.join("nats-server.conf");
    fs::write(&config, configuration(name, dir, extra, port))
        .with_context(|| format!("cannot write {}", config.display()))?;
    let mut command = Command::new(binary);
    command.arg("--config").arg(&config);
    let mut process = Process::spawn("nats-server", command, &dir.join("nats-server.log"))?;
    // Written when it listens, which is after JetStream has recovered.
    let ports = dir.join(format!("nats-server_{}.ports", process.id()));
    let address = process
        .look("its address", START_LIMIT, |_| Ok(read_address(&ports)))
        .await?;
    fs::remove_file(&ports).ok();
    Ok((process, address))
}

fn configuration(name: &str, dir: &Path, extra: &str, port: u16) -> String {
    // Debug formatting quotes and escapes as the configuration language wants it.
    let dir_text = dir.to_string_lossy();
    let store = dir.join("jetstream");
    let store = store.to_string_lossy();
    format!(
        "server_name: {name:?}\n\
         host: 127.0.0.1\n\
         port: {port}\n\
         ports_file_dir: {dir_text:?}\n\
         jetstream {{\n  store_dir: {store:?}\n  sync_interval: always\n}}\n\
         {extra}\n"
    )
}

/// Nothing while the file is absent or half written.
fn read_address(ports: &Path) -> Option<SocketAddr> {
    let text = fs::read(ports).ok()?;
    let ports: Ports = serde_json::from_slice(&text).ok()?;
    ports.nats.first()?.strip_prefix("nats://")?.parse().ok()
}
