//! One event of every kind, for whoever tests what goes over the wire.
//!
//! In: nothing. Out: bodies.

use std::collections::BTreeMap;

use ferry_events::{
    Body, Digest, PushId, Reason, RunId, SourceError, Stop, TaskId, Timestamp, artifact, base,
    body::{
        BaseChanged, BaseJoined, BuildQueued, BuildStarted, LetterDropped, LetterReplayed,
        ServiceDeployed, ServiceRolledback, ServiceUpgraded, WaveFinished, WaveStarted,
    },
    build, command, gate, joint, letter, line, push, restart, rollout, run, task, verify, work,
};
use uuid::Uuid;

/// A moment.
pub fn at() -> Timestamp {
    Timestamp::from_timestamp_millis(1_700_000_000_123).unwrap()
}

/// A run.
pub fn run_id() -> RunId {
    RunId::of("shop", "main", 1, "cart")
}

fn stop() -> Stop {
    Stop::new(Reason::InstallFailed, "a bean could not be made").on("prod-1")
}

fn does_not_compile() -> Stop {
    let error = SourceError::new("greeting/Hi.java", (4, 23), "';' expected");
    Stop::of_sources(Reason::DoesNotCompile, vec![error])
}

fn a_joint() -> joint::Joint {
    joint::Joint {
        id: joint::Joint::id_of(
            ferry_events::PushId::of("github", "shop", "a", "main"),
            "shop",
        ),
        name: "shop".into(),
        members: vec![joint::Member {
            run: run_id(),
            module: "cart".into(),
            after: vec!["prices".into()],
            environments: vec!["pre".into(), "prod".into()],
        }],
        environments: vec!["pre".into(), "prod".into()],
        wait_ms: 60_000,
    }
}

fn release() -> artifact::Release {
    artifact::Release {
        origin: None,
        own: Some(artifact::Own {
            keys: vec!["goals".into(), "soak".into()],
            soak_ms: Some(5_000),
            slim: Some(artifact::Slim {
                compatible: true,
                shake: false,
            }),
            probe: None,
        }),
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
                proof: Some(artifact::Proof { gaps: 2 }),
                report: Some(Digest::of(b"report")),
                since: Some(artifact::Since {
                    version: "1.0.0-bbbbbbbb-0123456789ab".into(),
                    bytes: 3 << 20,
                    libraries: vec![artifact::LibraryChange {
                        entry: "lib/money-2.1.0.jar".into(),
                        change: artifact::Change::New,
                        bytes: 3 << 20,
                    }],
                    more: 1,
                }),
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
        metaspace_committed: None,
        metaspace_max: None,
        at: at(),
        revisions: [("cart".to_owned(), 3)].into(),
        sighting: 7,
    }
}

fn probe() -> verify::Probe {
    verify::Probe {
        path: "/cart/".into(),
        status: 200,
        contains: None,
        timeout_ms: 2000,
        deadline_ms: 20_000,
        interval_ms: 100,
    }
}

fn metric() -> gate::Ask {
    gate::Ask::Metric {
        url: "http://prometheus.example".into(),
        query: "sum(rate(errors{module=\"cart\"}[1m]))".into(),
        min: None,
        max: Some("0.01".into()),
        interval_ms: 10_000,
        count: 3,
    }
}

fn turn() -> restart::Turn {
    restart::Turn {
        number: 3,
        base: "prod-1".into(),
        pool: "prod".into(),
        environment: "prod".into(),
    }
}

