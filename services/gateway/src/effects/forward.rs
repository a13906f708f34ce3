//! From the inbox to the bus, in order, once the bus answers again.
//!
//! In: the inbox. Out: an empty one. A push that the bus refuses holds up its
//! own branch and no other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ferry_bus::{Bus, BusError};
use ferry_config::Config;
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::accept::deliver;
use super::inbox::{InboxError, Kept, Waiting};

/// Pushes looked at together: a screenful of records, a few KiB each.
const PAGE: usize = 64;

/// Between two attempts while the bus is silent: the pause of the runtime.
const PAUSE: Duration = Duration::from_millis(250);

/// Between two attempts at a push that the bus refuses: someone must act first.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// Between two attempts while the inbox itself cannot be read.
const DISK_PAUSE: Duration = Duration::from_secs(5);

/// How long one delivery may take before the bus counts as silent.
const DEADLINE: Duration = Duration::from_secs(5);

enum Pass {
    /// All that could be delivered is.
    Through {
        /// Whether pushes stay that the bus refuses.
        refused: bool,
    },
    Silent,
}

/// Delivers for ever.
pub async fn run(bus: Arc<dyn Bus>, config: watch::Receiver<Arc<Config>>, inbox: Arc<dyn Waiting>) {
    loop {
        let passed = async {
            inbox.mend().await?;
            pass(&bus, &config, &*inbox).await
        };
        match passed.await {
            Ok(Pass::Through { refused: false }) => inbox.arrival().await,
            Ok(Pass::Through { refused: true }) => tokio::time::sleep(REFUSED_PAUSE).await,
            Ok(Pass::Silent) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "the inbox cannot be used now; tried again"
                );
                tokio::time::sleep(DISK_PAUSE).await;
            }
        }
    }
}

async fn pass(
    bus: &Arc<dyn Bus>,
    config: &watch::Receiver<Arc<Config>>,
    inbox: &dyn Waiting,
) -> Result<Pass, InboxError> {
    let mut held: BTreeSet<(String, String)> = BTreeSet::new();
    let (mut place, mut delivered) = (None, 0_usize);
    loop {
        let page = inbox.after(place, PAGE)?;
        let Some(last) = page.last() else { break };
        place = Some(last.place);
        for kept in &page {
            let branch = (
                kept.received.repository.clone(),
                kept.received.branch.clone(),
            );
            if held.contains(&branch) {
                continue;
            }
            match one(bus, config, kept).await {
                Ok(()) => {
                    inbox.remove(kept)?;
                    delivered += 1;
                }
                Err(BusError::Unavailable(_)) => return Ok(Pass::Silent),
                Err(error) => {
                    warn!(%error, push = %kept.received.push, "the bus refuses a push of the inbox");
                    held.insert(branch);
                }
            }
        }
    }
    if delivered > 0 {
        info!(pushes = delivered, "delivered from the inbox");
    }
    Ok(Pass::Through {
        refused: !held.is_empty(),
    })
}

async fn one(
    bus: &Arc<dyn Bus>,
    config: &watch::Receiver<Arc<Config>>,
    kept: &Kept,
) -> Result<(), BusError> {
    let config = config.borrow().clone();
    tokio::time::timeout(DEADLINE, deliver(bus, &config, &kept.received))
        .await
        .unwrap_or_else(|_| Err(BusError::Unavailable(format!("silent for {DEADLINE:?}"))))
}
