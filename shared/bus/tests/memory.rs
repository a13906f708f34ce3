//! What the bus in memory can be told to do.
//!
//! In: faults and a paused clock. Out: what a real bus would show.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use ferry_bus::{Bus, BusError, CommitError, Keep, MemoryBus, Source, StreamLimits, Write};
use ferry_events::Service;

fn state(expected: u64) -> Write {
    Write::state(
        "ferry.state.scheduler.a".into(),
        Bytes::from("x"),
        expected,
        Keep::Forever,
    )
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_means_that_it_is_stored() -> Result<()> {
    let bus = MemoryBus::default();
    bus.lose_answers(1);
    let error = bus
        .commit(vec![state(0)].into())
        .await
        .expect_err("the answer is lost");
    assert!(
        matches!(error, CommitError::Bus(BusError::Unavailable(_))),
        "{error:?}"
    );
    assert_eq!(
        bus.read("ferry.state.scheduler.a")
            .await?
            .map(|record| record.sequence),
        Some(1)
    );
    let error = bus
        .commit(vec![state(0)].into())
        .await
        .expect_err("it is there");
    assert!(matches!(error, CommitError::Conflict), "{error:?}");
    assert_eq!(bus.commit(vec![state(1)].into()).await?.sequences, [2]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_stores_nothing() -> Result<()> {
    let bus = MemoryBus::default();
    let mut states = bus.connected();
    assert!(*states.borrow_and_update());
    bus.set_connected(false);
    assert!(!*states.borrow_and_update());
    let error = bus
        .commit(vec![state(0)].into())
        .await
        .expect_err("no connection");
    assert!(
        matches!(error, CommitError::Bus(BusError::Unavailable(_))),
        "{error:?}"
    );
    bus.set_connected(true);
    assert_eq!(bus.read("ferry.state.scheduler.a").await?, None);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn its_clock_is_tokios() -> Result<()> {
    let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
    let bus = MemoryBus::new(start, &StreamLimits::default());
    bus.set_timer(Service::Scheduler, "a", start + TimeDelta::days(3))
        .await?;
    let mut due = bus.consume(Service::Scheduler, Source::Timers).await?;
    assert_eq!(
        due.next(1).await?[0].subject,
        "ferry.timers.due.scheduler.a"
    );
    assert_eq!(bus.now(), start + TimeDelta::days(3));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(
        bus.now(),
        start + TimeDelta::days(3) + TimeDelta::seconds(1)
    );
    Ok(())
}
