//! The server dies, freezes, or is not there yet.
//!
//! In: kills and restarts. Out: what was reported stored is there, and everything goes on by itself.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use ferry_bus::{
    Bus, BusError, CommitError, ConnectOptions, JetStream, Source, Start, StreamLimits, User,
    Users, authorization, provision,
};
use ferry_events::{Kind, Service, subject};
use ferry_rig::nats::NatsServer;
use futures::StreamExt;
use tokio::sync::mpsc;

use crate::{
    BUILDER, SCHEDULER,
    real::{DEADLINE, Nats, event, next, now, soon, state, take},
    wait_connected,
};

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
        let at = now() + TimeDelta::milliseconds(200);
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

/// What is promised of a silent server, and a second for a busy machine's scheduler. The deadline is the
/// requirement itself.
const NOTICED: Duration = Duration::from_secs(5 + 1);

#[tokio::test]
async fn a_frozen_server_is_noticed_within_five_seconds_by_those_who_ask_it_nothing() -> Result<()>
{
    let nats = Nats::start(&StreamLimits::default()).await?;
    // One that is quite idle, one that waits for work, one that watches.
    let idle = nats.connect(SCHEDULER).await?;
    let worker = nats.connect(BUILDER).await?;
    let watcher = nats.connect(User::Service(Service::Gateway)).await?;
    let _work = worker.consume(Service::Builder, Source::Work).await?;
    let _watch = watcher
        .watch(subject::STREAM, vec!["ferry.events.>".into()], Start::New)
        .await?;
    for round in 0..2 {
        for bus in [&idle, &worker, &watcher] {
            wait_connected(bus, true).await?;
        }
        nats.server.freeze()?;
        let all = async {
            for bus in [&idle, &worker, &watcher] {
                bus.connected().wait_for(|connected| !connected).await?;
            }
            anyhow::Ok(())
        };
        let noticed = tokio::time::timeout(NOTICED, all).await;
        nats.server.thaw()?;
        noticed.with_context(|| format!("round {round}: still connected after {NOTICED:?}"))??;
    }
    for bus in [&idle, &worker, &watcher] {
        wait_connected(bus, true).await?;
    }
    // They are of use again, not only connected.
    idle.commit(vec![event(Kind::RunQueued, "after")].into())
        .await?;
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
