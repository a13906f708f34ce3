//! The lies that a fake base can tell. Goes in: which one, from Rust or from
//! `POST /_fake/faults`. Comes out: what the servers ask before they act.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::signal::Signal;

/// Which faults are on. The default is an honest base.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Cuts the connection of so many mutating calls **before** they act.
    pub lose_request: u32,
    /// Does what so many mutating calls ask, then cuts the connection.
    pub lose_reply_after_effect: u32,
    /// Never answers `/health`; all else works.
    pub hang_health: bool,
    /// Accepts connections and does nothing, on both ports, as a stopped
    /// process does. What came in meanwhile is done at the thaw.
    pub freeze: bool,
    /// Asynchronous commands are done, but their record stays there for ever.
    pub record_stuck: Option<StuckAt>,
    /// `/queryBizOps` cannot write the exception of a failed command, and answers
    /// an internal error for ever: so does a real base when a Spring bean's
    /// constructor throws. Only a synchronous reply tells the cause then.
    pub untold_causes: bool,
    /// Added to each install, in milliseconds.
    pub slow_install_ms: u64,
    /// Jars stand still whose version has this text in it: the server's reply has begun, not a byte of the
    /// jar is read. What is held goes on when this is taken back.
    pub hold_download: Option<String>,
    /// Installs of versions with this text in them stand still just before their end, until it is taken back.
    pub hold_install: Option<String>,
    /// Cuts all connections and refuses new ones, on both ports.
    pub refuse_connections: bool,
}

/// Where a stuck record stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StuckAt {
    /// As if no thread had taken it.
    Initialized,
    /// As if it ran still.
    Executing,
}

/// Turns faults on and off while the base runs.
#[derive(Debug)]
pub struct FaultSwitch(Signal<Faults>);

impl FaultSwitch {
    pub(crate) fn new(faults: Faults) -> Self {
        Self(Signal::new(faults))
    }

    /// What is on now.
    #[must_use]
    pub fn get(&self) -> Faults {
        self.0.see(Clone::clone)
    }

    /// Changes what is on.
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        self.0.change(change);
    }

    /// An honest base again.
    pub fn clear(&self) {
        self.set(|faults| *faults = Faults::default());
    }

    /// Changes the fields that a JSON object names.
    ///
    /// # Errors
    /// Where a name or a value is not known; then nothing is changed.
    pub fn merge(&self, change: &Value) -> Result<Faults, serde_json::Error> {
        let mut merged = serde_json::to_value(self.get())?;
        if let (Some(all), Some(changes)) = (merged.as_object_mut(), change.as_object()) {
            all.extend(changes.clone());
        }
        let faults: Faults = serde_json::from_value(merged)?;
        self.0.change(|it| *it = faults.clone());
        Ok(faults)
    }

    /// Waits until a fault is on.
    pub(crate) async fn on(&self, fault: impl Fn(&Faults) -> bool) {
        self.0.wait_for(fault).await;
    }

    /// Waits while the base is frozen.
    pub(crate) async fn thawed(&self) {
        self.off(|faults| faults.freeze).await;
    }

    /// Waits while versions like this one are held.
    pub(crate) async fn released(&self, version: &str, held: impl Fn(&Faults) -> &Option<String>) {
        let is_held = |faults: &Faults| {
            held(faults)
                .as_ref()
                .is_some_and(|text| version.contains(text.as_str()))
        };
        self.off(is_held).await;
    }

    /// Waits while a fault is on.
    pub(crate) async fn off(&self, fault: impl Fn(&Faults) -> bool) {
        self.0.wait_for(|faults| !fault(faults)).await;
    }

    /// Uses up one of the times that a counted fault has left.
    pub(crate) fn take(&self, counter: impl Fn(&mut Faults) -> &mut u32) -> bool {
        self.0.change(|faults| {
            let left = counter(faults);
            let taken = *left > 0;
            *left = left.saturating_sub(1);
            taken
        })
    }
}
