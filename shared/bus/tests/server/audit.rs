//! `FERRY_AUDIT` on the real server: what it takes from `FERRY`, in which order, with which headers, and that it
//! goes on behind what it has.
//!
//! In: events and states in batches, streams put back, other filters. Out: each act once, in order.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use async_nats::jetstream::stream::{Compression, Config};
use ferry_bus::{
    Bus, CommitError, ConnectOptions, JetStream, Keep, Start, StreamLimits, User, Users, Write,
    audit, authorization, provision,
};
use ferry_events::{Kind, Service, subject};
use ferry_rig::nats::NatsServer;
use futures::StreamExt as _;

use crate::{
    SCHEDULER,
    real::{self, Nats, event, state, until},
};

/// A source whose stream has no leader is tried again by the server after pauses that grow, up to two minutes.
const SOURCED_WITHIN: Duration = Duration::from_secs(180);

/// An act as it is held: payload, subject and headers.
type Held = (String, String, BTreeMap<String, String>);

async fn held(nats: &Nats) -> Result<Vec<Held>> {
    let stream = nats.context().await?.get_stream(subject::AUDIT).await?;
    let state = stream.cached_info().state.clone();
    let mut held = Vec::new();
    for sequence in 1..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await?;
        let headers = message.headers.iter();
        let headers = headers.map(|(name, values)| (name.to_string(), values[0].to_string()));
        held.push((
            String::from_utf8(message.payload.to_vec())?,
            message.subject.to_string(),
            headers.collect(),
        ));
    }
    Ok(held)
}

/// Waits until it holds this many; which.
async fn told(nats: &Nats, many: usize) -> Result<Vec<String>> {
    until(&format!("{many} acts"), async || {
        let held = held(nats).await?;
        Ok((held.len() >= many).then(|| held.into_iter().map(|(told, ..)| told).collect()))
    })
    .await
}

/// A batch as the runtime commits it: the state, an event that is kept, one that is not, one that is.
fn decided(number: u64, expected: u64) -> Vec<Write> {
    vec![
        state("a", &number.to_string(), expected),
        event(Kind::RolloutFinished, &format!("finished-{number}")),
        event(Kind::TaskRequested, &format!("requested-{number}")),
        event(Kind::WaveStarted, &format!("wave-{number}")),
    ]
}

/// Decides so often; the acts that are kept of it.
async fn decide(bus: &dyn Bus, numbers: std::ops::Range<u64>) -> Result<Vec<String>> {
    let before = bus.read("ferry.state.scheduler.a").await?;
    let mut expected = before.map_or(0, |record| record.sequence);
    for number in numbers.clone() {
        let done = bus.commit(decided(number, expected).into()).await?;
        expected = done.sequences[0];
    }
    Ok(numbers
        .flat_map(|number| [format!("finished-{number}"), format!("wave-{number}")])
        .collect())
}

#[tokio::test]
async fn it_takes_acts_in_order_and_without_what_guarded_them() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let bus = nats.connect(SCHEDULER).await?;
    let mut wanted = decide(&bus, 1..21).await?;
    // What its sayer lets end is kept all the same.
    let limited = Write {
        keep: Keep::For(Duration::from_secs(3600)),
        ..event(Kind::RunFinished, "limited")
    };
    bus.commit(vec![limited].into()).await?;
    wanted.push("limited".into());
    assert_eq!(told(&nats, wanted.len()).await?, wanted);
    let held = held(&nats).await?;
    let (_, subject, headers) = &held[0];
    assert_eq!(subject, "ferry.events.team.module._.rollout.finished");
    assert_eq!(headers["Nats-Msg-Id"], "finished-1");
    assert_eq!(headers["Content-Type"], "application/cloudevents+json");
    assert!(headers["Nats-Stream-Source"].starts_with("FERRY 2 "));
    Ok(())
}

