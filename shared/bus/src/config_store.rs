//! The configuration revision in force, on the bus.
//!
//! In: JSON. Out: revisions, each named by its sequence in `FERRY`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use ferry_events::subject::CONFIG;
use futures::stream::{self, Stream};

use crate::{Bus, BusError, CommitError, Keep, Write};

/// The largest configuration in bytes, packed: it is one message.
pub const MAX_BYTES: usize = Write::MAX_PAYLOAD;

/// How often the configuration is looked at: one small request to the leader, and a change is in
/// force within this time. A subscription would need rights that services do without.
pub const LOOK: Duration = Duration::from_millis(500);

/// A configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its sequence in `FERRY`; grows with each revision.
    pub sequence: u64,
    /// Its JSON.
    pub payload: Bytes,
}

/// The revision in force.
///
/// # Errors
/// As [`Bus::read`].
pub async fn read(bus: &dyn Bus) -> Result<Option<Revision>, BusError> {
    let record = bus.read(CONFIG).await?;
    Ok(record.map(|record| Revision {
        sequence: record.sequence,
        payload: record.payload,
    }))
}

/// Puts a revision in force, after the one with the `expected` sequence; 0: there must be none. Gives its sequence.
///
/// # Errors
/// [`CommitError::Conflict`]: another revision is in force by now. [`BusError::Refused`]: it is too large.
pub async fn put(bus: &dyn Bus, payload: Bytes, expected: u64) -> Result<u64, CommitError> {
    let json = payload.len();
    let write = Write::state(CONFIG.into(), payload, expected, Keep::Forever);
    let packed = write.payload.len();
    if packed > MAX_BYTES {
        let text = format!(
            "the configuration has {json} bytes as JSON, {packed} packed; at most {MAX_BYTES}"
        );
        return Err(BusError::Refused(text).into());
    }
    Ok(bus.commit(vec![write].into()).await?.sequences[0])
}

/// Each revision from the one in force on, at the latest [`LOOK`] after it was put; those that are replaced
/// sooner are left out. While the bus is silent it waits.
pub fn watch(bus: Arc<dyn Bus>) -> impl Stream<Item = Revision> + Send + Unpin {
    Box::pin(stream::unfold((bus, 0), |(bus, last)| async move {
        loop {
            match read(bus.as_ref()).await {
                Ok(Some(revision)) if revision.sequence > last => {
                    let last = revision.sequence;
                    return Some((revision, (bus, last)));
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "the configuration cannot be read now"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }))
}
