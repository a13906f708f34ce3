//! Deadlines: one scheduled message a subject (ADR-51), in a stream of their own.
//!
//! In: a service, an aggregate and a moment. Out: a message on the due subject, up to 250 ms late.

use async_nats::{HeaderMap, header};
use chrono::{DateTime, SecondsFormat, Utc};
use ferry_events::{Service, subject};

use super::{
    link::Link,
    wire::{self, PubAck},
};
use crate::BusError;

pub(super) async fn set(
    link: &Link,
    service: Service,
    key: &str,
    at: DateTime<Utc>,
) -> Result<(), BusError> {
    let mut headers = HeaderMap::new();
    let moment = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    headers.insert(header::NATS_SCHEDULE, format!("@at {moment}").as_str());
    headers.insert(
        header::NATS_SCHEDULE_TARGET,
        subject::timer_due(service, key).as_str(),
    );
    // One due message an aggregate is enough: it only means "look".
    headers.insert(
        header::NATS_SCHEDULE_ROLLUP,
        header::NATS_SCHEDULE_ROLLUP_SUB,
    );
    // Past the stream's max_age: a deadline may be far away.
    headers.insert(header::NATS_MESSAGE_TTL, "never");
    let subject = subject::timer(service, key);
    let ack: PubAck = wire::parse(
        "timer",
        &link.request(&subject, Some(headers), "".into()).await?,
    )?;
    match ack.error {
        None => Ok(()),
        Some(error) => Err(error.into_bus_error("timer")),
    }
}