/// Three servers hold three copies: whoever leads either stream may die.
#[tokio::test]
async fn it_takes_acts_on_a_cluster_whose_leaders_die() -> Result<()> {
    let users = Users::generate();
    let dir = tempfile::tempdir()?;
    let mut ports = Vec::new();
    for _ in 0..3 {
        ports.push((ferry_ports::port()?, ferry_ports::port()?));
    }
    let routes: Vec<String> = ports
        .iter()
        .map(|(_, cluster)| format!("\"nats://127.0.0.1:{cluster}\""))
        .collect();
    let starts = ports.iter().zip(1..).map(|((port, cluster), number)| {
        let name = format!("nats-{number}");
        let extra = format!(
            "{}cluster {{\n  name: ferry\n  listen: \"127.0.0.1:{cluster}\"\n  routes: [{}]\n}}\n",
            authorization(&users),
            routes.join(", ")
        );
        let dir = dir.path().join(&name);
        async move { NatsServer::start_as(&name, &dir, *port, &extra).await }
    });
    let mut servers = futures::future::try_join_all(starts).await?;
    let urls: Vec<String> = servers.iter().map(NatsServer::url).collect();
    let connect = async |user: User| -> Result<JetStream> {
        let bus = JetStream::connect(ConnectOptions {
            url: urls.join(","),
            user,
            seed: Some(users.seed(user).to_owned()),
            name: "suite".into(),
        })
        .await?;
        bus.ready(real::DEADLINE).await?;
        Ok(bus)
    };
    let (admin, bus, gateway) = (
        connect(User::Operator).await?,
        connect(SCHEDULER).await?,
        connect(User::Service(Service::Gateway)).await?,
    );
    let limits = StreamLimits {
        replicas: 3,
        ..StreamLimits::default()
    };
    // The three have to find each other first.
    until("the streams", async || {
        Ok(provision(&admin, &limits).await.ok())
    })
    .await?;
    let told = async |wanted: &[String]| -> Result<()> {
        let took = std::time::Instant::now();
        let told = ferry_rig::wait::until("the acts", SOURCED_WITHIN, || async {
            let all = vec![subject::ALL_EVENTS.to_owned()];
            let Ok(past) = gateway.past(subject::AUDIT, all, Start::First).await else {
                return Ok(None);
            };
            let told: Vec<String> = past
                .filter_map(async |act| String::from_utf8(act.ok()?.payload.to_vec()).ok())
                .collect()
                .await;
            Ok((told.len() >= wanted.len()).then_some(told))
        });
        assert_eq!(told.await?, wanted);
        println!("{} acts after {:?}", wanted.len(), took.elapsed());
        Ok(())
    };
    let mut wanted = decide(&bus, 1..11).await?;
    told(&wanted).await?;
    for (round, stream) in [subject::AUDIT, subject::STREAM].into_iter().enumerate() {
        let leader = until("a leader", async || {
            let user = User::Operator;
            let client = async_nats::ConnectOptions::with_nkey(users.seed(user).to_owned())
                .custom_inbox_prefix(user.inbox_prefix())
                .connect(
                    urls.iter()
                        .map(|url| Ok(url.parse()?))
                        .collect::<Result<Vec<async_nats::ServerAddr>>>()?,
                )
                .await?;
            let found = async_nats::jetstream::new(client).get_stream(stream).await;
            let cluster = found
                .ok()
                .and_then(|stream| stream.cached_info().cluster.clone());
            Ok(cluster.and_then(|cluster| cluster.leader))
        })
        .await?;
        let dying = servers.iter_mut().find(|server| server.name() == leader);
        let dying = dying.context("the leader is one of them")?;
        dying.kill().await?;
        let first = 11 + 10 * round as u64;
        for number in first..first + 10 {
            // Without a leader nothing is taken, or nothing answered: what was not is said again.
            let said = until("a decision", async || {
                match decide(&bus, number..number + 1).await {
                    Ok(_) => Ok(Some(())),
                    // It was taken, or is on its way only: the state tells.
                    Err(error) if matches!(error.downcast_ref(), Some(CommitError::Duplicate)) => {
                        let state = bus.read("ferry.state.scheduler.a").await?;
                        let stored = state.is_some_and(|it| it.payload == number.to_string());
                        Ok(stored.then_some(()))
                    }
                    Err(_) => Ok(None),
                }
            });
            said.await?;
            wanted.extend([format!("finished-{number}"), format!("wave-{number}")]);
        }
        dying.restart().await?;
        told(&wanted).await?;
    }
    Ok(())
}

