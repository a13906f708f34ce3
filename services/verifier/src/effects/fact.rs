//! The installer's record of a base, read from the bus's leader.

use std::time::Duration;

use ferry_bus::BusError;
use ferry_events::{fact::BaseRecord, subject, verify::Requested};
use ferry_runtime::Hands;
use tracing::warn;

/// Between two attempts at a silent bus.
const PAUSE: Duration = Duration::from_millis(250);

/// What the installer left on a base; the default where it never was there.
pub(super) async fn read(hands: &Hands, base: &str) -> Result<BaseRecord, BusError> {
    match hands.read(&subject::base_fact(base)).await? {
        None => Ok(BaseRecord::default()),
        Some(record) => serde_json::from_slice(&record.payload)
            .map_err(|error| BusError::Damaged(format!("the record of base {base}: {error}"))),
    }
}

/// The revision of the module on the base now. Waits for a silent bus: no verdict could be given either.
pub(super) async fn revision(hands: &Hands, requested: &Requested) -> u64 {
    loop {
        match read(hands, &requested.base).await {
            Ok(fact) => {
                return fact
                    .modules
                    .get(&requested.module)
                    .map_or(0, |left| left.revision);
            }
            Err(error) => {
                warn!(base = requested.base, %error, "waiting for the bus");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
