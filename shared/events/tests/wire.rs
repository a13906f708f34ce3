//! The wire: every kind goes there and back, and CDEvents' own reader takes the standard ones.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, Digest, Event, EventId, Kind, PushId, Reason, RunId, Scope, Service, Stop, TaskId,
    Timestamp, artifact, base,
    body::{
        BaseChanged, BaseJoined, BuildQueued, BuildStarted, ServiceDeployed, ServiceRemoved,
        ServiceRolledback, ServiceUpgraded, WaveFinished, WaveStarted,
    },
    build, command,
    envelope::DecodeError,
    push, rollout, run, task, verify,
};
use proptest::prelude::*;
use uuid::Uuid;

fn at() -> Timestamp {
    Timestamp::from_timestamp_millis(1_700_000_000_123).unwrap()
}

fn run_id() -> RunId {
    RunId::of("shop", "main", 1, "cart")
}

fn stop() -> Stop {
    Stop::new(Reason::InstallFailed, "a bean could not be made").on("prod-1")
}

fn release() -> artifact::Release {
    artifact::Release {
        run: run_id(),
        module: "cart".into(),
        commit: Some("c".repeat(40)),
        packaged: Digest::of(b"packaged"),
        biz: artifact::Biz {
            name: "cart".into(),
            version: "1.0.0".into(),
            web_context_path: Some("/cart".into()),
        },
        pools: BTreeMap::from([(
            "prod".to_owned(),
            artifact::Slimmed {
                digest: Digest::of(b"slimmed"),
                version: "1.0.0-cccccccc-0123456789ab".into(),
                size: 10,
                profile: Some(Digest::of(b"profile")),
                left_out: 3,
                kept: 1,
            },
        )]),
    }
}

fn want() -> task::Want {
    task::Want {
        digest: Digest::of(b"slimmed"),
        size: 10,
        version: "1.0.0-x".into(),
        web_context_path: Some("/cart".into()),
    }
}

fn wave(stop: Option<Stop>) -> rollout::Wave {
    rollout::Wave {
        run: run_id(),
        plan: Digest::of(b"plan"),
        module: "cart".into(),
        environment: "prod".into(),
        direction: rollout::Direction::Forward,
        number: 1,
        of: 2,
        bases: vec!["prod-1".into()],
        stop,
    }
}

fn service() -> rollout::Service {
    rollout::Service {
        run: run_id(),
        module: "cart".into(),
        environment: "prod".into(),
        version: "1.0.0-x".into(),
        packaged: Digest::of(b"packaged"),
        before: None,
    }
}

fn seen() -> base::Seen {
    base::Seen {
        base: "prod-1".into(),
        pool: "prod".into(),
        environment: "prod".into(),
        zone: "a".into(),
        modules: vec![base::ModuleOnBase {
            name: "cart".into(),
            version: "1".into(),
            state: "activated".into(),
        }],
        metaspace_used: Some(1),
        metaspace_max: None,
        at: at(),
    }
}

