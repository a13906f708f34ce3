//! The configuration in force, from the bus, and from the disk while the bus is
//! silent: a gateway that starts meanwhile still knows whose hooks to take.
//!
//! In: the bus, the data folder. Out: the configuration and each change of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ferry_bus::{Bus, config_store};
use ferry_config::Config;
use futures::StreamExt as _;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// The copy of the last one, in the data folder. It holds references to secrets,
/// never secrets.
const COPY: &str = "configuration.json";

/// How long the bus is waited for before the copy is used.
const BUS_FIRST: Duration = Duration::from_secs(2);

/// Between two words on what is waited for.
const REMIND: Duration = Duration::from_secs(5);

/// Starts following, and waits for the first configuration: from the bus, or
/// after a while from the copy.
pub async fn follow(bus: Arc<dyn Bus>, data: &Path) -> watch::Receiver<Arc<Config>> {
    let copy = data.join(COPY);
    let (found, mut first) = watch::channel(None::<Arc<Config>>);
    tokio::spawn(watch_bus(bus, copy.clone(), found));
    let early = tokio::time::timeout(BUS_FIRST, first.wait_for(Option::is_some))
        .await
        .is_ok();
    let mut known = first.borrow().clone();
    if !early && known.is_none() {
        known = read(&copy);
        if known.is_some() {
            warn!("the bus does not answer: the configuration of the last start is used");
        }
    }
    while known.is_none() {
        if tokio::time::timeout(REMIND, first.wait_for(Option::is_some))
            .await
            .is_err()
        {
            warn!(
                "waiting for a configuration; `ferry up` or `ferry config apply` puts one on the bus"
            );
        }
        known = first.borrow().clone();
    }
    let (sender, receiver) = watch::channel(known.unwrap_or_default());
    tokio::spawn(async move {
        loop {
            let newest = first.borrow_and_update().clone();
            if let Some(newest) = newest {
                sender.send_replace(newest);
            }
            if first.changed().await.is_err() {
                return;
            }
        }
    });
    receiver
}

async fn watch_bus(bus: Arc<dyn Bus>, copy: PathBuf, found: watch::Sender<Option<Arc<Config>>>) {
    let mut revisions = config_store::watch(bus);
    while let Some(revision) = revisions.next().await {
        take(&revision.payload, &copy, &found);
    }
}

fn take(payload: &[u8], copy: &Path, found: &watch::Sender<Option<Arc<Config>>>) {
    match serde_json::from_slice::<Config>(payload) {
        Ok(config) => {
            info!("configuration in force");
            found.send_replace(Some(Arc::new(config)));
            if let Err(error) = keep(copy, payload) {
                warn!(%error, path = %copy.display(), "the configuration's copy cannot be written");
            }
        }
        Err(error) => error!(%error, "a configuration cannot be read; the one before stays"),
    }
}

/// Beside, then over: a copy is old or new, never half.
fn keep(copy: &Path, payload: &[u8]) -> std::io::Result<()> {
    let beside = copy.with_extension("new");
    std::fs::write(&beside, payload)?;
    std::fs::rename(beside, copy)
}

fn read(copy: &Path) -> Option<Arc<Config>> {
    let bytes = std::fs::read(copy).ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(config) => Some(Arc::new(config)),
        Err(error) => {
            warn!(%error, path = %copy.display(), "the configuration's copy cannot be read");
            None
        }
    }
}
