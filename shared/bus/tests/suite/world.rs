//! The two buses that the suite runs on.
//!
//! In: limits. Out: connections as any user, to the bus in memory or to a real nats-server of the test's own.

use std::sync::Arc;

use anyhow::Result;
use ferry_bus::{Bus, MemoryBus, StreamLimits, User};
use ferry_events::Service;

use crate::real::Nats;

/// A bus for one test.
pub enum World {
    Memory(MemoryBus),
    Nats(Box<Nats>),
}

impl World {
    pub fn memory(limits: &StreamLimits) -> Self {
        Self::Memory(MemoryBus::new(chrono::Utc::now(), limits))
    }

    pub async fn nats(limits: &StreamLimits) -> Result<Self> {
        Ok(Self::Nats(Box::new(Nats::start(limits).await?)))
    }

    /// A connection of a service's own.
    pub async fn service(&self, service: Service) -> Result<Arc<dyn Bus>> {
        self.user(User::Service(service)).await
    }

    pub async fn user(&self, user: User) -> Result<Arc<dyn Bus>> {
        Ok(match self {
            Self::Memory(bus) => Arc::new(bus.as_user(user)),
            Self::Nats(nats) => Arc::new(nats.connect(user).await?),
        })
    }
}
