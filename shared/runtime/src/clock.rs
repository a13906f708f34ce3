//! The clock of a service. Decisions get the time as an argument; the runtime gets it from here.
//!
//! In: nothing, or a simulation's time. Out: now, in whole milliseconds, as it goes over the wire; or as it is.

use std::{fmt, sync::Arc};

use ferry_events::Timestamp;

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The wall clock of this machine.
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    pub fn wall() -> Self {
        Self::from_fn(chrono::Utc::now)
    }

    /// Another clock: a simulation's.
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now, as exactly as it is known: for spans, of which many take less than a millisecond.
    pub fn exact(&self) -> Timestamp {
        (self.0)()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let now = (self.0)();
        Timestamp::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::wall()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
