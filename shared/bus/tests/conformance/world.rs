//! The two buses that the suite runs on.
//!
//! In: limits. Out: connections as any user, to the bus in memory or to a real nats-server of the test's own.

use std::{path::PathBuf, sync::Arc};

use anyhow::Result;
use chrono::{DateTime, Utc};
use ferry_bus::{Bus, MemoryBus, Source, StreamLimits, User, provision};
use ferry_events::{
    Service,
    subject::{DEAD, LOGS, STREAM, TIMERS},
};

use crate::real::{self, Nats};

/// A bus for one test.
pub enum World {
    Memory(MemoryBus),
    Nats(Box<Nats>),
}

/// What a bus held at a moment.
pub enum Saved {
    Memory(Box<ferry_bus::Saved>),
    Nats(tempfile::TempDir),
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
                nats.context()
                    .await?
                    .get_stream(stream)
                    .await?
                    .cached_info()
                    .state
                    .messages
            }
        })
    }

    /// Deletes a service's consumer and makes it anew.
    pub async fn recreate_consumer(&self, service: Service, source: Source) -> Result<()> {
        match self {
            Self::Memory(bus) => bus.recreate_consumer(service, source)?,
            Self::Nats(nats) => {
                let stream = match source {
                    Source::Work => STREAM,
                    Source::Timers => TIMERS,
                };
                nats.context()
                    .await?
                    .get_stream(stream)
                    .await?
                    .delete_consumer(service.name())
                    .await?;
                provision(&nats.connect(User::Operator).await?, &nats.limits).await?;
            }
        }
        Ok(())
    }

    /// A copy of all that the bus holds. The real server is stopped for it, as operators are told to.
    pub async fn save(&mut self) -> Result<Saved> {
        Ok(match self {
            Self::Memory(bus) => Saved::Memory(Box::new(bus.save())),
            Self::Nats(nats) => {
                let copy = tempfile::tempdir()?;
                nats.server.stop().await?;
                real::copy(&nats.store(), &copy.path().join("jetstream"))?;
                nats.server.restart().await?;
                Saved::Nats(copy)
            }
        })
    }

    /// Puts all that the bus holds back to what it was.
    pub async fn restore(&mut self, saved: &Saved) -> Result<()> {
        match (self, saved) {
            (Self::Memory(bus), Saved::Memory(saved)) => {
                bus.restore(saved, &[STREAM, TIMERS, LOGS, DEAD])?;
            }
            (Self::Nats(nats), Saved::Nats(copy)) => {
                nats.server.stop().await?;
                let store: PathBuf = nats.store();
                std::fs::remove_dir_all(&store)?;
                real::copy(&copy.path().join("jetstream"), &store)?;
                nats.server.restart().await?;
            }
            _ => anyhow::bail!("saved of another bus"),
        }
        Ok(())
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
