//! Durable consumers and deadlines.
//!
//! In: events and moments. Out: deliveries, shared by replicas, again where they are not settled.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use chrono::TimeDelta;
use ferry_bus::{BusError, Source, StreamLimits, Write};
use ferry_events::{Kind, Service};

use crate::{
    real::{event, next, state, take},
    world::World,
};

on_both! {
    replicas_share_a_consumer(StreamLimits::default());
    a_consumer_takes_only_what_its_contract_names(StreamLimits::default());
    next_takes_what_is_there_and_no_more_than_max(StreamLimits::default());
    what_is_given_back_comes_again_after_its_delay(StreamLimits::default());
    what_is_never_settled_comes_again(impatient());
    what_is_in_hand_does_not_come_again(impatient());
    what_is_terminated_never_comes_again(impatient());
    a_dropped_wait_loses_nothing(StreamLimits::default());
    a_deadline_arrives_and_is_replaced(StreamLimits::default());
    a_deadline_in_the_past_arrives(StreamLimits::default());
}

fn impatient() -> StreamLimits {
    StreamLimits {
        ack_wait: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

async fn replicas_share_a_consumer(world: &World) -> Result<()> {
    let scheduler = world.service(Service::Scheduler).await?;
    let (one, two) = (
        world.service(Service::Installer).await?,
        world.service(Service::Installer).await?,
    );
    let mut one = one.consume(Service::Installer, Source::Work).await?;
    let mut two = two.consume(Service::Installer, Source::Work).await?;
    let writes: Vec<Write> = (0..20)
        .map(|n| event(Kind::TaskRequested, &format!("{n:02}")))
        .collect();
    let expected: BTreeSet<String> = (0..20).map(|n| format!("{n:02}")).collect();
    scheduler.commit(writes.into()).await?;
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        // What one has in hand the other does not get.
        let (a, b) = (take(&mut one, 1).await?, take(&mut two, 1).await?);
        for payload in a.into_iter().chain(b) {
            assert!(seen.insert(payload.clone()), "{payload} came twice");
        }
    }
    assert_eq!(seen, expected);
    Ok(())
}

async fn a_consumer_takes_only_what_its_contract_names(world: &World) -> Result<()> {
    let (gateway, scheduler) = (
        world.service(Service::Gateway).await?,
        world.service(Service::Scheduler).await?,
    );
    let error = gateway.consume(Service::Gateway, Source::Work).await.err();
    assert!(
        matches!(error, Some(BusError::Missing(_) | BusError::Refused(_))),
        "{error:?}"
    );
    let mut work = scheduler.consume(Service::Scheduler, Source::Work).await?;
    scheduler
        .commit(
            vec![
                event(Kind::WaveStarted, "not taken"),
                state("a", "not taken", 0),
            ]
            .into(),
        )
        .await?;
    let command = Write {
        subject: "ferry.commands.scheduler.rollback".into(),
        payload: "command".into(),
        ..event(Kind::RunQueued, "command")
    };
    gateway.commit(vec![command].into()).await?;
    scheduler
        .commit(vec![event(Kind::RolloutFinished, "event")].into())
        .await?;
    assert_eq!(take(&mut work, 2).await?, ["command", "event"]);
    Ok(())
}

async fn next_takes_what_is_there_and_no_more_than_max(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    let writes: Vec<Write> = (0..7)
        .map(|n| event(Kind::TaskRequested, &n.to_string()))
        .collect();
    scheduler.commit(writes.into()).await?;
    let mut sizes = Vec::new();
    for max in [3, 100] {
        let deliveries = next(&mut work, max).await?;
        assert!(deliveries.iter().all(|delivery| delivery.delivered == 1));
        sizes.push(deliveries.len());
        for delivery in deliveries {
            delivery.ack.ack().await?;
        }
    }
    assert_eq!(sizes, [3, 4]);
    Ok(())
}

async fn what_is_given_back_comes_again_after_its_delay(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    scheduler
        .commit(
            vec![
                event(Kind::TaskRequested, "a"),
                event(Kind::TaskRequested, "b"),
            ]
            .into(),
        )
        .await?;
    let first = next(&mut work, 10).await?;
    assert_eq!(first.len(), 2);
    first[0].ack.nak(Duration::from_millis(300)).await?;
    first[1].ack.nak(Duration::ZERO).await?;
    let again = next(&mut work, 10).await?;
    assert_eq!(again.len(), 1, "the other still waits");
    assert_eq!(
        (again[0].sequence, again[0].delivered),
        (first[1].sequence, 2)
    );
    again[0].ack.ack().await?;
    let again = next(&mut work, 10).await?;
    assert_eq!(
        (again[0].sequence, again[0].delivered),
        (first[0].sequence, 2)
    );
    again[0].ack.nak(Duration::ZERO).await?;
    let again = next(&mut work, 10).await?;
    assert_eq!(
        (again[0].sequence, again[0].delivered),
        (first[0].sequence, 3)
    );
    again[0].ack.ack().await?;
    Ok(())
}

async fn what_is_never_settled_comes_again(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    scheduler
        .commit(vec![event(Kind::TaskRequested, "a")].into())
        .await?;
    drop(next(&mut work, 10).await?);
    // Another replica gets it after the first one's ack_wait.
    let other = world.service(Service::Installer).await?;
    let mut other = other.consume(Service::Installer, Source::Work).await?;
    let again = next(&mut other, 10).await?;
    assert_eq!((again[0].sequence, again[0].delivered), (1, 2));
    again[0].ack.ack().await?;
    Ok(())
}

async fn what_is_in_hand_does_not_come_again(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    let writes = vec![
        event(Kind::TaskRequested, "in hand"),
        event(Kind::TaskRequested, "forgotten"),
    ];
    scheduler.commit(writes.into()).await?;
    let first = next(&mut work, 10).await?;
    assert_eq!(first.len(), 2);
    // Told of every 200 ms, the first stays in hand while the second comes again twice.
    let mut delivered = Vec::new();
    while delivered.len() < 2 {
        tokio::select! {
        biased;
                    again = next(&mut work, 10) => {
                        delivered.extend(again?.iter().map(|delivery| (delivery.sequence, delivery.delivered)));
                    }
                    () = tokio::time::sleep(Duration::from_millis(200)) => first[0].ack.progress().await?,
                }
    }
    assert_eq!(delivered, [(2, 2), (2, 3)]);
    Ok(())
}

async fn what_is_terminated_never_comes_again(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    let writes = vec![
        event(Kind::TaskRequested, "a"),
        event(Kind::TaskRequested, "b"),
    ];
    scheduler.commit(writes.into()).await?;
    let first = next(&mut work, 10).await?;
    first[0].ack.term().await?;
    for count in 2..=3 {
        let again = next(&mut work, 10).await?;
        assert_eq!(again.len(), 1);
        assert_eq!((again[0].sequence, again[0].delivered), (2, count));
    }
    Ok(())
}

async fn a_dropped_wait_loses_nothing(world: &World) -> Result<()> {
    let (scheduler, installer) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Installer).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    for count in 0..5 {
        // The wait is dropped when the commit is done: before, while or after it hears of the message.
        let name = format!("e{count}");
        let commit = scheduler.commit(vec![event(Kind::TaskRequested, &name)].into());
        let early = tokio::select! {
            biased;
            deliveries = next(&mut work, 10) => Some(deliveries?),
            committed = commit => { committed?; None }
        };
        let deliveries = match early {
            Some(deliveries) => deliveries,
            None => next(&mut work, 10).await?,
        };
        assert_eq!(deliveries.len(), 1);
        assert_eq!(
            (&deliveries[0].payload[..], deliveries[0].delivered),
            (name.as_bytes(), 1)
        );
        deliveries[0].ack.ack().await?;
    }
    Ok(())
}

