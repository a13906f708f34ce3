//! The gateway on a real nats-server, under its own user and permissions: the
//! whole API once, and pushes while the server is frozen or killed.

mod common;

use std::sync::Arc;

use common::*;
use ferry_api::{DeployQuery, EventsQuery, PushState, RunRequest, RunsQuery};
use ferry_bus::{
    Bus, ConnectOptions, JetStream, LogLine, StreamLimits, User, Users, authorization, provision,
};
use ferry_events::body::BuildStarted;
use ferry_events::{RunId, Scope, Service, build};
use ferry_rig::nats::NatsServer;
use futures::StreamExt as _;
use uuid::Uuid;

struct Real {
    nats: NatsServer,
    users: Users,
}

impl Real {
    async fn start() -> Self {
        let users = Users::generate();
        let nats = NatsServer::start_with(&authorization(&users))
            .await
            .unwrap();
        let real = Self { nats, users };
        let operator = real.connect(User::Operator).await;
        provision(&operator, &StreamLimits::default())
            .await
            .unwrap();
        configure(&operator, &toml()).await;
        real
    }

    async fn connect(&self, user: User) -> JetStream {
        let options = ConnectOptions {
            url: self.nats.url(),
            user,
            seed: Some(self.users.seed(user).to_owned()),
            name: user.name().to_owned(),
        };
        JetStream::connect(options).await.unwrap()
    }

    async fn gateway(&self) -> Gateway {
        let bus = self.connect(User::Service(Service::Gateway)).await;
        let gateway = Gateway::start_in(Arc::new(bus), folder()).await;
        gateway.ready().await;
        gateway
    }
}

fn pushed(digit: char) -> Vec<u8> {
    let text = String::from_utf8(fixture("github-push")).unwrap();
    text.replace(
        "59b20b8d5c6ff8d09518216e87bd35deff2bb8c6",
        &digit.to_string().repeat(40),
    )
    .into_bytes()
}

/// The heads of all pushes on the bus, in their order.
async fn heads(gateway: &Gateway) -> Vec<char> {
    let query = EventsQuery {
        kind: Some("push.received".into()),
        after: Some(0),
        once: true,
        ..EventsQuery::default()
    };
    let events = gateway.client(ADMIN).events(&query);
    events
        .map(|event| match event.unwrap().decode().unwrap().body {
            ferry_events::Body::PushReceived(it) => it.after.chars().next().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
        .await
}

#[tokio::test]
async fn everything_works_with_the_gateways_own_permissions() {
    let real = Real::start().await;
    let gateway = real.gateway().await;
    let client = gateway.client(ADMIN);
    for _ in 0..2 {
        assert_eq!(gateway.github("d-1", &pushed('1')).await.status, 202);
    }
    assert_eq!(heads(&gateway).await, ['1']);

    let ask = RunRequest {
        commit: "main".into(),
        branch: None,
        why: None,
    };
    let command = client.run_commit("hello", &ask).await.unwrap();
    assert_eq!(client.command(command.id).await.unwrap().actor, "admin");

    let manifest = b"Manifest-Version: 1.0\r\nArk-Biz-Name: hello\r\nArk-Biz-Version: 1.0.0\r\nMain-Class: acme.Hello\r\n\r\n";
    let mut jar = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    jar.start_file(
        "META-INF/MANIFEST.MF",
        zip::write::SimpleFileOptions::default(),
    )
    .unwrap();
    std::io::Write::write_all(&mut jar, manifest).unwrap();
    let jar = jar.finish().unwrap().into_inner();
    let size = jar.len() as u64;
    client
        .deploy("hello", jar, size, &DeployQuery::default())
        .await
        .unwrap();

    let builder = real.connect(User::Service(Service::Builder)).await;
    let run = RunId::of("hello", "main", 1, "hello");
    let started = build::Build {
        run,
        module: "hello".into(),
        build: Uuid::nil(),
        commit: "1".repeat(40),
    };
    let scope = Scope::module(Some("shop"), "hello");
    say(
        &builder,
        &event(Service::Builder, scope, 1, BuildStarted(started)),
    )
    .await;
    builder
        .log(
            run,
            LogLine {
                number: 1,
                text: "[INFO] Scanning".into(),
            },
        )
        .await
        .unwrap();
    until("the run", || async {
        client.runs(&RunsQuery::default()).await.unwrap().pop()
    })
    .await;
    assert_eq!(client.log(run).await.unwrap().lines.len(), 1);
    let line = Box::pin(client.follow_log(run))
        .next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(line.text, "[INFO] Scanning");

    for verb in ["run", "deploy"] {
        let last = builder
            .read(&format!("ferry.commands.builder.{verb}"))
            .await
            .unwrap();
        assert!(last.is_some(), "{verb}");
    }
}

#[tokio::test]
async fn a_frozen_server_costs_no_push() {
    let real = Real::start().await;
    let gateway = real.gateway().await;
    assert_eq!(gateway.github("d-1", &pushed('1')).await.status, 202);
    real.nats.freeze().unwrap();
    let answer = gateway.github("d-2", &pushed('2')).await;
    assert_eq!(answer.status, 202, "{:?}", answer.body);
    assert!(
        answer.body["why"].as_str().unwrap().contains("inbox"),
        "{:?}",
        answer.body
    );
    let push = answer.body["push"].as_str().unwrap().parse().unwrap();
    let view = gateway.client(ADMIN).push(push).await.unwrap();
    assert_eq!(view.state, PushState::Inbox);
    assert_eq!(gateway.github("d-3", &pushed('3')).await.status, 202);
    // What was sent to the frozen server may arrive there after all: it is the
    // same push.
    real.nats.thaw().unwrap();
    until("all pushes", || async {
        (heads(&gateway).await.len() == 3).then_some(())
    })
    .await;
    gateway.ready().await;
    assert_eq!(heads(&gateway).await, ['1', '2', '3']);
}

#[tokio::test]
async fn a_killed_server_costs_no_push() {
    let mut real = Real::start().await;
    let gateway = real.gateway().await;
    for round in 0..3_u32 {
        let digits: Vec<char> = (0..3)
            .map(|n| char::from_digit(round * 3 + n + 1, 16).unwrap())
            .collect();
        assert_eq!(
            gateway
                .github(&format!("d-{}", digits[0]), &pushed(digits[0]))
                .await
                .status,
            202
        );
        real.nats.kill().await.unwrap();
        assert_eq!(
            gateway
                .github(&format!("d-{}", digits[1]), &pushed(digits[1]))
                .await
                .status,
            202
        );
        assert_eq!(
            gateway
                .github(&format!("d-{}", digits[2]), &pushed(digits[2]))
                .await
                .status,
            202
        );
        real.nats.restart().await.unwrap();
        gateway.ready().await;
    }
    until("all pushes", || async {
        (heads(&gateway).await.len() == 9).then_some(())
    })
    .await;
    let expected: Vec<char> = ('1'..='9').collect();
    assert_eq!(heads(&gateway).await, expected);
}
