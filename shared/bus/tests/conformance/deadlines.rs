//! Deadlines: one a subject, never lost to an age, replaced where they are late.
//!
//! In: moments. Out: messages on the due subject, the same on both buses.

use std::time::Duration;

use anyhow::Result;
use chrono::TimeDelta;
use ferry_bus::{Source, StreamLimits};
use ferry_events::{Service, subject};

use crate::{
    real::{next, take, until},
    world::World,
};

on_both! {
    a_deadline_outlives_the_age_of_events(short_lived());
    a_deadline_that_fired_can_be_set_again(StreamLimits::default());
    a_newer_due_one_takes_the_place_of_one_in_hand(impatient());
    many_deadlines_each_arrive_once(StreamLimits::default());
}

fn short_lived() -> StreamLimits {
    StreamLimits {
        keep_events: Duration::from_secs(1),
        dedupe_window: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

fn impatient() -> StreamLimits {
    StreamLimits {
        ack_wait: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

async fn a_deadline_outlives_the_age_of_events(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let mut due = bus.consume(Service::Scheduler, Source::Timers).await?;
    let at = world.now() + TimeDelta::milliseconds(2500);
    bus.set_timer(Service::Scheduler, "a", at).await?;
    let deliveries = next(&mut due, 10).await?;
    assert_eq!(
        deliveries[0].subject,
        subject::timer_due(Service::Scheduler, "a")
    );
    assert!(world.now() >= at, "never early");
    Ok(())
}

async fn a_deadline_that_fired_can_be_set_again(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let mut due = bus.consume(Service::Scheduler, Source::Timers).await?;
    for _ in 0..3 {
        let at = world.now() + TimeDelta::milliseconds(50);
        bus.set_timer(Service::Scheduler, "a", at).await?;
        assert_eq!(take(&mut due, 1).await?, [""]);
    }
    Ok(())
}

async fn a_newer_due_one_takes_the_place_of_one_in_hand(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let mut due = bus.consume(Service::Scheduler, Source::Timers).await?;
    let mut sequences = Vec::new();
    for _ in 0..2 {
        bus.set_timer(Service::Scheduler, "a", world.now()).await?;
        let taken = loop {
            let taken = next(&mut due, 10).await?;
            // The first one may come again before the second fires.
            if taken.iter().any(|one| !sequences.contains(&one.sequence)) {
                break taken;
            }
        };
        sequences.push(taken.last().expect("at least one").sequence);
    }
    // Only the newer one is there, and comes again.
    until("the older one to be gone", async || {
        Ok((world.count(subject::TIMERS).await? == 1).then_some(()))
    })
    .await?;
    for _ in 0..3 {
        let again = next(&mut due, 10).await?;
        assert_eq!(
            again.iter().map(|one| one.sequence).collect::<Vec<_>>(),
            [sequences[1]]
        );
    }
    Ok(())
}

async fn many_deadlines_each_arrive_once(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let mut due = bus.consume(Service::Scheduler, Source::Timers).await?;
    let at = world.now() + TimeDelta::milliseconds(300);
    for n in 0..50 {
        bus.set_timer(Service::Scheduler, &format!("k{n:02}"), at)
            .await?;
    }
    let mut seen = Vec::new();
    while seen.len() < 50 {
        for delivery in next(&mut due, 100).await? {
            assert_eq!(delivery.delivered, 1);
            delivery.ack.ack().await?;
            seen.push(delivery.subject);
        }
    }
    seen.sort();
    let expected: Vec<String> = (0..50)
        .map(|n| subject::timer_due(Service::Scheduler, &format!("k{n:02}")))
        .collect();
    assert_eq!(seen, expected);
    Ok(())
}
