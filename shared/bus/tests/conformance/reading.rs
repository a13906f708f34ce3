//! Lists, watches, jars, logs, dead letters and the configuration.
//!
//! In: what was stored. Out: the same, whole and in order.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use ferry_bus::{
    BusError, CommitError, DeadLetter, Keep, LogLine, Message, Record, Start, StreamLimits, User,
    Write, config_store,
};
use ferry_events::{Digest, Kind, LetterId, Reason, RunId, Service, subject};
use futures::{StreamExt, stream::BoxStream};

use crate::{
    real::{event, soon, state, until},
    world::World,
};

on_both! {
    a_list_names_the_last_of_each_subject(StreamLimits::default());
    a_watch_begins_where_it_is_told(StreamLimits::default());
    jars_are_kept_whole(StreamLimits::default());
    log_lines_are_stored_once_and_in_order(StreamLimits::default());
    dead_letters_are_stored_once(StreamLimits::default());
    the_configuration_moves_by_revision(StreamLimits::default());
    large_records_come_back_whole(StreamLimits::default());
    acts_outlive_the_stream_of_events(short());
}

/// States and facts of a large fleet repeat themselves: they go packed, and nobody who reads them sees it.
async fn large_records_come_back_whole(world: &World) -> Result<()> {
    let bus = world.service(Service::Scheduler).await?;
    let large = r#"{"base":"prod-1"},"#.repeat(Write::MAX_PAYLOAD * 3 / 18);
    let told = Write::fact(subject::wanted_fact("cart", "prod"), large.clone());
    let written = vec![state("large", &large, 0), told];
    let sequences = bus.commit(written.into()).await?.sequences;
    let whole = |record: Option<Record>| record.map(|record| record.payload == large.as_bytes());
    let subject = "ferry.state.scheduler.large";
    assert_eq!(whole(bus.read(subject).await?), Some(true));
    assert_eq!(whole(bus.first(subject).await?), Some(true));
    let listed = bus.list(subject).await?.pop().map(|(_, record)| record);
    assert_eq!(whole(listed), Some(true));
    let at = world.user(User::Operator).await?;
    let at = at.read_at(subject::STREAM, sequences[1]).await?;
    assert_eq!(whole(at.map(|(_, record)| record)), Some(true));

    // What begins like a packed record and is none is never taken for one.
    let broken = Write::state(
        "ferry.state.scheduler.broken".into(),
        vec![0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2, 3],
        0,
        Keep::Forever,
    );
    bus.commit(vec![broken].into()).await?;
    let read = bus.read("ferry.state.scheduler.broken").await;
    assert!(matches!(read, Err(BusError::Damaged(_))), "{read:?}");
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
    let last = bus
        .read(subject::ALL_EVENTS)
        .await?
        .expect("there are events");
    assert_eq!((last.sequence, &last.payload[..]), (1203, &b"e2"[..]));
    let first = bus.first(subject::ALL_EVENTS).await?;
    let first = first.expect("there are events");
    assert_eq!((first.sequence, &first.payload[..]), (1202, &b"e1"[..]));
    assert_eq!(bus.first("ferry.events.nobody.>").await?, None);
    assert_eq!(bus.read("ferry.events.nobody.>").await?, None);
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
    let id = |service: Service, sequence| LetterId::of(service.name(), subject::STREAM, sequence);
    let letter = DeadLetter {
        id: id(Service::Slimmer, 7),
        service: Service::Slimmer,
        reason: Reason::ALL[0],
        errors: vec!["outer".into(), "inner".into()],
        tries: 3,
        subject: "ferry.events.team.module._.artifact.packaged".into(),
        stream: subject::STREAM.into(),
        sequence: 7,
        payload: "{}".into(),
        whole: true,
        first_at: world.now(),
        at: world.now(),
    };
    bus.bury(&letter, false).await?;
    bus.bury(&letter, false).await?;
    bus.bury(
        &DeadLetter {
            id: id(Service::Slimmer, 8),
            sequence: 8,
            ..letter.clone()
        },
        true,
    )
    .await?;
    assert_eq!(world.count(subject::DEAD).await?, 2);
    let (subject, record) = bus.read_at(subject::DEAD, 1).await?.expect("the first one");
    assert_eq!(subject, subject::dead(letter.service, letter.reason));
    assert_eq!(
        serde_json::from_slice::<DeadLetter>(&record.payload)?,
        letter
    );
    assert_eq!(bus.read_at(subject::DEAD, 9).await?, None);
    let gateway = world.service(Service::Gateway).await?;
    let mut letters = gateway
        .watch(subject::DEAD, vec!["ferry.dead.>".into()], Start::First)
        .await?;
    let first = soon("the first", letters.next())
        .await?
        .expect("a watch never ends")?;
    assert_eq!((first.sequence, first.subject), (1, subject));
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
    // It goes packed: ten times as much fits where it repeats itself.
    let larger = Bytes::from(br#"{"name":"base"},"#.repeat(config_store::MAX_BYTES * 10 / 16));
    let three = config_store::put(operator.as_ref(), larger.clone(), two).await?;
    let third = soon("the third", revisions.next())
        .await?
        .expect("a watch never ends");
    assert_eq!((third.sequence, &third.payload), (three, &larger));
    let error = config_store::put(
        operator.as_ref(),
        unpackable(config_store::MAX_BYTES + 1),
        three,
    )
    .await;
    assert!(
        matches!(error, Err(CommitError::Bus(BusError::Refused(_)))),
        "{error:?}"
    );
    let error = config_store::put(builder.as_ref(), "{}".into(), three)
        .await
        .expect_err("only the operator may");
    assert!(
        matches!(error, CommitError::Bus(BusError::Refused(_))),
        "{error:?}"
    );
    Ok(())
}

/// Events that are forgotten soon: a second is the least that the server takes with their dedupe window.
/// Bytes that no packing makes fewer, the same in each run.
fn unpackable(count: usize) -> Bytes {
    let digests = (0_u64..).map(|number| Digest::of(&number.to_le_bytes()).to_string());
    let bytes = digests.flat_map(|text| hex::decode(text.trim_start_matches("sha256:")));
    bytes.flatten().take(count).collect()
}

fn short() -> StreamLimits {
    StreamLimits {
        keep_events: Duration::from_secs(2),
        dedupe_window: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

async fn acts_outlive_the_stream_of_events(world: &World) -> Result<()> {
    let (scheduler, gateway) = (
        world.service(Service::Scheduler).await?,
        world.service(Service::Gateway).await?,
    );
    let said = |names: &[(Kind, &str)]| -> Vec<Write> {
        names.iter().map(|(kind, id)| event(*kind, id)).collect()
    };
    let first = [
        (Kind::RunQueued, "queued"),
        (Kind::RunStarted, "how far it is"),
        (Kind::RolloutPlanned, "planned"),
    ];
    scheduler.commit(said(&first).into()).await?;
    let all = vec![subject::ALL_EVENTS.to_owned()];
    let mut acts = gateway.watch(subject::AUDIT, all, Start::First).await?;
    let next = async |acts: &mut BoxStream<'static, Result<Message, BusError>>| -> Result<_> {
        let message = soon("an act", acts.next())
            .await?
            .expect("a watch never ends")?;
        Ok((String::from_utf8(message.payload.to_vec())?, message.at))
    };
    assert_eq!(next(&mut acts).await?.0, "queued");
    assert_eq!(next(&mut acts).await?.0, "planned");
    until("events to be forgotten", async || {
        let filter = "ferry.events.*.*.*.rollout.planned";
        Ok(gateway.read(filter).await?.is_none().then_some(()))
    })
    .await?;
    scheduler
        .commit(
            said(&[
                (Kind::RolloutFinished, "finished"),
                (Kind::LineTold, "told"),
            ])
            .into(),
        )
        .await?;
    let (text, at) = next(&mut acts).await?;
    assert_eq!(text, "finished");
    assert_eq!(world.count(subject::AUDIT).await?, 3);

    // From a moment on, and only what is asked for.
    let filter = vec!["ferry.events.*.*.*.rollout.*".to_owned()];
    let mut since = gateway
        .watch(subject::AUDIT, filter.clone(), Start::Since(at))
        .await?;
    assert_eq!(next(&mut since).await?.0, "finished");
    let start = Start::Since(chrono::DateTime::UNIX_EPOCH);
    let mut ever = gateway.watch(subject::AUDIT, filter, start).await?;
    assert_eq!(next(&mut ever).await?.0, "planned");

    // What there is, and then the end.
    let texts = async |filter: &str| -> Result<Vec<String>> {
        let past = gateway.past(subject::AUDIT, vec![filter.to_owned()], Start::First);
        let past: Vec<_> = soon("the past", past.await?.collect::<Vec<_>>()).await?;
        let text = |message: Result<Message, BusError>| -> Result<String> {
            Ok(String::from_utf8(message?.payload.to_vec())?)
        };
        past.into_iter().map(text).collect()
    };
    assert_eq!(
        texts("ferry.events.>").await?,
        ["queued", "planned", "finished"]
    );
    assert_eq!(texts("ferry.events.*.*.*.base.lost").await?, [""; 0]);

    // Nobody writes there, and only who shows it to people reads it.
    let refused = scheduler
        .watch(subject::AUDIT, vec![">".into()], Start::First)
        .await;
    assert!(matches!(refused.err(), Some(BusError::Refused(_))));
    Ok(())
}
