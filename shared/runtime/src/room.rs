//! Whether the bus has room, as far as this service was told.
//!
//! In: what commits met. Out: what `/readyz` says of it. A full bus refuses and keeps what it has: the
//! service waits and goes on when there is room.

use std::sync::{Arc, Mutex};

use ferry_bus::BusError;

/// The room on the bus; clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Room {
    full: Arc<Mutex<Option<String>>>,
}

impl Room {
    /// What the bus said when it had no room; none while it takes what it is given.
    pub fn full(&self) -> Option<String> {
        self.full.lock().expect("no panic under this lock").clone()
    }

    pub(crate) fn refused(&self, error: &BusError) {
        if matches!(error, BusError::Full(_)) {
            *self.full.lock().expect("no panic under this lock") = Some(error.to_string());
        }
    }

    pub(crate) fn taken(&self) {
        *self.full.lock().expect("no panic under this lock") = None;
    }
}