/// One body of every kind.
fn bodies() -> Vec<Body> {
    let push = PushId::of("github", "shop", "1", "refs/heads/main");
    let task = TaskId::of(&Digest::of(b"plan"), "prod-1");
    let plan = rollout::Plan {
        run: run_id(),
        module: "cart".into(),
        environment: "prod".into(),
        direction: rollout::Direction::Back,
        generation: 3,
        configuration: Digest::of(b"configuration"),
        waves: vec![vec![rollout::Step {
            base: "prod-1".into(),
            pool: "prod".into(),
            want: Some(want()),
        }]],
    };
    let build = build::Build {
        run: run_id(),
        module: "cart".into(),
        build: Uuid::from_u128(1),
        commit: "c".repeat(40),
    };
    vec![
        push::Received {
            push,
            forge: "github".into(),
            repository: "shop".into(),
            branch: "main".into(),
            before: None,
            after: "c".repeat(40),
            forced: false,
            author: Some("dev".into()),
            message: Some("Add a cart".into()),
            received_at: at(),
        }
        .into(),
        push::Resolved {
            push,
            repository: "shop".into(),
            branch: "main".into(),
            commit: Some("c".repeat(40)),
            resolution: push::Resolution::Started,
            runs: vec![push::RunOf {
                run: run_id(),
                module: "cart".into(),
            }],
            why: "main moved".into(),
            stop: None,
        }
        .into(),
        push::ChangeMerged {
            run: run_id(),
            module: "cart".into(),
            repository: "shop".into(),
            branch: "main".into(),
            order: 1,
            commit: "c".repeat(40),
            push: Some(push),
            command: None,
            author: None,
            message: None,
            uploaded: false,
        }
        .into(),
        BuildQueued(build.clone()).into(),
        BuildStarted(build).into(),
        build::Finished {
            run: run_id(),
            module: "cart".into(),
            build: Uuid::from_u128(1),
            stop: Some(stop()),
            millis: 3700,
            reused: false,
        }
        .into(),
        artifact::Packaged {
            run: run_id(),
            module: "cart".into(),
            digest: Digest::of(b"packaged"),
            size: 10,
            commit: None,
            biz: release().biz,
        }
        .into(),
        artifact::Published { release: release() }.into(),
        artifact::Refused {
            run: run_id(),
            module: "cart".into(),
            packaged: Digest::of(b"packaged"),
            stop: stop(),
        }
        .into(),
        run::Queued {
            run: run_id(),
            module: "cart".into(),
            kind: run::RunKind::Change,
            environments: vec!["prod".into()],
            repository: "shop".into(),
            branch: "main".into(),
            commit: None,
            author: None,
            message: None,
            push: None,
            command: None,
        }
        .into(),
        run::Started {
            run: run_id(),
            module: "cart".into(),
            uri: "https://ferry.example/runs/1".into(),
        }
        .into(),
        run::Finished {
            run: run_id(),
            module: "cart".into(),
            outcome: run::Outcome::Failure,
            stop: Some(stop()),
            environment: Some("prod".into()),
        }
        .into(),
        rollout::Requested {
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            branch: "main".into(),
            order: 1,
            aim: rollout::Aim::Release(Box::new(release())),
        }
        .into(),
        rollout::Planned {
            id: plan.id(),
            plan,
            version: None,
        }
        .into(),
        rollout::Finished {
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            outcome: rollout::RolloutOutcome::RolledBack,
            live: None,
            stop: Some(stop()),
        }
        .into(),
        WaveStarted(wave(None)).into(),
        WaveFinished(wave(Some(stop()))).into(),
        task::Requested {
            task,
            plan: Digest::of(b"plan"),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            base: "prod-1".into(),
            biz: "cart".into(),
            want: Some(want()),
            restore: None,
        }
        .into(),
        task::Started {
            task,
            plan: Digest::of(b"plan"),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            base: "prod-1".into(),
        }
        .into(),
        task::Finished {
            task,
            plan: Digest::of(b"plan"),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            base: "prod-1".into(),
            running: Some("1".into()),
            revision: 2,
            stop: None,
            steps: vec![task::StepTime {
                step: "install".into(),
                millis: 450,
            }],
        }
        .into(),
        verify::Requested {
            observation: Uuid::from_u128(2),
            task,
            plan: Digest::of(b"plan"),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            base: "prod-1".into(),
            biz: "cart".into(),
            version: Some("1".into()),
            revision: 2,
            probe: Some(verify::Probe {
                path: "/cart/".into(),
                status: 200,
                contains: None,
                timeout_ms: 2000,
                deadline_ms: 20_000,
                interval_ms: 100,
            }),
            soak_ms: 2000,
        }
        .into(),
        verify::Answering {
            observation: Uuid::from_u128(2),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            base: "prod-1".into(),
            version: Some("1".into()),
            answer: Some(verify::Answer {
                status: 200,
                excerpt: "hello".into(),
                millis: 4,
            }),
        }
        .into(),
        verify::Finished {
            observation: Uuid::from_u128(2),
            task,
            plan: Digest::of(b"plan"),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            base: "prod-1".into(),
            revision: 2,
            stop: Some(stop()),
            answer: None,
        }
        .into(),
        ServiceDeployed(service()).into(),
        ServiceUpgraded(service()).into(),
        ServiceRolledback(service()).into(),
        ServiceRemoved(service()).into(),
        BaseJoined(seen()).into(),
        BaseChanged(seen()).into(),
        base::Lost {
            base: "prod-1".into(),
            pool: "prod".into(),
            environment: "prod".into(),
            last_seen: None,
            why: "connection refused".into(),
        }
        .into(),
        base::Drifted {
            base: "prod-1".into(),
            environment: "prod".into(),
            module: "cart".into(),
            wanted: None,
            actual: vec!["1".into()],
        }
        .into(),
        command::Settled {
            command: ferry_events::CommandId(Uuid::from_u128(3)),
            actor: "ops".into(),
            module: "cart".into(),
            run: None,
            stop: Some(stop()),
        }
        .into(),
    ]
}

