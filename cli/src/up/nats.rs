//! nats-server: JetStream on disk, synchronised at every write, known users only.
//!
//! In: the program, where it listens, the users. Out: a server that takes
//! connections, and is started again when it dies.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_bus::{ServerOptions, Users, server_config};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::child::Child;
use super::keep::keep;
use super::processes::Processes;
use super::said::Said;
use crate::data::Data;
use crate::exit::Exit;
use crate::failure::Stopped;

/// Its name on the screen and among the processes.
pub const NAME: &str = "nats-server";

/// It starts in 15 ms; half a million stored messages take it 0.5 s. The rest is
/// for a machine that is busy with a build.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to write out and end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// Between two looks whether it listens.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The port of a NATS address without one.
const DEFAULT_PORT: u16 = 4222;

/// A nats-server to start.
pub struct Server {
    program: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    address: String,
}

impl Server {
    /// Writes its configuration: it listens at `url`.
    pub fn new(program: PathBuf, data: &Data, url: &str, users: &Users) -> Result<Self> {
        let (host, port) = listen(url)?;
        let folder = data.nats();
        let failed = || format!("{} cannot be written", folder.display());
        fs::create_dir_all(&folder).with_context(failed)?;
        let options = ServerOptions {
            name: "ferry".to_owned(),
            host: host.to_string(),
            port: Some(port),
            store_dir: folder.join("jetstream"),
            ports_file_dir: Some(folder.clone()),
            monitoring_port: None,
        };
        fs::write(config_file(&folder), server_config(&options, users)).with_context(failed)?;
        Ok(Self {
            program,
            folder,
            log: data.log(NAME),
            address: format!("{host}:{port}"),
        })
    }

    /// Starts it, waits until it listens, and keeps it running.
    pub async fn start(
        self,
        processes: &Arc<Processes>,
        said: &Said,
        ends: CancellationToken,
        tasks: &mut JoinSet<bool>,
    ) -> Result<()> {
        let address = self.address.clone();
        let folder = self.folder.clone();
        let processes = processes.clone();
        let start = Arc::new(move || {
            let mut command = Command::new(&self.program);
            command.arg("--config").arg(config_file(&self.folder));
            Child::start(NAME, command, &self.log, &processes)
        });
        let mut first = start()?;
        // Written when it listens, which is after JetStream has recovered.
        let ports = folder.join(format!("{NAME}_{}.ports", first.id()));
        let deadline = Instant::now() + STARTS_WITHIN;
        loop {
            if ports.is_file() {
                break;
            }
            tokio::select! {
            biased;
                            status = first.wait() => {
                                let what = format!("nats-server ended ({}): {}", status?, first.last_words());
                                return Err(Stopped::new(Exit::Failed, what).next(format!(
                                    "look into {}; if {address} is taken, set another [bus] url in ferry.toml",
                                    first.log().display()
                                )).into());
                            }
                            () = sleep(LOOK_EVERY) => {}
                        }
            if Instant::now() >= deadline {
                let what = format!("nats-server does not listen after {STARTS_WITHIN:?}");
                let next = format!("look into {}", first.log().display());
                first.end(ENDS_WITHIN).await;
                return Err(Stopped::new(Exit::Failed, what).next(next).into());
            }
        }
        let _ = fs::remove_file(&ports);
        said.line(&format!("nats-server listens on {address}"));
        let said = said.clone();
        tasks.spawn(async move { keep(NAME, Some(first), start, ends, ENDS_WITHIN, said).await });
        Ok(())
    }
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("nats-server.conf")
}

/// Where a server of our own listens: a loopback address.
fn listen(url: &str) -> Result<(IpAddr, u16)> {
    let elsewhere = || {
        let what =
            format!("[bus] url is {url}, which is not one address of this machine's loopback");
        Stopped::new(Exit::Usage, what).next(
            "with --no-nats that bus is used as it is; nats-server is started here for addresses such as nats://127.0.0.1:4222",
        )
    };
    let parsed = Url::parse(url).map_err(|_| elsewhere())?;
    let host = match parsed.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        // Of a scheme that is not the web's the parser reads no address.
        Some(Host::Domain("localhost")) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(Host::Domain(name)) => name.parse().map_err(|_| elsewhere())?,
        None => return Err(elsewhere().into()),
    };
    if parsed.scheme() != "nats" || !host.is_loopback() {
        return Err(elsewhere().into());
    }
    Ok((host, parsed.port().unwrap_or(DEFAULT_PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_our_own_listens_on_loopback_only() {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(listen("nats://127.0.0.1:4333").ok(), Some((local, 4333)));
        assert_eq!(listen("nats://localhost").ok(), Some((local, 4222)));
        assert!(listen("nats://[::1]:4222").is_ok());
        for elsewhere in [
            "nats://nats.ferry.example:4222",
            "nats://10.0.0.1:4222",
            "tls://127.0.0.1:4222",
            "nats://127.0.0.1:4222,nats://127.0.0.1:4223",
            "127.0.0.1:4222",
        ] {
            assert!(listen(elsewhere).is_err(), "{elsewhere}");
        }
    }
}
