//! Consumers made anew, and a bus that is put back to another moment.
//!
//! In: copies of what the bus holds. Out: what comes again and what is forgotten, the same on both buses.

use std::time::Duration;

use anyhow::Result;
use ferry_bus::{CommitError, Source, StreamLimits};
use ferry_events::{Kind, Service, subject};

use crate::{
    real::{event, next, state, take},
    world::World,
};

on_both! {
    a_consumer_made_anew_begins_at_the_start(StreamLimits::default());
    a_bus_put_back_is_as_it_was(patient());
    room_is_there_again_once_something_is_replaced(small());
}

fn small() -> StreamLimits {
    StreamLimits {
        event_bytes: 64 << 10,
        ..StreamLimits::default()
    }
}

fn patient() -> StreamLimits {
    StreamLimits {
        ack_wait: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

async fn a_consumer_made_anew_begins_at_the_start(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    for name in ["a", "b", "c"] {
        scheduler
            .commit(vec![event(Kind::TaskRequested, name)].into())
            .await?;
    }
    assert_eq!(take(&mut work, 2).await?, ["a", "b"]);
    let held = next(&mut work, 10).await?;
    assert_eq!(held.len(), 1);
    world
        .recreate_consumer(Service::Installer, Source::Work)
        .await?;
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    let again = next(&mut work, 10).await?;
    let named: Vec<_> = again
        .iter()
        .map(|one| (one.sequence, one.delivered))
        .collect();
    assert_eq!(named, [(1, 1), (2, 1), (3, 1)]);
    Ok(())
}

async fn a_bus_put_back_is_as_it_was(world: &mut World) -> Result<()> {
    let scheduler = world.service(Service::Scheduler).await?;
    let installer = world.service(Service::Installer).await?;
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    scheduler
        .commit(vec![state("a", "1", 0), event(Kind::TaskRequested, "e1")].into())
        .await?;
    assert_eq!(take(&mut work, 1).await?, ["e1"]);
    scheduler
        .commit(vec![state("a", "2", 1), event(Kind::TaskRequested, "e2")].into())
        .await?;
    let saved = world.save().await?;
    scheduler
        .commit(vec![state("a", "3", 3), event(Kind::TaskRequested, "e3")].into())
        .await?;
    assert_eq!(take(&mut work, 2).await?, ["e2", "e3"]);
    assert_eq!(scheduler.end().await?, 6);
    world.restore(&saved).await?;

    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    assert_eq!(scheduler.end().await?, 4);
    let record = scheduler
        .read(&subject::state(Service::Scheduler, "a"))
        .await?
        .expect("it is there");
    assert_eq!((record.sequence, &record.payload[..]), (3, &b"2"[..]));
    // What was acked since comes again; what came later is gone, its id too.
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    assert_eq!(take(&mut work, 1).await?, ["e2"]);
    let error = scheduler
        .commit(vec![event(Kind::TaskRequested, "e2")].into())
        .await
        .expect_err("its id is remembered");
    assert!(matches!(error, CommitError::Duplicate), "{error:?}");
    let again = scheduler
        .commit(vec![state("a", "3", 3), event(Kind::TaskRequested, "e3")].into())
        .await?;
    assert_eq!(again.sequences, [5, 6], "sequences are used a second time");
    assert_eq!(take(&mut work, 1).await?, ["e3"]);
    Ok(())
}

async fn room_is_there_again_once_something_is_replaced(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let text = "x".repeat(20 << 10);
    let mut last = Vec::new();
    for key in ["a", "b", "c"] {
        last.push(
            bus.commit(vec![state(key, &text, 0)].into())
                .await?
                .sequences[0],
        );
    }
    bus.commit(vec![state("d", &text, 0)].into())
        .await
        .expect_err("it is full");
    // What is small still fits, and so does what takes the place of something large.
    bus.commit(vec![state("a", "small", last[0])].into())
        .await?;
    bus.commit(vec![state("d", &text, 0)].into()).await?;
    Ok(())
}
