//! Streams over HTTP: events and logs, taken up again where they broke; on the
//! bus in memory with the gateway's own permissions.

mod common;

use common::*;
use ferry_api::{EventsQuery, RunsQuery};
use ferry_bus::{Bus as _, LogLine, MemoryBus, User};
use ferry_events::body::{BuildQueued, BuildStarted, ServiceDeployed};
use ferry_events::{Digest, RunId, Scope, Service, build, rollout};
use futures::StreamExt as _;
use uuid::Uuid;

fn build_of(run: RunId, module: &str) -> build::Build {
    build::Build {
        run,
        module: module.into(),
        build: Uuid::nil(),
        commit: "5".repeat(40),
    }
}

#[tokio::test]
async fn events_are_streamed_filtered_and_taken_up_again() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let client = gateway.client(ADMIN);
    let scope = |module: &str| Scope::module(Some("shop"), module);
    let runs: Vec<RunId> = (1..=3)
        .map(|n| RunId::of("hello", "main", n, "hello"))
        .collect();
    let mut second = 0;
    let mut queued = |run, module: &str| {
        second += 1;
        event(
            Service::Builder,
            scope(module),
            second,
            BuildQueued(build_of(run, module)),
        )
    };
    let all = EventsQuery {
        after: Some(0),
        kind: Some("build".into()),
        ..EventsQuery::default()
    };
    let hello = EventsQuery {
        module: Some("hello".into()),
        ..all.clone()
    };
    say(&bus, &queued(runs[0], "hello")).await;
    say(&bus, &queued(runs[1], "cloud")).await;
    let mut stream = Box::pin(client.events(&hello));
    let first = stream.next().await.unwrap().unwrap();
    assert_eq!(
        (first.kind.as_str(), first.decode().unwrap().run()),
        ("build.queued", Some(runs[0]))
    );
    // What comes while it listens.
    say(&bus, &queued(runs[2], "hello")).await;
    let second_one = stream.next().await.unwrap().unwrap();
    assert_eq!(second_one.decode().unwrap().run(), Some(runs[2]));

    // Taken up after the first, up to now.
    let rest = EventsQuery {
        after: Some(first.sequence),
        once: true,
        ..all.clone()
    };
    until("the views to have all", || async {
        (client.runs(&RunsQuery::default()).await.unwrap().len() == 3).then_some(())
    })
    .await;
    let rest: Vec<_> = client
        .events(&rest)
        .map(|it| it.unwrap().sequence)
        .collect()
        .await;
    assert_eq!(rest, [first.sequence + 1, second_one.sequence]);
    let header = gateway
        .http
        .get(format!(
            "{}/events?once=true&module=hello&type=build.queued",
            gateway.url
        ))
        .bearer_auth(ADMIN)
        .header("Last-Event-ID", first.sequence.to_string());
    let text = header.send().await.unwrap().text().await.unwrap();
    assert_eq!(text.matches("event: build.queued").count(), 1, "{text}");
    assert!(text.ends_with("event: end\ndata: end\n\n"), "{text}");
    // One run's, for a token that sees another module: nothing, and it ends.
    let one = EventsQuery {
        run: Some(runs[0]),
        once: true,
        ..all.clone()
    };
    assert_eq!(client.events(&one).count().await, 1);
    assert_eq!(gateway.client(OTHER).events(&one).count().await, 0);
    // An end that is there already, and types that are none.
    let none = EventsQuery {
        after: Some(u64::MAX),
        once: true,
        ..EventsQuery::default()
    };
    assert_eq!(client.events(&none).count().await, 0);
    let wrong = EventsQuery {
        kind: Some("build.quewed".into()),
        ..EventsQuery::default()
    };
    let error = Box::pin(client.events(&wrong))
        .next()
        .await
        .unwrap()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no event type \"build.quewed\"") && error.contains("build.queued"),
        "{error}"
    );
}

