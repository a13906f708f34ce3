//! What only a real nats-server can show: death, silence, wrong keys, damage on disk.
//!
//! In: nothing; nats-server is fetched by the rig. Out: what the bus does about it.

#[path = "suite/real.rs"]
mod real;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use async_nats::{Client, HeaderMap, jetstream};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use ferry_bus::{
    Bus, BusError, CHUNK, CommitError, ConnectOptions, JetStream, Source, Start, StreamLimits,
    User, Users, authorization, provision,
};
use ferry_events::{Digest, Kind, Service, subject};
use ferry_rig::nats::NatsServer;
use futures::StreamExt;
use real::{DEADLINE, Nats, event, next, soon, state, take, until};
use tokio::sync::mpsc;

const SCHEDULER: User = User::Service(Service::Scheduler);
const BUILDER: User = User::Service(Service::Builder);

/// A connection without Ferry's bus, to do what it never does.
async fn raw(nats: &Nats, user: User) -> Result<Client> {
    let options = async_nats::ConnectOptions::with_nkey(nats.users.seed(user).to_owned());
    Ok(options
        .custom_inbox_prefix(user.inbox_prefix())
        .connect(nats.server.url())
        .await?)
}

async fn wait_connected(bus: &dyn Bus, connected: bool) -> Result<()> {
    let mut states = bus.connected();
    soon(
        "the connection",
        states.wait_for(|state| *state == connected),
    )
    .await??;
    Ok(())
}

#[tokio::test]
async fn what_was_committed_outlives_kill_9() -> Result<()> {
    let mut nats = Nats::start(&StreamLimits::default()).await?;
    let bus = Arc::new(nats.connect(SCHEDULER).await?);
    let (told, mut telling) = mpsc::unbounded_channel();
    let writer = tokio::spawn({
        let bus = Arc::clone(&bus);
        async move {
            // Batches of a state and two events, until the first that fails.
            let mut last = 0;
            for n in 0.. {
                let batch = vec![
                    state("a", &n.to_string(), last),
                    event(Kind::RunQueued, &format!("q{n}")),
                    event(Kind::RunStarted, &format!("s{n}")),
                ];
                match bus.commit(batch.into()).await {
                    Ok(committed) => {
                        last = committed.sequences[0];
                        told.send((n, last)).ok();
                    }
                    Err(error) => return error,
                }
            }
            unreachable!("a range without an end");
        }
    });
    let mut committed = Vec::new();
    while committed.len() < 25 {
        committed.push(
            soon("a commit", telling.recv())
                .await?
                .context("the writer goes on")?,
        );
    }
    nats.server.kill().await?;
    let error = soon("the writer to notice", writer).await??;
    assert!(
        matches!(error, CommitError::Bus(BusError::Unavailable(_))),
        "{error:?}"
    );
    while let Ok(more) = telling.try_recv() {
        committed.push(more);
    }
    // While it is down nothing is sent, so nothing appears later.
    let error = bus
        .commit(vec![event(Kind::RunQueued, "while down")].into())
        .await
        .expect_err("it is down");
    assert!(
        matches!(error, CommitError::Bus(BusError::Unavailable(_))),
        "{error:?}"
    );
    let error = bus
        .read("ferry.state.scheduler.a")
        .await
        .expect_err("it is down");
    assert!(matches!(error, BusError::Unavailable(_)), "{error:?}");

    nats.server.restart().await?;
    wait_connected(bus.as_ref(), true).await?;
    let (last, sequence) = *committed.last().context("some were committed")?;
    let found = bus
        .read("ferry.state.scheduler.a")
        .await?
        .context("the state is there")?;
    assert!(
        found.sequence == sequence || found.sequence == sequence + 3,
        "{found:?} after {sequence}"
    );
    let kept = String::from_utf8(found.payload.to_vec())?.parse::<u64>()?;
    assert!(
        kept == last || kept == last + 1,
        "at most the one without an answer is more"
    );
    // Whole or not at all: as many events as states, and nothing from the time without a server.
    let gateway = nats.connect(User::Service(Service::Gateway)).await?;
    let mut events = gateway
        .watch(subject::STREAM, vec!["ferry.events.>".into()], Start::First)
        .await?;
    let mut names = Vec::new();
    loop {
        let message = soon("an event", events.next())
            .await?
            .context("a watch never ends")??;
        names.push(String::from_utf8(message.payload.to_vec())?);
        if message.pending == 0 {
            break;
        }
    }
    let expected: Vec<String> = (0..=kept)
        .flat_map(|n| [format!("q{n}"), format!("s{n}")])
        .collect();
    assert_eq!(names, expected);
    Ok(())
}

