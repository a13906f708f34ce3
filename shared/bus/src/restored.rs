//! An operator's word that the stream was restored from another moment, and that work shall go on.
//!
//! In: why. Out: a record on the bus, after which services that have seen more than the stream holds
//! begin anew from what it holds.

use chrono::{DateTime, Utc};
use ferry_events::subject;
use serde::{Deserialize, Serialize};

use crate::{Bus, BusError, CommitError, Keep, Write};

/// The record at [`subject::RESTORED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Why, in the operator's words.
    pub why: String,
    /// When the operator said so: no two records are the same.
    pub at: DateTime<Utc>,
    /// Where the stream ended then.
    pub end: u64,
}

/// The last word, if there was one.
///
/// # Errors
/// As [`Bus::read`]; [`BusError::Damaged`] when it cannot be read.
pub async fn read(bus: &dyn Bus) -> Result<Option<Restored>, BusError> {
    let Some(record) = bus.read(subject::RESTORED).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&record.payload)
        .map(Some)
        .map_err(|error| {
            BusError::Damaged(format!("{} cannot be read: {error}", subject::RESTORED))
        })
}

/// Says so, now.
///
/// # Errors
/// [`CommitError::Conflict`]: somebody else says so at this moment.
pub async fn acknowledge(
    bus: &dyn Bus,
    why: &str,
    at: DateTime<Utc>,
) -> Result<Restored, CommitError> {
    let before = bus.read(subject::RESTORED).await?;
    let restored = Restored {
        why: why.to_owned(),
        at,
        end: bus.end().await?,
    };
    let payload = serde_json::to_vec(&restored).expect("a record is always JSON");
    let expected = before.map_or(0, |record| record.sequence);
    let write = Write::state(subject::RESTORED.into(), payload, expected, Keep::Forever);
    bus.commit(vec![write].into()).await?;
    Ok(restored)
}