#[tokio::test]
async fn a_stream_is_taken_up_where_a_restart_broke_it() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let address = gateway.url.trim_start_matches("http://").to_owned();
    let run = RunId::of("hello", "main", 1, "hello");
    let said = |second| {
        let scope = Scope::module(Some("shop"), "hello");
        event(
            Service::Builder,
            scope,
            second,
            BuildQueued(build_of(run, "hello")),
        )
    };
    say(&bus, &said(1)).await;
    let client = gateway.client(ADMIN);
    let query = EventsQuery {
        after: Some(0),
        ..EventsQuery::default()
    };
    let mut stream = Box::pin(client.events(&query));
    let first = stream.next().await.unwrap().unwrap();
    let data = gateway.stop().await;
    say(&bus, &said(2)).await;

    let again = std::net::TcpListener::bind(&address).unwrap();
    again.set_nonblocking(true).unwrap();
    let drain = tokio_util::sync::CancellationToken::new();
    let parts = ferry_gateway::Parts {
        tracer: ferry_runtime::Tracer::default(),
        bus: gateway_of(&bus),
        clock: ferry_runtime::Clock::wall(),
        data: data.path().to_owned(),
        secrets: data.path().to_owned(),
        listener: Some(tokio::net::TcpListener::from_std(again).unwrap()),
        health: None,
    };
    let task = tokio::spawn(ferry_gateway::run(parts, drain.clone()));
    let second = tokio::time::timeout(LIMIT, stream.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(second.sequence, first.sequence + 1);
    drop(stream);
    drain.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_log_is_read_and_followed_to_its_end() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let client = gateway.client(ADMIN);
    let run = RunId::of("hello", "main", 1, "hello");
    let scope = || Scope::module(Some("shop"), "hello");
    say(
        &bus,
        &event(
            Service::Builder,
            scope(),
            1,
            BuildStarted(build_of(run, "hello")),
        ),
    )
    .await;
    until("the run", || async {
        client.run(&run.to_string()).await.ok()
    })
    .await;
    let empty = client.log(run).await.unwrap();
    assert!(empty.lines.is_empty() && !empty.complete);

    let write = async |number: u64| {
        let line = LogLine {
            number,
            text: format!("line {number}"),
        };
        ferry_bus::Bus::log(&bus, run, line).await.unwrap();
    };
    write(1).await;
    write(2).await;
    let mut followed = Box::pin(client.follow_log(run));
    assert_eq!(followed.next().await.unwrap().unwrap().text, "line 1");
    assert_eq!(followed.next().await.unwrap().unwrap().text, "line 2");
    write(3).await;
    assert_eq!(followed.next().await.unwrap().unwrap().text, "line 3");
    let finished = build::Finished {
        run,
        module: "hello".into(),
        build: Uuid::nil(),
        stop: None,
        millis: 10,
        reused: false,
    };
    say(&bus, &event(Service::Builder, scope(), 2, finished)).await;
    assert!(
        tokio::time::timeout(LIMIT, followed.next())
            .await
            .unwrap()
            .is_none()
    );
    let whole = client.log(run).await.unwrap();
    assert_eq!((whole.lines.len(), whole.complete), (3, true));
    assert_eq!(whole.lines[2].number, 3);
    let unknown = client
        .log(RunId::of("hello", "main", 9, "hello"))
        .await
        .unwrap_err();
    assert_eq!(unknown.problem().unwrap().code, "unknown-run");
}

#[tokio::test]
async fn what_is_live_is_kept_longer_than_its_events() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let service = rollout::Service {
        run: RunId::of("hello", "main", 1, "hello"),
        module: "hello".into(),
        environment: "pre".into(),
        version: "1.0.0-59b20b8d-0123456789ab".into(),
        packaged: Digest::of(b"packaged"),
        before: None,
    };
    let scope = Scope::module(Some("shop"), "hello").within("pre");
    say(
        &bus,
        &event(
            Service::Scheduler,
            scope,
            1,
            ServiceDeployed(service.clone()),
        ),
    )
    .await;
    let record = until("the record", || async {
        bus.read("ferry.state.gateway.live.hello.pre")
            .await
            .unwrap()
    })
    .await;
    let data = gateway.stop().await;

    // Another bus has the record, and none of the events.
    let later = MemoryBus::default();
    configure(&later.as_user(User::Operator), &toml()).await;
    let subject = "ferry.state.gateway.live.hello.pre".to_owned();
    let write = ferry_bus::Write::state(subject, record.payload, 0, ferry_bus::Keep::Forever);
    later.commit(vec![write].into()).await.unwrap();
    let gateway = Gateway::start_in(gateway_of(&later), data).await;
    gateway.ready().await;
    let module = gateway.client(VIEWER).module("hello").await.unwrap();
    assert_eq!(module.environments[0].version, Some(service.version));
}