#[tokio::test]
async fn watches_and_consumers_go_on_after_kill_9() -> Result<()> {
    let mut nats = Nats::start(&StreamLimits {
        ack_wait: Duration::from_secs(1),
        ..StreamLimits::default()
    })
    .await?;
    let scheduler = nats.connect(SCHEDULER).await?;
    let gateway = nats.connect(User::Service(Service::Gateway)).await?;
    let installer = nats.connect(User::Service(Service::Installer)).await?;
    let filters = vec!["ferry.events.>".to_owned(), "ferry.facts.>".to_owned()];
    let mut first = gateway
        .watch(subject::STREAM, filters.clone(), Start::First)
        .await?;
    let mut new = gateway.watch(subject::STREAM, filters, Start::New).await?;
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    let mut due = installer
        .consume(Service::Installer, Source::Timers)
        .await?;
    let mut seen: [Vec<u64>; 2] = Default::default();
    let mut taken = BTreeSet::new();
    let mut sequence = 0;
    for round in 0..3 {
        let at = Utc::now() + TimeDelta::milliseconds(200);
        installer
            .set_timer(Service::Installer, &format!("round{round}"), at)
            .await?;
        for n in 0..4 {
            let write = event(Kind::TaskRequested, &format!("{round}-{n}"));
            sequence = scheduler.commit(vec![write].into()).await?.sequences[0];
        }
        // One stays in hand, unsettled, when the server dies.
        if round > 0 {
            next(&mut work, 1).await?;
        }
        nats.server.kill().await?;
        wait_connected(&scheduler, false).await?;
        nats.server.restart().await?;
        for bus in [&scheduler, &gateway, &installer] {
            wait_connected(bus, true).await?;
        }
        for (watch, seen) in [&mut first, &mut new].into_iter().zip(&mut seen) {
            while seen.last().is_none_or(|last| *last < sequence) {
                seen.push(
                    soon("a message", watch.next())
                        .await?
                        .context("a watch never ends")??
                        .sequence,
                );
            }
        }
        assert_eq!(take(&mut due, 1).await?, [""]);
    }
    assert_eq!(
        seen,
        [(1..=12).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>()],
        "each once and in order"
    );
    // What was in hand comes again, the rest once.
    while taken.len() < 12 {
        for delivery in next(&mut work, 5).await? {
            delivery.ack.ack().await?;
            taken.insert(delivery.sequence);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_frozen_server_is_unavailable_and_a_late_batch_is_whole() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let bus = nats.connect(SCHEDULER).await?;
    bus.commit(vec![state("a", "1", 0)].into()).await?;
    nats.server.freeze()?;
    let batch = vec![state("a", "2", 1), event(Kind::RunQueued, "e1")];
    let error = soon("the commit to give up", bus.commit(batch.clone().into()))
        .await?
        .expect_err("it is frozen");
    assert!(
        matches!(error, CommitError::Bus(BusError::Unavailable(_))),
        "{error:?}"
    );
    wait_connected(&bus, false).await?;
    nats.server.thaw()?;
    wait_connected(&bus, true).await?;
    // The batch may be there by now, and then it is there whole.
    match bus.commit(batch.into()).await {
        Ok(committed) => assert_eq!(committed.sequences, [2, 3]),
        Err(CommitError::Conflict | CommitError::Duplicate) => {}
        Err(error) => return Err(error.into()),
    }
    let all = bus.list("ferry.>").await?;
    assert_eq!(
        all.iter()
            .map(|(_, record)| record.sequence)
            .collect::<BTreeSet<_>>(),
        BTreeSet::from([2, 3])
    );
    Ok(())
}

#[tokio::test]
async fn a_service_may_start_before_the_server() -> Result<()> {
    let users = Users::generate();
    let mut server = NatsServer::start_with(&authorization(&users)).await?;
    server.kill().await?;
    let seed = Some(users.seed(User::Operator).to_owned());
    let options = ConnectOptions {
        url: server.url(),
        user: User::Operator,
        seed,
        name: "early".into(),
    };
    let bus = JetStream::connect(options).await?;
    assert!(!*bus.connected().borrow());
    let error = bus
        .ready(Duration::from_millis(10))
        .await
        .expect_err("there is no server");
    assert!(matches!(error, BusError::Unavailable(_)), "{error:?}");
    server.restart().await?;
    bus.ready(DEADLINE).await?;
    provision(&bus, &StreamLimits::default()).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_the_server_does_not_know_is_refused() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let strangers = Users::generate();
    let connect = |url: String, seed: &str| {
        let seed = Some(seed.to_owned());
        JetStream::connect(ConnectOptions {
            url,
            user: SCHEDULER,
            seed,
            name: "stranger".into(),
        })
    };
    for (url, seed) in [
        (nats.server.url(), strangers.seed(SCHEDULER)),
        (nats.server.url(), "not a seed"),
        (
            "nats://not an address".to_owned(),
            nats.users.seed(SCHEDULER),
        ),
    ] {
        let error = connect(url, seed)
            .await
            .err()
            .context("it must not connect")?;
        assert!(matches!(error, BusError::Refused(_)), "{error:?}");
        assert!(
            !error.to_string().contains(seed) || seed == "not a seed",
            "a seed is never shown"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_named() -> Result<()> {
    let users = Users::generate();
    let nats = Nats {
        server: NatsServer::start_with(&authorization(&users)).await?,
        users,
    };
    let bus = nats.connect(SCHEDULER).await?;
    let error = bus
        .read("ferry.state.scheduler.a")
        .await
        .expect_err("no stream");
    assert!(
        matches!(&error, BusError::Missing(what) if what.contains("FERRY")),
        "{error:?}"
    );
    let error = bus.consume(Service::Scheduler, Source::Work).await.err();
    assert!(
        matches!(&error, Some(BusError::Missing(what)) if what.contains("scheduler")),
        "{error:?}"
    );
    let error = bus
        .commit(vec![state("a", "1", 0)].into())
        .await
        .expect_err("no stream");
    assert!(
        matches!(&error, CommitError::Bus(BusError::Unavailable(why)) if why.contains("ferry bus init")),
        "{error:?}"
    );
    Ok(())
}

#[tokio::test]
async fn provisioning_twice_changes_nothing_and_takes_new_limits() -> Result<()> {
    let users = Users::generate();
    let nats = Nats {
        server: NatsServer::start_with(&authorization(&users)).await?,
        users,
    };
    let admin = nats.connect(User::Operator).await?;
    let limits = StreamLimits::default();
    let first = provision(&admin, &limits).await?;
    assert!(first.iter().all(|made| made.created));
    let names: Vec<&str> = first.iter().map(|made| made.name.as_str()).collect();
    assert!(
        names.contains(&"FERRY/builder") && names.contains(&"FERRY_TIMERS/gateway"),
        "{names:?}"
    );
    assert!(
        !names.contains(&"FERRY/gateway"),
        "the gateway takes nothing"
    );
    let bus = nats.connect(SCHEDULER).await?;
    let mut work = bus.consume(Service::Scheduler, Source::Work).await?;
    bus.commit(
        vec![
            event(Kind::RolloutFinished, "1"),
            event(Kind::RolloutFinished, "2"),
        ]
        .into(),
    )
    .await?;
    assert_eq!(take(&mut work, 1).await?, ["1"]);
    let limits = StreamLimits {
        keep_events: Duration::from_secs(3600),
        ..limits
    };
    let again = provision(&admin, &limits).await?;
    assert!(again.iter().all(|made| !made.created));
    assert_eq!(again.len(), first.len());
    assert_eq!(
        take(&mut work, 1).await?,
        ["2"],
        "the consumer goes on where it was"
    );
    let client = raw(&nats, User::Operator).await?;
    let stream = jetstream::new(client).get_stream("FERRY").await?;
    let config = &stream.cached_info().config;
    assert_eq!(
        (config.max_age, config.allow_atomic_publish),
        (Duration::from_secs(3600), true)
    );
    Ok(())
}

#[tokio::test]
async fn a_watcher_cannot_touch_the_consumers_of_others() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let (operator, gateway) = (
        raw(&nats, User::Operator).await?,
        raw(&nats, User::Service(Service::Gateway)).await?,
    );
    let before = jetstream::new(operator.clone())
        .get_stream("FERRY")
        .await?
        .consumer_info("installer")
        .await?;
    for config in [
        r#"{"stream_name":"FERRY","config":{"durable_name":"installer","ack_policy":"none","filter_subject":"ferry.x.>"}}"#,
        r#"{"stream_name":"FERRY","config":{"name":"installer","ack_policy":"none","filter_subject":"ferry.x.>"}}"#,
    ] {
        // Refused, or a consumer with a name of the server's choice.
        gateway
            .request("$JS.API.CONSUMER.CREATE.FERRY", config.into())
            .await?;
    }
    let after = jetstream::new(operator)
        .get_stream("FERRY")
        .await?
        .consumer_info("installer")
        .await?;
    assert_eq!(after.config.filter_subjects, before.config.filter_subjects);
    assert_eq!(
        (after.config.ack_policy, after.created),
        (before.config.ack_policy, before.created)
    );
    Ok(())
}

fn jar(size: usize) -> Vec<u8> {
    (0..size).map(|n| (n * 31 % 251) as u8).collect()
}

async fn put_chunk(client: &Client, digest: &Digest, index: u64, bytes: &[u8]) -> Result<()> {
    let mut headers = HeaderMap::new();
    headers.insert("Ferry-Chunk", index.to_string().as_str());
    let subject = format!("$O.FERRY_ARTIFACTS.C.{digest}-{CHUNK}");
    client
        .request_with_headers(subject, headers, Bytes::copy_from_slice(bytes))
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_put_goes_on_where_another_ended() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let folder = tempfile::tempdir()?;
    let (source, target) = (
        folder.path().join("source.jar"),
        folder.path().join("target.jar"),
    );
    let bytes = jar(4 * CHUNK + 5);
    let digest = Digest::of(&bytes);
    std::fs::write(&source, &bytes)?;
    // Someone died after two chunks: there is no jar yet.
    let client = raw(&nats, BUILDER).await?;
    for index in 0..2 {
        put_chunk(
            &client,
            &digest,
            index as u64,
            &bytes[index * CHUNK..(index + 1) * CHUNK],
        )
        .await?;
    }
    let slimmer = nats.connect(User::Service(Service::Slimmer)).await?;
    let error = slimmer
        .get_jar(&digest, &target)
        .await
        .expect_err("it is not whole");
    assert!(matches!(error, BusError::Missing(_)), "{error:?}");
    // Three at a time go on from there and leave no chunk too many.
    let (one, two, three) = (
        nats.connect(BUILDER).await?,
        nats.connect(BUILDER).await?,
        nats.connect(BUILDER).await?,
    );
    let (one, two, three) = tokio::join!(
        one.put_jar(&digest, &source),
        two.put_jar(&digest, &source),
        three.put_jar(&digest, &source)
    );
    one.and(two).and(three)?;
    slimmer.get_jar(&digest, &target).await?;
    assert!(std::fs::read(&target)? == bytes);
    let context = jetstream::new(raw(&nats, User::Operator).await?);
    let stored = context
        .get_stream("OBJ_FERRY_ARTIFACTS")
        .await?
        .cached_info()
        .state
        .messages;
    assert_eq!(stored, 6, "five chunks and their description");
    // Every NATS tool reads it: this is the client's own object store.
    let object = context
        .get_object_store("FERRY_ARTIFACTS")
        .await?
        .info(digest.as_str())
        .await?;
    assert_eq!(
        (object.size, object.chunks, object.bucket.as_str()),
        (bytes.len(), 5, "FERRY_ARTIFACTS")
    );
    Ok(())
}

#[tokio::test]
async fn a_damaged_jar_is_never_handed_out() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let folder = tempfile::tempdir()?;
    let target = folder.path().join("target.jar");
    let client = raw(&nats, BUILDER).await?;
    let slimmer = nats.connect(User::Service(Service::Slimmer)).await?;
    let bytes = jar(CHUNK + 5);
    for (name, second) in [("changed", Some(&b"other"[..])), ("cut short", None)] {
        let digest = Digest::of(&[name.as_bytes(), &bytes].concat());
        put_chunk(&client, &digest, 0, &bytes[..CHUNK]).await?;
        if let Some(second) = second {
            put_chunk(&client, &digest, 1, second).await?;
        }
        let meta = serde_json::json!({
            "name": digest, "bucket": "FERRY_ARTIFACTS", "nuid": format!("{digest}-{CHUNK}"),
            "size": bytes.len(), "chunks": 2, "digest": "SHA-256=",
        });
        let subject = format!(
            "$O.FERRY_ARTIFACTS.M.{}",
            BASE64_URL_SAFE.encode(digest.as_str())
        );
        client.request(subject, meta.to_string().into()).await?;
        let error = slimmer.get_jar(&digest, &target).await.expect_err(name);
        assert!(matches!(error, BusError::Damaged(_)), "{name}: {error:?}");
    }
    assert_eq!(
        std::fs::read_dir(&folder)?.count(),
        0,
        "neither the jar nor a part of it"
    );
    Ok(())
}

#[tokio::test]
async fn log_lines_outlive_a_restart_of_the_server() -> Result<()> {
    let mut nats = Nats::start(&StreamLimits::default()).await?;
    let (builder, gateway) = (
        nats.connect(BUILDER).await?,
        nats.connect(User::Service(Service::Gateway)).await?,
    );
    let run = ferry_events::RunId::of("repository", "main", 1, "module");
    let line = |number| ferry_bus::LogLine {
        number,
        text: format!("line {number}"),
    };
    for number in 1..=100 {
        builder.log(run, line(number)).await?;
    }
    nats.server.kill().await?;
    for number in 101..=200 {
        builder.log(run, line(number)).await?;
    }
    nats.server.restart().await?;
    wait_connected(&gateway, true).await?;
    let mut lines = gateway
        .watch(subject::LOGS, vec![subject::log(run)], Start::First)
        .await?;
    let mut numbers = BTreeSet::new();
    while numbers.len() < 200 {
        let message = soon("a line", lines.next())
            .await?
            .context("a watch never ends")??;
        let line: ferry_bus::LogLine = serde_json::from_slice(&message.payload)?;
        assert!(
            numbers.insert(line.number),
            "line {} was stored twice",
            line.number
        );
    }
    Ok(())
}

#[tokio::test]
async fn terminated_deliveries_leave_an_advisory() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let (scheduler, installer) = (
        nats.connect(SCHEDULER).await?,
        nats.connect(User::Service(Service::Installer)).await?,
    );
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    scheduler
        .commit(vec![event(Kind::TaskRequested, "a")].into())
        .await?;
    next(&mut work, 1).await?[0].ack.term().await?;
    let context = jetstream::new(raw(&nats, User::Operator).await?);
    let subject = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.FERRY.installer";
    let dead = context.get_stream("FERRY_DEAD").await?;
    until("the advisory", async || {
        Ok(dead.get_last_raw_message_by_subject(subject).await.ok())
    })
    .await?;
    Ok(())
}