fn event(body: Body) -> Event {
    Event {
        id: EventId::of("scheduler", "unit.cart.prod", 7, "x", 0),
        source: Service::Scheduler,
        time: at(),
        scope: Scope::module(Some("core"), "cart").within("prod"),
        cause: Some(EventId(Uuid::from_u128(9))),
        body,
    }
}

#[test]
fn every_kind_goes_there_and_back() {
    let kinds: BTreeSet<Kind> = bodies().iter().map(Body::kind).collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "one body of every kind");
    for body in bodies() {
        let event = event(body);
        assert_eq!(Event::decode(&event.encode()).unwrap(), event);
        assert_eq!(
            Kind::of_type(&event.body.kind().type_name()).unwrap().0,
            event.body.kind()
        );
    }
}

#[test]
fn the_reader_of_cdevents_takes_every_standard_kind() {
    for body in bodies()
        .into_iter()
        .filter(|body| body.kind().is_standard())
    {
        let kind = body.kind();
        let event = event(body);
        let cloudevent: cloudevents::Event = serde_json::from_slice(&event.encode()).unwrap();
        let read: cdevents_sdk::CDEvent = cloudevent
            .try_into()
            .unwrap_or_else(|error| panic!("{}: {error}", kind.type_name()));
        assert_eq!(read.ty(), kind.type_name());
        assert_eq!(read.version(), "0.5.1");
        assert!(read.custom_data().is_some());
    }
}

#[test]
fn the_subject_on_the_bus_has_seven_tokens() {
    for body in bodies() {
        let event = event(body);
        let subject = event.bus_subject();
        assert_eq!(subject.split('.').count(), 7, "{subject}");
        assert!(
            subject.starts_with("ferry.events.core.cart.prod."),
            "{subject}"
        );
    }
}

#[test]
fn another_version_is_unknown_and_damage_is_malformed() {
    let text = String::from_utf8(event(bodies().remove(2)).encode()).unwrap();
    let newer = text.replace("change.merged.0.3.0", "change.merged.0.4.0");
    assert!(matches!(
        Event::decode(newer.as_bytes()),
        Err(DecodeError::Unknown(_))
    ));
    let lying = text.replacen("change.merged.0.3.0", "build.queued.0.3.0", 1);
    assert!(matches!(
        Event::decode(lying.as_bytes()),
        Err(DecodeError::Malformed(_))
    ));
    assert!(matches!(
        Event::decode(b"{}"),
        Err(DecodeError::Malformed(_))
    ));
}

#[test]
fn what_a_service_says_someone_may_hear_and_nobody_else_says_it() {
    for service in Service::ALL {
        for kind in service.contract().says {
            let others = Service::ALL
                .iter()
                .filter(|other| other.contract().says.contains(kind))
                .count();
            assert!(
                others == 1 || *kind == Kind::CommandSettled,
                "{}",
                kind.type_name()
            );
        }
    }
    for kind in Kind::ALL {
        let said = Service::ALL
            .iter()
            .any(|service| service.contract().says.contains(kind));
        assert!(
            said || *kind == Kind::ServiceRemoved,
            "nobody says {}",
            kind.type_name()
        );
    }
}

#[test]
fn reasons_have_codes_of_their_own() {
    let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert!(
            ferry_events::name::is_token(reason.code()),
            "{reason} is a token"
        );
        assert!(reason.what().ends_with('.') && reason.next_step().ends_with('.'));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Event::decode(&bytes);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(which in 0usize..32, at in any::<usize>(), byte in any::<u8>()) {
        let mut bytes = event(bodies().swap_remove(which % 32)).encode();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Event::decode(&bytes);
    }
}
