//! The six services: processes of their own, one for each `ferry-<name>`.
//!
//! In: their programs, the bus, their keys. Out: processes that are kept running,
//! and where each tells whether it is ready.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ferry_bus::User;
use ferry_config::{Config, Gateway};
use ferry_events::Service;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::child::Child;
use super::find;
use super::keep::keep;
use super::processes::Processes;
use super::said::Said;
use crate::data::Data;
use crate::exit::Exit;
use crate::failure::Stopped;

/// How long a service may take to end: its own drain has 10 s.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

/// The services, found.
pub struct Services {
    programs: Vec<(Service, PathBuf)>,
    data: Data,
    secrets: PathBuf,
}

/// A service, and the address of its `/readyz` since its last start.
pub type State = (Service, watch::Receiver<Option<String>>);

impl Services {
    /// Looks for their programs.
    pub fn find(data: &Data, secrets: PathBuf) -> Result<Self> {
        let mut programs = Vec::new();
        let mut missing = Vec::new();
        for service in Service::ALL {
            let name = format!("ferry-{service}");
            match find::beside_or_on_path(&name) {
                Some(path) => programs.push((service, path)),
                None => missing.push(name),
            }
        }
        if missing.is_empty() {
            return Ok(Self {
                programs,
                data: data.clone(),
                secrets,
            });
        }
        let what = format!("missing programs: {}", missing.join(", "));
        Err(Stopped::new(Exit::NotFound, what)
            .next(
                "put them beside `ferry` or on the PATH (in Ferry's sources: `cargo build --bins`)",
            )
            .into())
    }

    /// Starts them and keeps them running.
    #[allow(clippy::too_many_arguments)]
    pub fn start(
        self,
        url: &str,
        with_keys: bool,
        config: &Config,
        processes: &Arc<Processes>,
        said: &Said,
        ends: CancellationToken,
        tasks: &mut JoinSet<bool>,
    ) -> Vec<State> {
        let mut states = Vec::new();
        for (service, program) in self.programs {
            let (sender, receiver) = watch::channel(None);
            states.push((service, receiver));
            let name = service.name();
            let log = self.data.log(name);
            let mut command = vec!["--bus".into(), url.into()];
            if with_keys {
                let seed = self.data.keys().join(User::Service(service).seed_file());
                command.extend(["--credentials".into(), seed.into_os_string()]);
            }
            command.extend(["--secrets".into(), self.secrets.clone().into_os_string()]);
            command.extend(["--data".into(), self.data.services().into_os_string()]);
            let gateway = (service == Service::Gateway).then(|| gateway_here(&config.gateway));
            let processes = processes.clone();
            let start = Arc::new(move || {
                let mut run = Command::new(&program);
                // The API's token is the person's, not the services'.
                run.args(&command)
                    .env_remove("FERRY_TOKEN")
                    .env_remove("FERRY_HEALTH");
                let ready = match &gateway {
                    Some(url) => format!("{url}readyz"),
                    None => {
                        let address = free_address()?;
                        run.arg("--health").arg(address.to_string());
                        format!("http://{address}/readyz")
                    }
                };
                let child = Child::start(name, run, &log, &processes)?;
                sender.send_replace(Some(ready));
                Ok(child)
            });
            let (said, ends) = (said.clone(), ends.clone());
            tasks.spawn(async move { keep(name, None, start, ends, ENDS_WITHIN, said).await });
        }
        said.line(&format!(
            "the services start; their logs are in {}",
            self.data.logs().display()
        ));
        states
    }
}

/// The gateway's address as this machine reaches it, whatever its public one is.
pub fn gateway_here(gateway: &Gateway) -> String {
    Gateway {
        url: None,
        ..gateway.clone()
    }
    .public_url()
    .to_string()
}

/// An address that was free a moment ago. Where another program takes it first
/// the service ends, and starts again with another one.
fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}