async fn a_deadline_arrives_and_is_replaced(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let mut due = bus.consume(Service::Scheduler, Source::Timers).await?;
    let now = world.now();
    bus.set_timer(
        Service::Scheduler,
        "plan.m.e",
        now + TimeDelta::milliseconds(700),
    )
    .await?;
    bus.set_timer(Service::Scheduler, "other", now + TimeDelta::hours(1))
        .await?;
    bus.set_timer(
        Service::Scheduler,
        "other",
        now + TimeDelta::milliseconds(1400),
    )
    .await?;
    bus.set_timer(
        Service::Scheduler,
        "far",
        now + TimeDelta::milliseconds(300),
    )
    .await?;
    bus.set_timer(Service::Scheduler, "far", now + TimeDelta::hours(1))
        .await?;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        for delivery in next(&mut due, 10).await? {
            delivery.ack.ack().await?;
            seen.push(delivery.subject);
        }
    }
    assert_eq!(
        seen,
        [
            "ferry.timers.due.scheduler.plan.m.e",
            "ferry.timers.due.scheduler.other"
        ]
    );
    Ok(())
}

async fn a_deadline_in_the_past_arrives(world: &World) -> Result<()> {
    let bus = world.service(Service::Verifier).await?;
    let mut due = bus.consume(Service::Verifier, Source::Timers).await?;
    bus.set_timer(Service::Verifier, "late", world.now() - TimeDelta::hours(1))
        .await?;
    let deliveries = next(&mut due, 10).await?;
    assert_eq!(deliveries[0].subject, "ferry.timers.due.verifier.late");
    Ok(())
}
