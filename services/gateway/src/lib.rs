//! The way in: signed webhooks made durable, the HTTP API and the event stream.
//!
//! In: a bus, a listener, folders. Out: a running gateway, see [`run`].

pub mod decide;
pub mod effects;
mod start;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ferry_bus::{Bus, BusError};
use ferry_runtime::{Clock, Tracer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use start::{GatewayArgs, start};

use effects::app::App;
use effects::inbox::{Inbox, InboxError};
use effects::{configuration, forward, http, letters, memory, projection};

/// How long requests in hand may go on once the gateway shall end.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// What the gateway runs on.
pub struct Parts {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Clock,
    /// The gateway's own folder: the inbox, uploads on their way, the
    /// configuration's copy.
    pub data: PathBuf,
    /// The folder below which the files of relative secret references are.
    pub secrets: PathBuf,
    /// Where to take requests; `None`: on the configuration's address.
    pub listener: Option<TcpListener>,
    /// Where to answer `/healthz` and `/readyz` too.
    pub health: Option<SocketAddr>,
    /// Takes spans.
    pub tracer: Tracer,
}

/// Why the gateway could not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The inbox cannot be opened.
    #[error("the inbox cannot be opened")]
    Inbox(#[from] InboxError),
    /// The data folder cannot be used.
    #[error("the folder {} cannot be used", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The address is not to be had.
    #[error(
        "cannot listen on {address}; is another gateway running? Else set [gateway] listen to a free one"
    )]
    Listen {
        /// The address of the configuration.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The views are of a stream that is no more. The next start makes them anew; the inbox stays.
    #[error("the views end with this gateway: start it again")]
    Restored(#[source] BusError),
    /// The listener broke.
    #[error("the listener broke")]
    Serve(#[source] std::io::Error),
}

/// Runs until `drain` is cancelled. False when requests were still in hand at
/// the drain's deadline.
///
/// # Errors
/// When the inbox, a folder or an address cannot be had.
pub async fn run(parts: Parts, drain: CancellationToken) -> Result<bool, GatewayError> {
    let Parts {
        bus,
        clock,
        data,
        secrets,
        listener,
        health,
        tracer,
    } = parts;
    let inbox = Inbox::open(&data).await?;
    let uploads = data.join("uploads");
    clean(&uploads).map_err(|source| GatewayError::Folder {
        path: uploads.clone(),
        source,
    })?;
    let config = tokio::select! {
    biased;
            config = configuration::follow(bus.clone(), &data) => config,
            () = drain.cancelled() => return Ok(true),
        };
    let listener = match listener {
        Some(listener) => listener,
        None => {
            let address = config.borrow().gateway.listen;
            bind(address).await?
        }
    };
    let app = App::new(bus, clock, inbox, config, secrets, uploads, drain.clone()).traced(tracer);
    // Ends them when this function ends.
    let mut tasks = JoinSet::new();
    let views = projection::run(app.clone());
    let (tracer, known) = (app.tracer.clone(), app.config.clone());
    tasks.spawn(async move { tracer.follow(known, |config| &config.telemetry).await });
    tasks.spawn(letters::run(app.clone()));
    tasks.spawn(forward::run(
        app.bus.clone(),
        app.config.clone(),
        app.inbox.clone(),
    ));
    tasks.spawn(memory::run(app.clone()));
    if let Some(address) = health {
        let (listener, routes) = (bind(address).await?, http::health_router(app.clone()));
        tasks.spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() });
    }
    if let Ok(address) = listener.local_addr() {
        info!(%address, "the gateway listens");
    }
    let ended = drain.clone();
    let serve = axum::serve(listener, http::router(app))
        .with_graceful_shutdown(async move { drain.cancelled().await });
    let late = async {
        ended.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
    biased;
            error = views => Err(GatewayError::Restored(error)),
            served = serve => served.map(|()| true).map_err(GatewayError::Serve),
            () = late => Ok(false),
        }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, GatewayError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| GatewayError::Listen { address, source })
}

/// What an earlier process left there was never told of to anyone.
fn clean(uploads: &std::path::Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(uploads) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::create_dir_all(uploads)
}