/// A bus that is older than the stream of acts: it gets what is still there, once, however often it is provisioned.
#[tokio::test]
async fn it_begins_with_what_is_still_there_and_takes_nothing_twice() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let context = nats.context().await?;
    context.delete_stream(subject::AUDIT).await?;
    let bus = nats.connect(SCHEDULER).await?;
    let mut wanted = decide(&bus, 1..4).await?;
    let admin = nats.connect(User::Operator).await?;
    for _ in 0..2 {
        provision(&admin, &nats.limits).await?;
        assert_eq!(told(&nats, wanted.len()).await?, wanted);
    }
    // As an older version made it: compressed, with fewer filters. Beyond the window nothing but the source tells what it has.
    let stream = context.get_stream(subject::AUDIT).await?;
    let mut config: Config = stream.cached_info().config.clone();
    let source = &mut config.sources.as_mut().context("a source")?[0];
    source.subject_transforms.pop();
    source.subject_transforms.remove(0);
    config.compression = Some(Compression::S2);
    config.duplicate_window = Duration::from_millis(100);
    let shortly = StreamLimits {
        dedupe_window: Duration::from_millis(100),
        ..nats.limits.clone()
    };
    context.delete_stream(subject::AUDIT).await?;
    context.create_stream(config).await?;
    assert_eq!(told(&nats, wanted.len()).await?, wanted);
    provision(&admin, &shortly).await?;
    wanted.extend(decide(&bus, 4..7).await?);
    assert_eq!(told(&nats, wanted.len()).await?, wanted);
    let stream = context.get_stream(subject::AUDIT).await?;
    let compression = &stream.cached_info().config.compression;
    assert!(!matches!(compression, Some(Compression::S2)));
    // A limit of the server's operator stays.
    let mut config = context
        .get_stream(subject::AUDIT)
        .await?
        .cached_info()
        .config
        .clone();
    config.max_age = Duration::from_secs(1_000_000);
    context.update_stream(config).await?;
    provision(&admin, &shortly).await?;
    let stream = context.get_stream(subject::AUDIT).await?;
    let config = &stream.cached_info().config;
    assert_eq!(config.max_age, Duration::from_secs(1_000_000));
    assert!(config.deny_delete && config.deny_purge);
    Ok(())
}

/// `FERRY` comes from a backup, the stream of acts does not: it keeps what it has, and takes what comes.
#[tokio::test]
async fn it_goes_on_when_the_stream_is_put_back() -> Result<()> {
    let mut nats = Nats::start(&StreamLimits::default()).await?;
    let bus = nats.connect(SCHEDULER).await?;
    let mut wanted = decide(&bus, 1..4).await?;
    told(&nats, wanted.len()).await?;
    let ferry = nats.store().join("jetstream/$G/streams/FERRY");
    let copy = tempfile::tempdir()?;
    nats.server.stop().await?;
    real::copy(&ferry, copy.path())?;
    nats.server.restart().await?;
    crate::wait_connected(&bus, true).await?;
    wanted.extend(decide(&bus, 4..7).await?);
    told(&nats, wanted.len()).await?;
    nats.server.stop().await?;
    std::fs::remove_dir_all(&ferry)?;
    real::copy(copy.path(), &ferry)?;
    nats.server.restart().await?;
    crate::wait_connected(&bus, true).await?;
    // Said before anybody noticed: other events with the numbers of those that are gone.
    wanted.extend(decide(&bus, 10..12).await?);
    let admin = nats.connect(User::Operator).await?;
    assert!(audit::goes_on(&admin).await?, "it has to be told");
    assert_eq!(told(&nats, wanted.len()).await?, wanted);
    assert!(!audit::goes_on(&admin).await?, "once");
    wanted.extend(decide(&bus, 12..20).await?);
    assert_eq!(told(&nats, wanted.len()).await?, wanted);
    Ok(())
}
