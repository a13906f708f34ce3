//! Commits: all or nothing, guarded, deduplicated, limited.
//!
//! In: batches. Out: sequences, or what was wrong, the same on both buses.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use ferry_bus::{Batch, BusError, CommitError, Keep, Start, StreamLimits, Write};
use ferry_events::{Kind, Service, subject};
use futures::StreamExt;

use crate::{
    real::{event, soon, state, until},
    world::World,
};

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
    many_at_once_have_each_its_own_answer(StreamLimits::default());
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
    // Both in one message: alone, the guard comes first; in a batch, the id.
    let both = Write {
        expected: Some(77),
        ..known
    };
    let error = bus
        .commit(vec![both.clone()].into())
        .await
        .expect_err("stored already");
    assert!(matches!(error, CommitError::Conflict), "{error:?}");
    let error = bus
        .commit(vec![both, state("b", "1", 0)].into())
        .await
        .expect_err("stored already");
    assert!(matches!(error, CommitError::Duplicate), "{error:?}");
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

/// However they get to the bus: one that is refused harms nobody beside it.
async fn many_at_once_have_each_its_own_answer(world: &World) -> Result<()> {
    const MANY: usize = 300;
    let bus = world.service(Service::Scheduler).await?;
    bus.commit(vec![event(Kind::RunQueued, "seen")].into())
        .await?;
    let commits = (0..MANY).map(|number| {
        let (key, id) = (format!("many-{number}"), format!("e-{number}"));
        let writes = match number % 10 {
            // Nothing is there.
            3 => vec![state(&key, "1", 77)],
            6 => vec![state(&key, "1", 0), event(Kind::RunQueued, "seen")],
            // Two of these write the same state.
            9 => vec![state("shared", "1", 0)],
            _ => vec![state(&key, "1", 0), event(Kind::RunQueued, &id)],
        };
        bus.commit(writes.into())
    });
    let answers = futures::future::join_all(commits).await;
    let (mut last, mut shared) = (BTreeSet::new(), 0);
    for (number, answer) in answers.into_iter().enumerate() {
        let subject = subject::state(Service::Scheduler, &format!("many-{number}"));
        let there = bus.read(&subject).await?;
        match (number % 10, answer) {
            (3, Err(CommitError::Conflict)) | (6, Err(CommitError::Duplicate)) => {
                assert!(there.is_none(), "{subject}");
            }
            (9, Ok(_)) => shared += 1,
            (9, Err(CommitError::Conflict)) => {}
            (0..3 | 4 | 5 | 7 | 8, Ok(committed)) => {
                let [state, event] = committed.sequences[..] else {
                    panic!("{:?}", committed.sequences);
                };
                assert_eq!(state + 1, event);
                assert_eq!(there.map(|record| record.sequence), Some(state));
                assert!(last.insert(state), "{state} twice");
            }
            (_, answer) => panic!("{number}: {answer:?}"),
        }
    }
    assert_eq!(shared, 1);
    Ok(())
}
