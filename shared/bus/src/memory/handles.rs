//! What a bus in memory hands out: consumers, deliveries to settle, watches.
//!
//! In: the bus. Out: what its streams hold, when there is something.

use std::{collections::VecDeque, pin::pin, time::Duration};

use async_trait::async_trait;
use ferry_events::Service;

use super::{MemoryBus, consumer::Settle};
use crate::{Ack, BusError, Consumer, Delivery, Message, Source, packed::unpack};

pub(super) struct MemoryConsumer {
    pub bus: MemoryBus,
    pub service: Service,
    pub source: Source,
}

impl MemoryConsumer {
    fn take(&self, max: usize) -> Result<Vec<Delivery>, BusError> {
        let now = tokio::time::Instant::now();
        let mut world = self.bus.open()?;
        let (cursor, stream) = world.cursor(self.service, self.source)?;
        let taken = cursor.take(stream, max, now);
        let deliveries = taken.into_iter().filter_map(|(sequence, delivered)| {
            let stored = stream.get(sequence)?;
            Some(Delivery {
                subject: stored.subject.clone(),
                sequence,
                payload: stored.payload.clone(),
                at: stored.at,
                delivered,
                ack: Box::new(MemoryAck {
                    bus: self.bus.clone(),
                    service: self.service,
                    source: self.source,
                    sequence,
                }),
            })
        });
        Ok(deliveries.collect())
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            let bus = self.bus.clone();
            let mut changed = pin!(bus.shared.changes.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let taken = self.take(max.max(1))?;
            if !taken.is_empty() {
                return Ok(taken);
            }
            let wakes = self.bus.lock().wakes(self.service, self.source);
            let wake = async {
                match wakes {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = wake => {}
            }
        }
    }
}

struct MemoryAck {
    bus: MemoryBus,
    service: Service,
    source: Source,
    sequence: u64,
}

impl MemoryAck {
    fn settle(&self, how: Settle) -> Result<(), BusError> {
        let now = tokio::time::Instant::now();
        self.bus
            .open()?
            .cursor(self.service, self.source)?
            .0
            .settle(self.sequence, how, now);
        if !matches!(how, Settle::Done) {
            self.bus.changed();
        }
        Ok(())
    }
}

#[async_trait]
impl Ack for MemoryAck {
    async fn ack(&self) -> Result<(), BusError> {
        self.settle(Settle::Done)
    }

    async fn nak(&self, delay: Duration) -> Result<(), BusError> {
        self.settle(Settle::Again(delay))
    }

    async fn progress(&self) -> Result<(), BusError> {
        self.settle(Settle::InHand)
    }

    async fn term(&self) -> Result<(), BusError> {
        self.settle(Settle::Done)
    }
}

pub(super) struct Watcher {
    pub bus: MemoryBus,
    pub stream: String,
    pub filters: Vec<String>,
    pub next: u64,
    /// Handed out before everything else.
    pub last_only: VecDeque<u64>,
}

impl Watcher {
    fn take(&mut self) -> Result<Option<Message>, BusError> {
        // As on the real bus, a watch waits in silence for the connection.
        let Ok(world) = self.bus.open() else {
            return Ok(None);
        };
        let stream = world.stream(&self.stream)?;
        if stream.name() == ferry_events::subject::STREAM {
            crate::contract::within(self.next, stream.last())?;
        }
        self.last_only
            .retain(|sequence| stream.get(*sequence).is_some());
        let first = self.last_only.pop_front();
        let mut coming = stream.from(self.next, &self.filters);
        let (sequence, stored) =
            match first.and_then(|sequence| Some((sequence, stream.get(sequence)?))) {
                Some(found) => found,
                None => {
                    let Some(found) = coming.next() else {
                        return Ok(None);
                    };
                    self.next = found.0 + 1;
                    found
                }
            };
        Ok(Some(Message {
            subject: stored.subject.clone(),
            sequence,
            payload: unpack(stored.payload.clone())?,
            at: stored.at,
            pending: (self.last_only.len() + coming.count()) as u64,
        }))
    }

    pub async fn next(&mut self) -> Result<Message, BusError> {
        loop {
            let bus = self.bus.clone();
            let mut changed = pin!(bus.shared.changes.notified());
            changed.as_mut().enable();
            if let Some(message) = self.take()? {
                return Ok(message);
            }
            changed.await;
        }
    }
}
