//! Durable before 202: on the bus, or, where it is silent, in the inbox.
//!
//! In: an accepted push. Out: where it is safe now; or that it is nowhere.

use std::sync::Arc;
use std::time::Duration;

use ferry_bus::{Batch, Bus, BusError, CommitError};
use ferry_config::Config;
use ferry_events::push::Received;
use tracing::{error, warn};

use super::inbox::{InboxError, Waiting};
use crate::decide::record;

/// How long the bus may be silent before a push goes to the inbox. A commit
/// takes milliseconds, and a forge waits 10 s; between them nobody notices this.
pub const BUS_SILENCE: Duration = Duration::from_millis(200);

/// Where a push is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// On the bus.
    Bus,
    /// On this gateway's disk; it is delivered when the bus answers again.
    Inbox,
}

/// Makes a push durable.
///
/// # Errors
/// When neither the bus nor the inbox took it: then nothing may be promised.
pub async fn accept(
    bus: &Arc<dyn Bus>,
    inbox: &dyn Waiting,
    config: &Config,
    received: &Received,
) -> Result<Safe, InboxError> {
    // A push behind others of the inbox waits there, so that the order stays.
    if *bus.connected().borrow() && inbox.is_empty() {
        let commit = deliver(bus, config, received);
        match tokio::time::timeout(BUS_SILENCE, commit).await {
            Ok(Ok(())) => return Ok(Safe::Bus),
            Ok(Err(error @ BusError::Unavailable(_))) => {
                warn!(%error, push = %received.push, "to the inbox")
            }
            // Someone must act; the push is safe meanwhile.
            Ok(Err(error)) => error!(%error, push = %received.push, "to the inbox"),
            Err(_) => {
                warn!(push = %received.push, "the bus was silent for {BUS_SILENCE:?}: to the inbox")
            }
        }
    }
    inbox.has_room(config.gateway.min_free_disk)?;
    inbox.put(received, config.gateway.inbox_limit)?.await?;
    Ok(Safe::Inbox)
}

/// Puts a push on the bus, once: one that is there already is left as it is.
///
/// # Errors
/// As the bus says. Then it may be there all the same.
pub async fn deliver(
    bus: &Arc<dyn Bus>,
    config: &Config,
    received: &Received,
) -> Result<(), BusError> {
    let record = record::subject_of(received.push);
    once(bus, record::batch(config, received), &record).await
}

/// Commits a batch that creates `record`; one that stands already is left.
///
/// # Errors
/// As the bus says. Then it may be there all the same.
pub async fn once(bus: &Arc<dyn Bus>, batch: Batch, record: &str) -> Result<(), BusError> {
    match bus.commit(batch).await {
        Ok(_) => Ok(()),
        // Someone was first, perhaps only just: it counts once it can be read.
        Err(CommitError::Conflict | CommitError::Duplicate) => match bus.read(record).await? {
            Some(_) => Ok(()),
            None => Err(BusError::Unavailable(format!(
                "{record} is being written elsewhere"
            ))),
        },
        Err(CommitError::Bus(error)) => Err(error),
    }
}
