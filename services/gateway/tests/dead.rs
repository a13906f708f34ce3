//! Dead letters over HTTP: who may see and close which; on the bus in memory.

mod common;

use common::*;
use ferry_api::{CloseRequest, LetterState, LettersQuery};
use ferry_bus::{Bus, DeadLetter, MemoryBus, User};
use ferry_events::{
    Command, CommandId, LetterId, Reason, RunId, Scope, Service, Verb, artifact,
    body::LetterDropped, letter::Closed, subject,
};

fn packaged(module: &str, sequence: u64) -> DeadLetter {
    let body = artifact::Packaged {
        origin: None,
        own: None,
        rules: Vec::new(),
        run: RunId::of("shop", "main", 1, module),
        module: module.into(),
        digest: ferry_events::Digest::of(b"jar"),
        size: 3,
        commit: None,
        biz: artifact::Biz {
            name: module.into(),
            version: "1".into(),
            web_context_path: None,
        },
    };
    let event = event(Service::Builder, Scope::module(None, module), 1, body);
    letter(
        &event.bus_subject(),
        &String::from_utf8(event.encode()).unwrap(),
        sequence,
    )
}

fn letter(subject: &str, payload: &str, sequence: u64) -> DeadLetter {
    DeadLetter {
        id: LetterId::of("slimmer", subject::STREAM, sequence),
        service: Service::Slimmer,
        reason: Reason::OurFault,
        errors: vec!["outer".into(), "inner".into()],
        tries: 5,
        subject: subject.into(),
        stream: subject::STREAM.into(),
        sequence,
        payload: payload.into(),
        whole: true,
        first_at: "2025-06-01T09:30:01Z".parse().unwrap(),
        at: "2025-06-01T09:30:09Z".parse().unwrap(),
    }
}

fn close() -> CloseRequest {
    CloseRequest {
        why: "the slimmer is mended".into(),
    }
}

fn status(error: &ferry_api::ClientError) -> u16 {
    error.problem().expect("a refusal").status
}

#[tokio::test]
async fn letters_are_seen_and_closed_by_whom_they_concern() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let slimmer = bus.as_user(User::Service(Service::Slimmer));
    let hello = packaged("hello", 7);
    let other = packaged("other-1", 8);
    let mut broken = letter("ferry.events._._._.artifact.packaged", "{", 9);
    broken.reason = Reason::Malformed;
    for letter in [&hello, &other, &broken] {
        slimmer.bury(letter, false).await.unwrap();
    }
    let client = gateway.client(ADMIN);
    let all = until("the letters", || async {
        let letters = client.letters(&LettersQuery::default()).await.unwrap();
        (letters.len() == 3).then_some(letters)
    })
    .await;
    let ids: Vec<LetterId> = all.iter().map(|letter| letter.id).collect();
    assert_eq!(ids, [broken.id, other.id, hello.id], "newest first");
    let first = &all[2];
    assert_eq!(first.module.as_deref(), Some("hello"));
    assert_eq!(first.run, Some(RunId::of("shop", "main", 1, "hello")));
    assert_eq!(first.error.as_deref(), Some("outer"));

    let only = |query: LettersQuery| {
        let client = client.clone();
        async move {
            let letters = client.letters(&query).await.unwrap();
            letters.into_iter().map(|it| it.id).collect::<Vec<_>>()
        }
    };
    let by_module = LettersQuery {
        module: Some("hello".into()),
        ..LettersQuery::default()
    };
    assert_eq!(only(by_module).await, [hello.id]);
    let by_reason = LettersQuery {
        reason: Some(Reason::Malformed),
        ..LettersQuery::default()
    };
    assert_eq!(only(by_reason).await, [broken.id]);
    let by_service = LettersQuery {
        service: Some(Service::Builder),
        ..LettersQuery::default()
    };
    assert_eq!(only(by_service).await, []);

    let whole = client.letter(&hello.id.to_string()[..8]).await.unwrap();
    assert_eq!(whole.errors, ["outer", "inner"]);
    assert_eq!(whole.payload.as_deref(), Some(hello.payload.as_str()));

    // A team sees its own; what is about no module is for whoever sees all.
    let team = gateway.client(OTHER);
    let seen = team.letters(&LettersQuery::default()).await.unwrap();
    assert_eq!(seen.iter().map(|it| it.id).collect::<Vec<_>>(), [other.id]);
    let hidden = team.letter(&hello.id.to_string()).await.unwrap_err();
    assert_eq!(status(&hidden), 404);
    let id = other.id.to_string();
    assert!(team.replay_letter(&id, &close()).await.is_ok());
    // Whoever operates in pre alone cannot close what leads to prod too.
    let viewer = gateway.client(VIEWER);
    let id = hello.id.to_string();
    let refused = viewer.drop_letter(&id, &close()).await.unwrap_err();
    assert_eq!(status(&refused), 403);
    let nothing = CloseRequest { why: " ".into() };
    let refused = client.drop_letter(&id, &nothing).await.unwrap_err();
    assert_eq!(status(&refused), 400);
    gateway.stop().await;
}

#[tokio::test]
async fn a_wish_goes_to_the_service_whose_letter_it_is() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &toml()).await;
    let slimmer = bus.as_user(User::Service(Service::Slimmer));
    slimmer.bury(&packaged("cloud", 6), false).await.unwrap();
    let hello = packaged("hello", 7);
    slimmer.bury(&hello, false).await.unwrap();
    let client = gateway.client(ADMIN);
    let id = hello.id.to_string();
    until("the letter", || async { client.letter(&id).await.ok() }).await;
    let answer = client.replay_letter(&id, &close()).await.unwrap();
    let record = bus
        .read("ferry.commands.slimmer.replay")
        .await
        .unwrap()
        .expect("a command");
    let command: Command = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!((command.id, command.actor.as_str()), (answer.id, "admin"));
    assert_eq!(command.why.as_deref(), Some("the slimmer is mended"));
    let Verb::Replay(letter) = command.verb else {
        panic!("another verb")
    };
    assert_eq!(
        (letter.letter, letter.service),
        (hello.id, Service::Slimmer)
    );
    assert_eq!(letter.sequence, 2, "where it stands on FERRY_DEAD");

    let closed = Closed {
        letter: hello.id,
        service: Service::Slimmer,
        subject: hello.subject.clone(),
        reason: hello.reason,
        command: CommandId(uuid::Uuid::from_u128(1)),
        actor: "ops".into(),
        why: Some("the repository is gone".into()),
        run: None,
    };
    let scope = Scope::module(None, "hello");
    say(
        &slimmer,
        &event(Service::Slimmer, scope, 1, LetterDropped(closed)),
    )
    .await;
    let query = LettersQuery::default();
    until("the letter to be closed", || async {
        let open = client.letters(&query).await.unwrap();
        (open.len() == 1).then_some(())
    })
    .await;
    let all = LettersQuery { all: true, ..query };
    let all = client.letters(&all).await.unwrap();
    assert_eq!(all[0].state, LetterState::Dropped);
    let end = all[0].end.as_ref().expect("an end");
    assert_eq!(end.actor, "ops");
    assert_eq!(end.why.as_deref(), Some("the repository is gone"));
    gateway.stop().await;
}
