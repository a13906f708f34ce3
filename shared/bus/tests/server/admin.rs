//! Keys, provisioning, and what the server keeps of it.
//!
//! In: users and limits. Out: streams and consumers as they should be, strangers refused.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream;
use ferry_bus::{
    Bus, BusError, CommitError, ConnectOptions, JetStream, Source, StreamLimits, User, Users,
    authorization, provision,
};
use ferry_events::{Kind, Service};
use ferry_rig::nats::NatsServer;

use crate::{
    SCHEDULER, raw,
    real::{Nats, event, next, state, take, until},
};

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
        limits: StreamLimits::default(),
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
        limits: StreamLimits::default(),
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

/// A deadline that takes the place of one in somebody's hands is no dead letter.
#[tokio::test]
async fn a_deadline_that_is_replaced_in_hand_leaves_no_advisory() -> Result<()> {
    let nats = Nats::start(&StreamLimits::default()).await?;
    let (scheduler, installer) = (
        nats.connect(SCHEDULER).await?,
        nats.connect(User::Service(Service::Installer)).await?,
    );
    let mut timers = installer
        .consume(Service::Installer, Source::Timers)
        .await?;
    let mut in_hand = Vec::new();
    for _ in 0..2 {
        let due = crate::real::now();
        installer.set_timer(Service::Installer, "a", due).await?;
        in_hand.extend(next(&mut timers, 1).await?);
    }
    // One that belongs there, so that it is known when to look.
    let mut work = installer.consume(Service::Installer, Source::Work).await?;
    scheduler
        .commit(vec![event(Kind::TaskRequested, "a")].into())
        .await?;
    next(&mut work, 1).await?[0].ack.term().await?;
    let context = jetstream::new(raw(&nats, User::Operator).await?);
    let dead = context.get_stream("FERRY_DEAD").await?;
    let first = until("the advisory", async || {
        Ok(dead.get_raw_message(1).await.ok())
    })
    .await?;
    assert_eq!(
        first.subject.as_str(),
        "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.FERRY.installer"
    );
    Ok(())
}
