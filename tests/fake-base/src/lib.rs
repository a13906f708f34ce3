//! A base without Java: arklet's protocol as a real one of 2.1.3 or 2.1.6
//! speaks it, modules that answer HTTP, the lies that networks and JVMs tell,
//! and a ledger of what was done. Goes in: [`Options`]. Comes out: a running
//! [`FakeBase`] on loopback. For tests and for demos on machines without Java.

mod base;
mod biz;
mod commands;
pub mod conformance;
mod control;
mod download;
mod faults;
mod inside;
pub mod jar;
mod java;
mod ledger;
mod server;
mod wire;
mod world;
mod world_json;

use std::path::PathBuf;
use std::sync::Arc;

use ferry_ark::BizState;
use ferry_web::{Http, Web};
use serde::Serialize;
use serde_json::Value;

pub use faults::{FaultSwitch, Faults, StuckAt};
pub use jar::{Answer, Behaviour, FakeJar};
pub use ledger::{Entry, Ledger, Phase};
pub use server::Port;
pub use world::Dialect;

use base::Base;
use world::World;

/// What a base says of its own application's version.
pub const BASE_VERSION: &str = "1.0.0";

/// How a fake base shall be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Arklet's port; 0 takes any.
    pub arklet_port: u16,
    /// The modules' own HTTP; 0 takes any.
    pub modules_port: u16,
    /// `/_fake/...`; 0 takes any.
    pub control_port: u16,
    /// `spring.application.name`; empty means `fake-base`.
    pub name: String,
    /// `-XX:MaxMetaspaceSize` in bytes; None: unlimited. An empty base takes 54 MiB.
    pub metaspace_max: Option<u64>,
    /// `-Dactivate.new.module=true`: a second version becomes the active one.
    pub activate_new_module: bool,
    /// Which version of arklet to imitate.
    pub dialect: Dialect,
    /// Where to append the ledger as JSON lines.
    pub ledger: Option<PathBuf>,
    /// The faults to start with.
    pub faults: Faults,
}

/// Why a fake base did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken, or there are none left.
    #[error("cannot listen on port {port} of loopback; give 0 for any free one")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The ledger's file cannot be opened.
    #[error("cannot open the ledger {path} for appending; does its folder exist?")]
    Ledger {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// No HTTP client for downloads.
    #[error("cannot set up the HTTP client for downloads")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A running fake base. Dropping it closes its ports and ends its work.
pub struct FakeBase {
    /// `http://127.0.0.1:PORT` of arklet.
    pub arklet_url: String,
    /// `http://127.0.0.1:PORT` of the modules' own HTTP.
    pub modules_url: String,
    /// `http://127.0.0.1:PORT` of `/_fake/faults` and `/_fake/ledger`.
    pub control_url: String,
    base: Arc<Base>,
}

/// The one line that `ferry-fake-base` prints once it listens.
#[derive(Debug, Clone, Serialize, serde::Deserialize)]
pub struct Addresses {
    /// See [`FakeBase::arklet_url`].
    pub arklet_url: String,
    /// See [`FakeBase::modules_url`].
    pub modules_url: String,
    /// See [`FakeBase::control_url`].
    pub control_url: String,
}

/// A module in a fake base, as it is and not as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledModule {
    /// From the manifest.
    pub name: String,
    /// From the manifest.
    pub version: String,
    /// What the base does with it.
    pub state: BizState,
}

impl FakeBase {
    /// Starts a base on loopback; it listens when this returns.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let listen =
            |port| server::listen(port).map_err(|source| StartError::Listen { port, source });
        let (arklet, arklet_at) = listen(options.arklet_port)?;
        let (modules, modules_at) = listen(options.modules_port)?;
        let (control, control_at) = listen(options.control_port)?;
        let ledger =
            Ledger::open(options.ledger.as_deref()).map_err(|source| StartError::Ledger {
                path: options
                    .ledger
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect(),
                source,
            })?;
        let web = Http::new().map_err(|error| StartError::Http(error.into()))?;
        let base = Arc::new(Self::base(options, ledger, Arc::new(web)));
        tokio::spawn(server::serve(
            Arc::clone(&base),
            arklet,
            arklet_at,
            Port::Arklet,
        ));
        tokio::spawn(server::serve(
            Arc::clone(&base),
            modules,
            modules_at,
            Port::Modules,
        ));
        let served = axum::serve(control, control::router(Arc::clone(&base)))
            .with_graceful_shutdown(base.stopped.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the control port of the fake base is gone");
            }
        });
        Ok(Self {
            arklet_url: format!("http://{arklet_at}"),
            modules_url: format!("http://{modules_at}"),
            control_url: format!("http://{control_at}"),
            base,
        })
    }

    fn base(options: Options, ledger: Ledger, web: Arc<dyn Web>) -> Base {
        let name = if options.name.is_empty() {
            "fake-base".to_owned()
        } else {
            options.name
        };
        Base::new(
            World::new(options.dialect, name, options.metaspace_max),
            FaultSwitch::new(options.faults),
            ledger,
            web,
            options.activate_new_module,
        )
    }

    /// Its three addresses.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        Addresses {
            arklet_url: self.arklet_url.clone(),
            modules_url: self.modules_url.clone(),
            control_url: self.control_url.clone(),
        }
    }

    /// Its lies.
    #[must_use]
    pub fn faults(&self) -> &FaultSwitch {
        &self.base.faults
    }

    /// What was asked of it and what came of it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.base.ledger
    }

    /// Its modules, as they are; sorted by priority, name, version.
    #[must_use]
    pub fn modules(&self) -> Vec<InstalledModule> {
        let world = self.base.world();
        world
            .modules()
            .iter()
            .map(|module| InstalledModule {
                name: module.name.clone(),
                version: module.version.clone(),
                state: module.state,
            })
            .collect()
    }

    /// The process record of an id, as `/queryBizOps` would tell it.
    #[must_use]
    pub fn record(&self, request_id: &str) -> Option<Value> {
        self.base.world().record_json(request_id)
    }

    /// Kills it and starts it again on the same ports: no modules, no
    /// records, no used ids; connections are cut and work is lost.
    pub fn restart_empty(&self) {
        self.base.restart_empty();
    }

    /// Waits until a module with `exit_jvm` has ended the process. From then
    /// on it refuses connections until `refuse_connections` is taken back.
    pub async fn exited(&self) {
        self.base.exited.cancelled().await;
    }
}

impl Drop for FakeBase {
    fn drop(&mut self) {
        self.base.stopped.cancel();
    }
}
