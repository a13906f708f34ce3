//! The two buses that the suite runs on.
//!
//! In: limits. Out: connections as any user, to the bus in memory or to a real nats-server of the test's own.

use std::sync::Arc;

use anyhow::Result;
use chrono::{DateTime, Utc};
use ferry_bus::{Bus, MemoryBus, StreamLimits, User};
use ferry_events::Service;

use crate::real::{self, Nats};

/// A bus for one test.
pub enum World {
    Memory(MemoryBus),
    Nats(Box<Nats>),
}

impl World {
    pub fn memory(limits: &StreamLimits) -> Self {
        Self::Memory(MemoryBus::new(MemoryBus::START, limits))
    }

    pub async fn nats(limits: &StreamLimits) -> Result<Self> {
        Ok(Self::Nats(Box::new(Nats::start(limits).await?)))
    }

    /// The bus's clock.
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::Memory(bus) => bus.now(),
            Self::Nats(_) => real::now(),
        }
    }

    /// How many messages a stream holds.
    pub async fn count(&self, stream: &str) -> Result<u64> {
        Ok(match self {
            Self::Memory(bus) => bus.messages(stream)?.len() as u64,
            Self::Nats(nats) => {
                let user = User::Operator;
                let client =
                    async_nats::ConnectOptions::with_nkey(nats.users.seed(user).to_owned())
                        .custom_inbox_prefix(user.inbox_prefix())
                        .connect(nats.server.url())
                        .await?;
                async_nats::jetstream::new(client)
                    .get_stream(stream)
                    .await?
                    .cached_info()
                    .state
                    .messages
            }
        })
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
