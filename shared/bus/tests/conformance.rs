//! One suite for both buses: what holds in memory holds on a real nats-server.
//!
//! In: nothing; nats-server is fetched by the rig. Out: each test runs twice, on a bus of its own with
//! the users and permissions of production.

#[path = "suite/real.rs"]
mod real;
#[path = "suite/world.rs"]
mod world;

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use ferry_bus::{
    Batch, BusError, CommitError, DeadLetter, Keep, LogLine, Source, Start, StreamLimits, User,
    Write, config_store, permissions::permissions,
};
use ferry_events::{Digest, Kind, Reason, RunId, Service, subject};
use futures::StreamExt;
use real::{event, next, soon, state, take, until};
use world::World;

macro_rules! on_both {
    ($($(#[$doc:meta])* $name:ident($limits:expr);)*) => {
        mod memory {
            use super::*;
            $($(#[$doc])* #[tokio::test(start_paused = true)] async fn $name() -> Result<()> {
                super::$name(&World::memory(&$limits)).await
            })*
        }
        mod nats {
            use super::*;
            $($(#[$doc])* #[tokio::test] async fn $name() -> Result<()> {
                super::$name(&World::nats(&$limits).await?).await
            })*
        }
    };
}

on_both! {
    a_batch_is_stored_whole_with_consecutive_sequences(StreamLimits::default());
    a_conflict_stores_nothing(StreamLimits::default());
    a_duplicate_stores_nothing(StreamLimits::default());
    what_is_wrong_first_is_told(StreamLimits::default());
    one_id_twice_in_a_batch_is_a_duplicate(StreamLimits::default());
    a_replacement_leaves_one(StreamLimits::default());
    states_outlive_the_age_of_events(short_lived());
    a_message_lives_as_long_as_it_says(StreamLimits::default());
    an_id_is_forgotten_after_the_window(short_window());
    a_full_stream_refuses_and_keeps_what_it_has(small());
    batches_have_limits(StreamLimits::default());
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
    a_list_names_the_last_of_each_subject(StreamLimits::default());
    a_watch_begins_where_it_is_told(StreamLimits::default());
    jars_are_kept_whole(StreamLimits::default());
    log_lines_are_stored_once_and_in_order(StreamLimits::default());
    dead_letters_are_stored_once(StreamLimits::default());
    the_configuration_moves_by_revision(StreamLimits::default());
    nobody_speaks_for_another(StreamLimits::default());
}

fn short_lived() -> StreamLimits {
    StreamLimits {
        keep_events: Duration::from_secs(1),
        dedupe_window: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

fn short_window() -> StreamLimits {
    StreamLimits {
        dedupe_window: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

fn small() -> StreamLimits {
    StreamLimits {
        event_bytes: 64 << 10,
        ..StreamLimits::default()
    }
}

fn impatient() -> StreamLimits {
    StreamLimits {
        ack_wait: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

async fn a_batch_is_stored_whole_with_consecutive_sequences(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let one = bus.commit(vec![state("a", "1", 0)].into()).await?;
    assert_eq!(one.sequences, [1]);
    let batch = vec![
        state("a", "2", 1),
        event(Kind::RunQueued, "e1"),
        event(Kind::RunStarted, "e2"),
        Write::fact("ferry.facts.scheduler.plan.m.e".into(), "p"),
    ];
    assert_eq!(bus.commit(batch.into()).await?.sequences, [2, 3, 4, 5]);
    let record = bus
        .read(&subject::state(Service::Scheduler, "a"))
        .await?
        .expect("it was stored");
    assert_eq!((record.sequence, record.payload), (2, Bytes::from("2")));
    // A whole batch of the largest size.
    let large: Vec<Write> = (0..Batch::MAX)
        .map(|n| event(Kind::RunQueued, &format!("many-{n}")))
        .collect();
    let sequences = bus.commit(large.into()).await?.sequences;
    assert_eq!(sequences, (6..6 + Batch::MAX as u64).collect::<Vec<_>>());
    assert_eq!(bus.read("ferry.state.scheduler.none").await?, None);
    Ok(())
}

async fn a_conflict_stores_nothing(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![state("a", "1", 0), state("b", "1", 0)].into())
        .await?;
    for (name, batch) in [
        ("alone", vec![state("a", "2", 0)]),
        (
            "first",
            vec![
                state("a", "2", 0),
                event(Kind::RunQueued, "e1"),
                state("b", "2", 2),
            ],
        ),
        (
            "last",
            vec![
                state("b", "2", 2),
                event(Kind::RunQueued, "e1"),
                state("a", "2", 7),
            ],
        ),
        (
            "there is none",
            vec![state("b", "2", 2), state("c", "2", 1)],
        ),
    ] {
        let error = bus.commit(batch.into()).await.expect_err(name);
        assert!(matches!(error, CommitError::Conflict), "{name}: {error:?}");
    }
    let states = bus.list("ferry.state.scheduler.>").await?;
    assert_eq!(
        states
            .iter()
            .map(|(_, record)| record.sequence)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    // The event's id was not taken by the batches that failed.
    let sequences = bus
        .commit(vec![state("a", "2", 1), event(Kind::RunQueued, "e1")].into())
        .await?
        .sequences;
    assert_eq!(sequences, [3, 4]);
    Ok(())
}

async fn a_duplicate_stores_nothing(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![event(Kind::RunQueued, "e1")].into())
        .await?;
    bus.commit(vec![event(Kind::RunQueued, "e2"), event(Kind::RunQueued, "e3")].into())
        .await?;
    for (name, batch) in [
        ("alone", vec![event(Kind::RunQueued, "e1")]),
        ("alone, from a batch", vec![event(Kind::RunQueued, "e3")]),
        (
            "first",
            vec![event(Kind::RunQueued, "e2"), state("a", "1", 0)],
        ),
        (
            "last",
            vec![state("a", "1", 0), event(Kind::RunQueued, "e1")],
        ),
    ] {
        let error = bus.commit(batch.into()).await.expect_err(name);
        assert!(matches!(error, CommitError::Duplicate), "{name}: {error:?}");
    }
    assert_eq!(
        bus.read(&subject::state(Service::Scheduler, "a")).await?,
        None
    );
    Ok(())
}

async fn what_is_wrong_first_is_told(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![state("a", "1", 0), event(Kind::RunQueued, "e1")].into())
        .await?;
    let (stale, known) = (state("a", "2", 0), event(Kind::RunQueued, "e1"));
    // As after a lost answer: either tells the caller to load again.
    let error = bus
        .commit(vec![stale.clone(), known.clone()].into())
        .await
        .expect_err("stored already");
    assert!(matches!(error, CommitError::Conflict), "{error:?}");
    let error = bus
        .commit(vec![known.clone(), stale].into())
        .await
        .expect_err("stored already");
    assert!(matches!(error, CommitError::Duplicate), "{error:?}");
    // Both in one message: alone, the id comes first; in a batch, last.
    let both = Write {
        expected: Some(77),
        ..known
    };
    let error = bus
        .commit(vec![both.clone()].into())
        .await
        .expect_err("stored already");
    assert!(matches!(error, CommitError::Duplicate), "{error:?}");
    let error = bus
        .commit(vec![both, state("b", "1", 0)].into())
        .await
        .expect_err("stored already");
    assert!(matches!(error, CommitError::Conflict), "{error:?}");
    Ok(())
}

async fn one_id_twice_in_a_batch_is_a_duplicate(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let batch = vec![
        event(Kind::RunQueued, "e1"),
        event(Kind::RunStarted, "e1"),
        state("a", "1", 0),
    ];
    let error = bus.commit(batch.into()).await.expect_err("one id twice");
    assert!(matches!(error, CommitError::Duplicate), "{error:?}");
    assert_eq!(bus.list("ferry.>").await?, []);
    Ok(())
}

async fn a_replacement_leaves_one(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![state("a", "1", 0), state("b", "1", 0)].into())
        .await?;
    bus.commit(
        vec![
            state("a", "2", 1),
            Write::fact("ferry.facts.scheduler.f".into(), "1"),
        ]
        .into(),
    )
    .await?;
    bus.commit(vec![Write::fact("ferry.facts.scheduler.f".into(), "2")].into())
        .await?;
    let gateway = world.service(Service::Gateway).await?;
    let mut all = gateway
        .watch(subject::STREAM, vec!["ferry.>".into()], Start::First)
        .await?;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(_, pending)| *pending > 0) {
        let message = soon("a message", all.next())
            .await?
            .expect("a watch never ends")?;
        seen.push((message.sequence, message.pending));
    }
    assert_eq!(seen, [(2, 2), (3, 1), (5, 0)]);
    Ok(())
}

async fn states_outlive_the_age_of_events(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![state("a", "1", 0), event(Kind::RunQueued, "e1")].into())
        .await?;
    until("the event to be too old", async || {
        Ok(bus.list("ferry.events.>").await?.is_empty().then_some(()))
    })
    .await?;
    let kept = bus.list("ferry.>").await?;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].0, "ferry.state.scheduler.a");
    Ok(())
}

async fn a_message_lives_as_long_as_it_says(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let mut brief = state("a", "1", 0);
    brief.keep = Keep::For(Duration::from_secs(1));
    bus.commit(vec![brief, state("b", "1", 0)].into()).await?;
    until("it to be gone", async || {
        Ok(bus
            .read("ferry.state.scheduler.a")
            .await?
            .is_none()
            .then_some(()))
    })
    .await?;
    // After that there is none: a new one begins at 0.
    bus.commit(vec![state("a", "2", 0), state("b", "2", 2)].into())
        .await?;
    Ok(())
}

async fn an_id_is_forgotten_after_the_window(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![event(Kind::RunQueued, "e1")].into())
        .await?;
    let twice = until("the id to be forgotten", async || {
        match bus.commit(vec![event(Kind::RunQueued, "e1")].into()).await {
            Ok(committed) => Ok(Some(committed)),
            Err(CommitError::Duplicate) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    assert_eq!(twice.sequences, [2]);
    Ok(())
}

async fn a_full_stream_refuses_and_keeps_what_it_has(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let text = "x".repeat(10 << 10);
    let mut expected = 0;
    bus.commit(vec![state("first", "1", 0)].into()).await?;
    let error = loop {
        let key = format!("k{expected}");
        match bus
            .commit(vec![state(&key, &text, 0), state(&format!("{key}b"), "1", 0)].into())
            .await
        {
            Ok(_) => expected += 1,
            Err(error) => break error,
        }
        assert!(expected < 10, "64 KiB hold ten times 10 KiB");
    };
    assert!(
        matches!(&error, CommitError::Bus(BusError::Full(_))),
        "{error:?}"
    );
    assert_eq!(bus.list("ferry.state.>").await?.len(), 1 + 2 * expected);
    let error = bus
        .commit(vec![state("one", &text.repeat(2), 0)].into())
        .await
        .expect_err("it is full");
    assert!(
        matches!(&error, CommitError::Bus(BusError::Full(_))),
        "{error:?}"
    );
    Ok(())
}

async fn batches_have_limits(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let many: Vec<Write> = (0..=Batch::MAX)
        .map(|n| event(Kind::RunQueued, &n.to_string()))
        .collect();
    let fact = |text: &str| Write::fact("ferry.facts.scheduler.f".into(), text.to_owned());
    let on = |subject: &str| Write {
        subject: subject.into(),
        ..fact("1")
    };
    let large = Write {
        payload: vec![0; Write::MAX_PAYLOAD + 1].into(),
        ..fact("1")
    };
    for (name, batch) in [
        ("none", Vec::new()),
        ("too many", many),
        ("too large", vec![large.clone()]),
        ("too large at the end", vec![state("a", "1", 0), large]),
        (
            "replaced twice",
            vec![fact("1"), state("a", "1", 0), fact("2")],
        ),
        (
            "guarded twice",
            vec![state("a", "1", 0), state("a", "2", 0)],
        ),
        (
            "guarded, then not",
            vec![state("a", "1", 0), on("ferry.state.scheduler.a")],
        ),
        ("a wildcard", vec![on("ferry.state.scheduler.*")]),
        ("a blank", vec![on("ferry.state.scheduler.a b")]),
        ("an empty token", vec![on("ferry.state.scheduler..a")]),
    ] {
        let error = bus.commit(batch.into()).await.expect_err(name);
        assert!(
            matches!(error, CommitError::Bus(BusError::Refused(_))),
            "{name}: {error:?}"
        );
    }
    assert_eq!(bus.list("ferry.>").await?, []);
    let largest = Write {
        payload: vec![0; Write::MAX_PAYLOAD].into(),
        ..fact("1")
    };
    assert_eq!(
        bus.commit(vec![largest, state("a", "1", 0)].into())
            .await?
            .sequences,
        [1, 2]
    );
    Ok(())
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
    let now = Utc::now();
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
    bus.set_timer(Service::Verifier, "late", Utc::now() - TimeDelta::hours(1))
        .await?;
    let deliveries = next(&mut due, 10).await?;
    assert_eq!(deliveries[0].subject, "ferry.timers.due.verifier.late");
    Ok(())
}

async fn a_list_names_the_last_of_each_subject(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    assert_eq!(bus.list("ferry.state.scheduler.>").await?, []);
    // More than one page, and a subject that is written twice without a replacement.
    for part in 0..3 {
        let writes: Vec<Write> = (0..400)
            .map(|n| state(&format!("k{:04}", part * 400 + n), "1", 0))
            .collect();
        bus.commit(writes.into()).await?;
    }
    bus.commit(vec![state("k0007", "2", 8)].into()).await?;
    bus.commit(vec![event(Kind::RunQueued, "e1"), event(Kind::RunQueued, "e2")].into())
        .await?;
    let states = bus.list("ferry.state.scheduler.>").await?;
    assert_eq!(states.len(), 1200);
    assert!(states.is_sorted_by(|one, two| one.0 < two.0));
    assert_eq!(
        (states[7].1.sequence, &states[7].1.payload[..]),
        (1201, &b"2"[..])
    );
    let events = bus.list("ferry.events.>").await?;
    assert_eq!(
        events
            .iter()
            .map(|(_, record)| &record.payload[..])
            .collect::<Vec<_>>(),
        [b"e2"]
    );
    Ok(())
}

async fn a_watch_begins_where_it_is_told(world: &World) -> Result<()> {
    let (gateway, scheduler) = (
        world.service(Service::Gateway).await?,
        world.service(Service::Scheduler).await?,
    );
    let fact = |text: &str| Write::fact("ferry.facts.scheduler.f".into(), text.to_owned());
    let writes = vec![
        event(Kind::RunQueued, "1"),
        state("hidden", "2", 0),
        event(Kind::RunQueued, "3"),
        fact("4"),
    ];
    scheduler.commit(writes.into()).await?;
    let filters = vec!["ferry.events.>".to_owned(), "ferry.facts.>".to_owned()];
    let mut watches = Vec::new();
    for (start, before) in [
        (Start::First, vec!["1", "3", "4"]),
        (Start::LastPerSubject, vec!["3", "4"]),
        (Start::At(3), vec!["3", "4"]),
        (Start::New, vec![]),
    ] {
        watches.push((
            gateway
                .watch(subject::STREAM, filters.clone(), start)
                .await?,
            before,
        ));
    }
    scheduler
        .commit(vec![event(Kind::RunStarted, "5"), fact("6")].into())
        .await?;
    for (mut watch, before) in watches {
        let mut seen = Vec::new();
        while seen.last().is_none_or(|payload| payload != "6") {
            let message = soon("a message", watch.next())
                .await?
                .expect("a watch never ends")?;
            if message.payload == "6" {
                assert_eq!((message.sequence, message.pending), (6, 0));
            }
            seen.push(String::from_utf8(message.payload.to_vec())?);
        }
        // A fact that was replaced before it was handed out may be left out.
        seen.retain(|payload| payload != "4");
        let expected: Vec<&str> = before
            .into_iter()
            .filter(|one| *one != "4")
            .chain(["5", "6"])
            .collect();
        assert_eq!(seen, expected);
    }
    let error = gateway
        .watch("FERRY_NONE", filters, Start::First)
        .await
        .err();
    assert!(
        matches!(error, Some(BusError::Missing(_) | BusError::Refused(_))),
        "{error:?}"
    );
    Ok(())
}

async fn jars_are_kept_whole(world: &World) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (builder, slimmer) = (
        world.service(Service::Builder).await?,
        world.service(Service::Slimmer).await?,
    );
    let (source, target) = (
        folder.path().join("source.jar"),
        folder.path().join("target.jar"),
    );
    // Nothing, less than a chunk, exactly two chunks, and three with a rest.
    for size in [0, 1000, 2 * ferry_bus::CHUNK, 3 * ferry_bus::CHUNK + 17] {
        let bytes: Vec<u8> = (0..size).map(|n| (n * 31 % 251) as u8).collect();
        std::fs::write(&source, &bytes)?;
        let digest = Digest::of(&bytes);
        let error = slimmer
            .get_jar(&digest, &target)
            .await
            .expect_err("it is not there yet");
        assert!(matches!(error, BusError::Missing(_)), "{error:?}");
        assert!(!target.exists());
        builder.put_jar(&digest, &source).await?;
        builder.put_jar(&digest, &source).await?;
        slimmer.get_jar(&digest, &target).await?;
        assert!(
            std::fs::read(&target)? == bytes,
            "{size} bytes come back as they were"
        );
        std::fs::remove_file(&target)?;
        let error = builder
            .put_jar(&Digest::of(b"another"), &source)
            .await
            .expect_err("another digest");
        assert!(matches!(error, BusError::Damaged(_)), "{error:?}");
    }
    let error = builder
        .put_jar(&Digest::of(b""), &folder.path().join("none"))
        .await
        .expect_err("no such file");
    assert!(matches!(error, BusError::Io(..)), "{error:?}");
    let leftovers: Vec<_> = std::fs::read_dir(&folder)?.collect();
    assert_eq!(leftovers.len(), 1, "only the source is left: {leftovers:?}");
    Ok(())
}

async fn log_lines_are_stored_once_and_in_order(world: &World) -> Result<()> {
    let (gateway, builder) = (
        world.service(Service::Gateway).await?,
        world.service(Service::Builder).await?,
    );
    let run = RunId::of("repository", "main", 1, "module");
    for number in (1..=600).chain(590..=610) {
        builder
            .log(
                run,
                LogLine {
                    number,
                    text: format!("line {number}"),
                },
            )
            .await?;
    }
    let mut lines = gateway
        .watch(subject::LOGS, vec![subject::log(run)], Start::First)
        .await?;
    for expected in 1..=610 {
        let message = soon("a line", lines.next())
            .await?
            .expect("a watch never ends")?;
        let line: LogLine = serde_json::from_slice(&message.payload)?;
        assert_eq!(
            line,
            LogLine {
                number: expected,
                text: format!("line {expected}")
            }
        );
    }
    Ok(())
}

async fn dead_letters_are_stored_once(world: &World) -> Result<()> {
    let bus = world.service(Service::Slimmer).await?;
    let letter = DeadLetter {
        service: Service::Slimmer,
        reason: Reason::ALL[0],
        errors: vec!["outer".into(), "inner".into()],
        tries: 3,
        subject: "ferry.events.team.module._.artifact.packaged".into(),
        sequence: 7,
        payload: "{}".into(),
        at: Utc::now(),
    };
    bus.bury(&letter, false).await?;
    bus.bury(&letter, false).await?;
    bus.bury(
        &DeadLetter {
            sequence: 8,
            ..letter.clone()
        },
        true,
    )
    .await?;
    let foreign = DeadLetter {
        service: Service::Builder,
        ..letter
    };
    let error = bus.bury(&foreign, false).await.expect_err("another's");
    assert!(matches!(error, BusError::Refused(_)), "{error:?}");
    Ok(())
}

async fn the_configuration_moves_by_revision(world: &World) -> Result<()> {
    let (operator, builder) = (
        world.user(User::Operator).await?,
        world.service(Service::Builder).await?,
    );
    assert_eq!(config_store::read(builder.as_ref()).await?, None);
    let mut revisions = config_store::watch(builder.clone());
    let one = config_store::put(operator.as_ref(), r#"{"a":1}"#.into(), 0).await?;
    let first = soon("the first", revisions.next())
        .await?
        .expect("a watch never ends");
    assert_eq!(
        (first.sequence, &first.payload[..]),
        (one, &br#"{"a":1}"#[..])
    );
    let error = config_store::put(operator.as_ref(), "{}".into(), 0)
        .await
        .expect_err("there is one");
    assert!(matches!(error, CommitError::Conflict), "{error:?}");
    let large = Bytes::from(vec![b' '; config_store::MAX_BYTES]);
    let two = config_store::put(operator.as_ref(), large.clone(), one).await?;
    let second = soon("the second", revisions.next())
        .await?
        .expect("a watch never ends");
    assert_eq!((second.sequence, &second.payload), (two, &large));
    let error = config_store::put(
        operator.as_ref(),
        vec![b' '; config_store::MAX_BYTES + 1].into(),
        two,
    )
    .await;
    assert!(
        matches!(error, Err(CommitError::Bus(BusError::Refused(_)))),
        "{error:?}"
    );
    let error = config_store::put(builder.as_ref(), "{}".into(), two)
        .await
        .expect_err("only the operator may");
    assert!(
        matches!(error, CommitError::Bus(BusError::Refused(_))),
        "{error:?}"
    );
    Ok(())
}

/// Whether a subject is one that a filter names.
fn named(filter: &str, subject: &str) -> bool {
    let (filter, subject): (Vec<_>, Vec<_>) =
        (filter.split('.').collect(), subject.split('.').collect());
    match filter.iter().position(|token| *token == ">") {
        Some(rest) => subject.len() > rest && named_tokens(&filter[..rest], &subject[..rest]),
        None => filter.len() == subject.len() && named_tokens(&filter, &subject),
    }
}

fn named_tokens(filter: &[&str], subject: &[&str]) -> bool {
    filter
        .iter()
        .zip(subject)
        .all(|(one, two)| *one == "*" || one == two)
}

async fn nobody_speaks_for_another(world: &World) -> Result<()> {
    let mut subjects: BTreeSet<String> = Kind::ALL
        .iter()
        .map(|kind| event(*kind, "x").subject)
        .collect();
    for service in Service::ALL {
        subjects.insert(subject::state(service, "a"));
        subjects.insert(format!("ferry.facts.{service}.a"));
        subjects.insert(format!("ferry.commands.{service}.any"));
    }
    subjects.insert(subject::CONFIG.into());
    let (mut allowed, mut refused) = (0, 0);
    for user in User::all() {
        let bus = world.user(user).await?;
        let contract = match user {
            User::Service(service) => Some((service, service.contract())),
            User::Operator => None,
        };
        for subject in &subjects {
            let may = match contract {
                None => subject == subject::CONFIG,
                Some((service, contract)) => {
                    contract
                        .says
                        .iter()
                        .any(|kind| named(&subject::events_of(*kind), subject))
                        || contract
                            .commands
                            .iter()
                            .any(|taker| named(&subject::commands_for(*taker), subject))
                        || named(&subject::states_of(service), subject)
                        || (contract.keeps_facts && named(&subject::facts_of(service), subject))
                }
            };
            let write = Write {
                subject: subject.clone(),
                id: None,
                ..event(Kind::RunQueued, "x")
            };
            match bus.commit(vec![write.clone()].into()).await {
                Ok(_) => assert!(may, "{user} published {subject}"),
                Err(CommitError::Bus(BusError::Refused(_))) => {
                    assert!(!may, "{user} must be able to publish {subject}")
                }
                Err(error) => anyhow::bail!("{user} on {subject}: {error:?}"),
            }
            if may { allowed += 1 } else { refused += 1 }
        }
        // Neither in front of a batch: the rest is not stored either.
        if let Some((service, _)) = contract {
            let foreign = Write {
                subject: subject::CONFIG.into(),
                id: None,
                ..event(Kind::RunQueued, "x")
            };
            let own = Write {
                subject: subject::state(service, "own"),
                ..foreign.clone()
            };
            let error = bus
                .commit(vec![foreign, own.clone()].into())
                .await
                .expect_err("not its configuration");
            assert!(
                matches!(error, CommitError::Bus(BusError::Refused(_))),
                "{error:?}"
            );
            assert_eq!(bus.read(&own.subject).await?, None);
            let error = bus
                .set_timer(next_service(service), "a", Utc::now())
                .await
                .expect_err("another's deadline");
            assert!(matches!(error, BusError::Refused(_)), "{error:?}");
        }
    }
    assert!(
        allowed > 20 && refused > 200,
        "{allowed} allowed, {refused} refused"
    );
    assert!(permissions(User::Operator).publish.len() == 2);
    Ok(())
}

fn next_service(service: Service) -> Service {
    let index = Service::ALL
        .iter()
        .position(|one| *one == service)
        .unwrap_or_default();
    Service::ALL[(index + 1) % Service::ALL.len()]
}
