//! The gateway on a real nats-server, under its own user and permissions: the
//! whole API once, and pushes while the server is frozen or killed.

mod common;

use std::sync::Arc;

use common::faulty::Faulty;
use common::*;
use ferry_api::{
    AuditQuery, CloseRequest, CommandState, DeployQuery, EventsQuery, HistoryQuery, LetterState,
    LettersQuery, PushState, RunRequest, RunsQuery, WhyQuery,
};
use ferry_bus::{
    Bus, ConnectOptions, JetStream, LogLine, Source, StreamLimits, User, Users, authorization,
    provision,
};
use ferry_events::body::BuildStarted;
use ferry_events::{Digest, Reason, RunId, Scope, Service, artifact, build, subject};
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
        force: false,
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

    // The server itself keeps what is kept.
    let kept = || async {
        let acts = client.audit(&AuditQuery::default());
        let acts: Vec<_> = acts.map(|act| act.unwrap().kind).collect().await;
        (!acts.is_empty()).then_some(acts)
    };
    assert_eq!(until("the acts", kept).await, ["push.received"]);
    let since = WhyQuery {
        since: Some("2020-01-01T00:00:00Z".parse().unwrap()),
        ..WhyQuery::default()
    };
    let why = client.why("hello", &since).await.unwrap();
    assert_eq!(
        why.story,
        [],
        "a push is told of where it concerns the module"
    );
    let history = client.history("hello", &HistoryQuery::default()).await;
    assert_eq!(history.unwrap().periods, []);

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

/// With the permissions of each: a letter is buried, shown, replayed and closed; so is a message of which
/// only the bus's own advisory tells.
#[tokio::test]
async fn a_dead_letter_is_replayed_by_its_service() {
    let real = Real::start().await;
    let gateway = real.gateway().await;
    let client = gateway.client(ADMIN);
    let builder = real.connect(User::Service(Service::Builder)).await;
    let packaged = |number: u32| {
        let body = artifact::Packaged {
            origin: None,
            own: None,
            rules: Vec::new(),
            run: RunId::of("hello", "main", u64::from(number), "hello"),
            module: "hello".into(),
            digest: Digest::of(b"jar"),
            size: 3,
            commit: None,
            biz: artifact::Biz {
                name: "hello".into(),
                version: "1".into(),
                web_context_path: None,
            },
        };
        let scope = Scope::module(Some("shop"), "hello");
        event(Service::Builder, scope, number, body)
    };

    // A handler that ends a message without a word.
    let slimmer = real.connect(User::Service(Service::Slimmer)).await;
    say(&builder, &packaged(1)).await;
    let mut consumer = slimmer
        .consume(Service::Slimmer, Source::Work)
        .await
        .unwrap();
    let taken = consumer.next(1).await.unwrap().remove(0);
    taken.ack.term().await.unwrap();
    drop(consumer);
    let undelivered = until("the bus's word", || async {
        client
            .letters(&LettersQuery::default())
            .await
            .unwrap()
            .pop()
    })
    .await;
    assert_eq!(undelivered.reason, Reason::Undelivered);
    assert_eq!(undelivered.sequence, taken.sequence);

    let faulty = Faulty::default();
    let settings = ferry_runtime::Settings::default();
    let running = ferry_runtime::run(faulty.clone(), faulty.clone(), Arc::new(slimmer), settings);
    let running = running.await;
    say(&builder, &packaged(2)).await;
    let open = until("the letter", || async {
        let letters = client.letters(&LettersQuery::default()).await.unwrap();
        (letters.len() == 2).then_some(letters)
    })
    .await;
    assert_eq!(open[0].reason, Reason::OurFault);
    assert_eq!(open[0].tries, 5);
    let shown = client.letter(&undelivered.id.to_string()).await.unwrap();
    assert_eq!(shown.payload.unwrap().as_bytes(), packaged(1).encode());

    faulty
        .mended
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let ask = CloseRequest {
        why: "it is mended".into(),
    };
    for letter in &open {
        let id = letter.id.to_string();
        let answer = client.replay_letter(&id, &ask).await.unwrap();
        let settled = until("the command", || async {
            let command = client.command(answer.id).await.unwrap();
            (command.state != CommandState::Waiting).then_some(command)
        })
        .await;
        assert_eq!(settled.stop, None);
    }
    let all = LettersQuery {
        all: true,
        ..LettersQuery::default()
    };
    let closed = client.letters(&all).await.unwrap();
    // The advisory on the message that was buried adds nothing.
    assert_eq!(closed.len(), 2);
    assert!(closed.iter().all(|it| it.state == LetterState::Replayed));
    for number in [1, 2] {
        let key = format!("slim.{}", packaged(number).id);
        let state = builder
            .read(&subject::state(Service::Slimmer, &key))
            .await
            .unwrap()
            .expect("it was handled");
        let stored: serde_json::Value = serde_json::from_slice(&state.payload).unwrap();
        assert_eq!(stored["state"], 1, "once");
    }
    assert!(running.drain().await);
}