/// One body of every kind.
pub fn bodies() -> Vec<Body> {
    let push = PushId::of("github", "shop", "1", "refs/heads/main");
    let task = TaskId::of(&Digest::of(b"plan"), "prod-1");
    let plan = rollout::Plan {
        run: run_id(),
        module: "cart".into(),
        environment: "prod".into(),
        direction: rollout::Direction::Back,
        generation: 3,
        configuration: Digest::of(b"configuration"),
        wants: BTreeMap::from([("prod".to_owned(), want())]),
        restores: BTreeMap::new(),
        judge: rollout::Judge {
            own: vec!["soak".into()],
            probe: Some(probe()),
            soak_ms: 2000,
        },
        limits: rollout::Limits {
            zones: BTreeMap::from([(
                "a".to_owned(),
                rollout::Zone {
                    bases: 3,
                    max_unavailable: 2,
                    min_available: 1,
                },
            )]),
            canary: 1,
            ..rollout::Limits::default()
        },
        gates: vec![gate::Gate {
            name: "metric errors".into(),
            at: vec![gate::Place::Wave, gate::Place::End],
            deadline_ms: 300_000,
            ask: metric(),
        }],
        waves: vec![vec![rollout::Step {
            base: "prod-1".into(),
            pool: "prod".into(),
            zone: "a".into(),
        }]],
        left_out: vec![rollout::LeftOut {
            step: rollout::Step {
                base: "prod-2".into(),
                pool: "prod".into(),
                zone: "a".into(),
            },
            why: stop(),
        }],
    };
    let held = line::Stretch::Base {
        base: "prod-2".into(),
        environment: "prod".into(),
    };
    let gate_id = gate::gate_id(&plan.id(), gate::Point::After(1), "metric errors");
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
            joint: None,
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
            force: false,
        }
        .into(),
        BuildQueued(build.clone()).into(),
        BuildStarted(build).into(),
        build::Finished {
            run: run_id(),
            module: "cart".into(),
            build: Uuid::from_u128(1),
            stop: Some(does_not_compile()),
            millis: 3700,
            reused: false,
        }
        .into(),
        artifact::Packaged {
            origin: None,
            run: run_id(),
            module: "cart".into(),
            digest: Digest::of(b"packaged"),
            size: 10,
            commit: None,
            biz: release().biz,
            own: release().own,
            rules: vec![artifact::RulesFile {
                name: "conf/ark/rules.txt".into(),
                text: Some("excludes=acme:money".into()),
            }],
        }
        .into(),
        artifact::Published { release: release() }.into(),
        artifact::Refused {
            run: run_id(),
            module: "cart".into(),
            packaged: Digest::of(b"packaged"),
            stop: stop(),
            pool: Some("prod".into()),
            report: Some(Digest::of(b"report")),
        }
        .into(),
        artifact::Profiled {
            run: run_id(),
            module: "shop-base".into(),
            commit: Some("c".repeat(40)),
            packaged: Digest::of(b"packaged"),
            profile: Digest::of(b"profile"),
            stored: Digest::of(b"profile.json"),
            libraries: 113,
            classes: 22_500,
            report: Some(Digest::of(b"report")),
            classes_gone: 2,
            members_gone: 5,
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
            joint: None,
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            branch: "main".into(),
            order: 1,
            aim: rollout::Aim::Release(Box::new(release())),
            author: Some("dev".into()),
            force: false,
            passed: Vec::new(),
        }
        .into(),
        rollout::Planned {
            id: plan.id(),
            plan: plan.clone(),
            version: None,
            because: Some(stop()),
        }
        .into(),
        rollout::Finished {
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            outcome: rollout::RolloutOutcome::RolledBack,
            live: None,
            stop: Some(stop()),
            failed: vec![stop()],
        }
        .into(),
        WaveStarted(wave(None)).into(),
        WaveFinished(wave(Some(stop()))).into(),
        gate::Requested {
            gate: gate_id,
            run: run_id(),
            plan: plan.id(),
            module: "cart".into(),
            environment: "prod".into(),
            version: "1.0.0-x".into(),
            name: "metric errors".into(),
            point: gate::Point::After(1),
            what: "metric errors: at most 0.01, 3 times".into(),
            ask: metric(),
            since: at(),
            until: at(),
            opens: None,
        }
        .into(),
        joint::Reported {
            joint: a_joint(),
            run: run_id(),
            module: "cart".into(),
            environment: Some("prod".into()),
            progress: joint::Progress::Failed(stop()),
        }
        .into(),
        joint::Told {
            joint: a_joint().id,
            name: "shop".into(),
            run: run_id(),
            module: "cart".into(),
            environment: "prod".into(),
            word: joint::Word {
                begins: true,
                under_way: true,
                all_well: false,
                failed: Some(stop()),
            },
        }
        .into(),
        gate::Judged {
            gate: gate_id,
            run: run_id(),
            plan: plan.id(),
            module: "cart".into(),
            environment: "prod".into(),
            name: "metric errors".into(),
            verdict: gate::Verdict::Fail,
            seen: "0.2 is more than 0.01".into(),
        }
        .into(),
        gate::Finished {
            gate: gate_id,
            run: run_id(),
            plan: plan.id(),
            module: "cart".into(),
            environment: "prod".into(),
            name: "metric errors".into(),
            point: gate::Point::After(1),
            outcome: gate::Outcome::Failed,
            by: vec!["ops".into()],
            why: Some("0.2 is more than 0.01".into()),
            stop: Some(stop()),
        }
        .into(),
        line::Changed {
            act: line::Act::Pause,
            stretch: line::Stretch::Environment("prod".into()),
            at: at(),
            number: 1,
            standing: Vec::new(),
            actor: "ops".into(),
            why: Some("a sale".into()),
            command: Some(ferry_events::CommandId(Uuid::from_u128(3))),
        }
        .into(),
        line::Changed {
            act: line::Act::Hold,
            stretch: held.clone(),
            at: at(),
            number: 2,
            standing: vec![line::Standing {
                stretch: held,
                since: at(),
                actor: "ops".into(),
                why: Some("its disk is replaced".into()),
                quarantined: false,
            }],
            actor: "ops".into(),
            why: Some("its disk is replaced".into()),
            command: Some(ferry_events::CommandId(Uuid::from_u128(4))),
        }
        .into(),
        line::Asked {
            module: "cart".into(),
            environment: "prod".into(),
        }
        .into(),
        line::Told {
            module: "cart".into(),
            environment: "prod".into(),
            number: 1,
            standing: vec![line::Standing {
                stretch: line::Stretch::Everything,
                since: at(),
                actor: "ferry".into(),
                why: None,
                quarantined: true,
            }],
        }
        .into(),
        task::Requested {
            origin: None,
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
            metaspace_growth: None,
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
            probe: Some(probe()),
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
        BaseJoined(seen()).into(),
        BaseChanged(seen()).into(),
        base::Lost {
            base: "prod-1".into(),
            pool: "prod".into(),
            environment: "prod".into(),
            last_seen: None,
            why: "connection refused".into(),
            sighting: 8,
        }
        .into(),
        base::Drifted {
            base: "prod-1".into(),
            environment: "prod".into(),
            module: "cart".into(),
            wanted: None,
            actual: vec!["1".into()],
            revision: 3,
            sighting: 9,
        }
        .into(),
        base::Quarantined {
            base: "prod-1".into(),
            environment: "prod".into(),
            module: "cart".into(),
            run: run_id(),
            generation: 3,
            stop: stop(),
        }
        .into(),
        base::Mended {
            base: "prod-1".into(),
            environment: "prod".into(),
            module: "cart".into(),
            generation: 3,
        }
        .into(),
        restart::Listed {
            base: "prod-1".into(),
            pool: "prod".into(),
            environment: "prod".into(),
            cause: restart::Cause::Metaspace {
                committed: 243 << 20,
                max: 256 << 20,
                mark: 90,
            },
            since: at(),
            driven: true,
        }
        .into(),
        restart::Asked {
            turn: turn(),
            until: at(),
            back_by: at(),
        }
        .into(),
        restart::Given {
            turn: turn(),
            module: "cart".into(),
            biz: Some("cart".into()),
            stop: Some(Stop::new(Reason::BaseHeld, "held by ada").on("prod-1")),
        }
        .into(),
        restart::Requested {
            turn: turn(),
            begin_by: at(),
        }
        .into(),
        restart::Finished {
            turn: turn(),
            stop: None,
            ended: at(),
            millis: 41_000,
        }
        .into(),
        restart::Over {
            base: "prod-1".into(),
            pool: "prod".into(),
            environment: "prod".into(),
            turn: Some(3),
            outcome: restart::Outcome::Failed,
            stop: Some(Stop::new(Reason::RestartFailed, "the driver exited with 1").on("prod-1")),
        }
        .into(),
        base::GivenUp {
            base: "prod-1".into(),
            environment: "prod".into(),
            module: "cart".into(),
            wanted: Some("1".into()),
            repairs: 5,
            stop: stop(),
        }
        .into(),
        command::Settled {
            command: ferry_events::CommandId(Uuid::from_u128(3)),
            actor: "ops".into(),
            verb: "approve".into(),
            why: Some("tried in pre".into()),
            based_on: Some(7),
            module: "cart".into(),
            environment: Some("prod".into()),
            run: None,
            stop: Some(stop()),
        }
        .into(),
        work::Retried {
            service: ferry_events::Service::Builder,
            work: "build.1".into(),
            what: "build".into(),
            push: None,
            command: None,
            run: Some(run_id()),
            module: Some("cart".into()),
            tries: 2,
            most: 8,
            first_at: at(),
            next_at: at(),
            stop: stop(),
        }
        .into(),
        LetterReplayed(closed()).into(),
        LetterDropped(closed()).into(),
    ]
}

fn closed() -> letter::Closed {
    letter::Closed {
        letter: ferry_events::LetterId::of("builder", "FERRY", 7),
        service: ferry_events::Service::Builder,
        subject: "ferry.events._._._.push.received".into(),
        reason: Reason::OurFault,
        command: ferry_events::CommandId(Uuid::from_u128(3)),
        actor: "ops".into(),
        why: Some("mended".into()),
        run: None,
    }
}
