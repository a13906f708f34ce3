//! Events of whole runs and of bases, as the stream has them.

use ferry_api::{GateView, StreamedEvent, Stretch};
use ferry_events::gate;
use ferry_events::line::{self, Act};
use ferry_events::rollout::{Aim, Direction, RolloutOutcome};
use ferry_events::run::Outcome;
use ferry_events::{
    Body, Digest, Event, EventId, PlanId, Reason, RunId, Scope, Service, Stop, TaskId, artifact,
    base, body, build, joint, push, rollout, run, task, verify,
};

use super::gates::{approval, metric};
use super::{
    BEFORE, COMMIT, VERSION, at, bad_run, began, carried, command_id, good_run, modules, pauses,
    push_id, stop, uuid, waiting_run,
};

fn want(version: &str) -> task::Want {
    task::Want {
        digest: Digest::of(version.as_bytes()),
        size: 12_345,
        version: version.into(),
        web_context_path: Some("/hello".into()),
    }
}

pub(super) fn plan() -> rollout::Plan {
    let step = |base: &str| rollout::Step {
        base: base.into(),
        pool: "prod".into(),
        zone: "default".into(),
    };
    rollout::Plan {
        run: good_run(),
        module: "hello".into(),
        environment: "prod".into(),
        direction: Direction::Forward,
        generation: 4,
        configuration: Digest::of(b"configuration"),
        wants: [("prod".to_owned(), want(VERSION))].into(),
        restores: std::collections::BTreeMap::new(),
        judge: rollout::Judge::default(),
        limits: rollout::Limits::default(),
        gates: Vec::new(),
        waves: vec![vec![step("prod-1")], vec![step("prod-2")]],
        left_out: Vec::new(),
    }
}

fn release() -> artifact::Release {
    let slimmed = artifact::Slimmed {
        digest: Digest::of(b"slimmed"),
        version: VERSION.into(),
        size: 34_567,
        profile: Some(Digest::of(b"profile")),
        left_out: 41,
        kept: 1,
        proof: None,
        report: None,
        since: None,
    };
    artifact::Release {
        origin: None,
        own: None,
        run: good_run(),
        module: "hello".into(),
        commit: Some(COMMIT.into()),
        packaged: Digest::of(b"packaged"),
        biz: biz(),
        pools: [
            ("pre".to_owned(), slimmed.clone()),
            ("prod".to_owned(), slimmed),
        ]
        .into(),
    }
}

fn biz() -> artifact::Biz {
    artifact::Biz {
        name: "hello".into(),
        version: "1.0.0".into(),
        web_context_path: Some("/hello".into()),
    }
}

struct Story {
    run: RunId,
    events: Vec<Event>,
}

impl Story {
    fn say(&mut self, millis: i64, source: Service, body: impl Into<Body>) {
        let body = body.into();
        let kind = body.kind().short_name();
        self.events.push(Event {
            id: EventId::of(source.name(), "story", self.events.len() as u64, &kind, 0),
            source,
            time: at(millis),
            scope: Scope::module(None, "hello"),
            cause: None,
            trace: None,
            body,
        });
    }

    fn wave(&self, number: u32, stop: Option<Stop>) -> rollout::Wave {
        rollout::Wave {
            run: self.run,
            plan: plan().id(),
            module: "hello".into(),
            environment: "prod".into(),
            direction: Direction::Forward,
            number,
            of: 2,
            bases: vec![format!("prod-{number}")],
            stop,
        }
    }

    fn task(&mut self, from: i64, base: &str, stop: Option<Stop>) {
        let (run, plan): (RunId, PlanId) = (self.run, plan().id());
        let (task, module, environment) = (
            TaskId::of(&plan, base),
            "hello".to_owned(),
            "prod".to_owned(),
        );
        self.say(
            from,
            Service::Scheduler,
            task::Requested {
                origin: None,
                task,
                plan: plan.clone(),
                run,
                module: module.clone(),
                environment: environment.clone(),
                base: base.into(),
                biz: "hello".into(),
                want: Some(want(VERSION)),
                restore: Some(want(BEFORE)),
            },
        );
        self.say(
            from + 2,
            Service::Installer,
            task::Started {
                task,
                plan: plan.clone(),
                run,
                module: module.clone(),
                environment: environment.clone(),
                base: base.into(),
            },
        );
        let failed = stop.is_some();
        self.say(
            from + 455,
            Service::Installer,
            task::Finished {
                metaspace_growth: None,
                task,
                plan: plan.clone(),
                run,
                module: module.clone(),
                environment: environment.clone(),
                base: base.into(),
                running: Some(if failed { BEFORE } else { VERSION }.into()),
                revision: 3,
                stop,
                steps: vec![
                    task::StepTime {
                        step: "fetch".into(),
                        millis: 12,
                    },
                    task::StepTime {
                        step: "install".into(),
                        millis: 431,
                    },
                ],
            },
        );
        if failed {
            return;
        }
        let answer = verify::Answer {
            status: 200,
            excerpt: "Hello, version 2".into(),
            millis: 4,
        };
        self.say(
            from + 470,
            Service::Verifier,
            verify::Answering {
                observation: uuid(1),
                run,
                module: module.clone(),
                environment: environment.clone(),
                base: base.into(),
                version: Some(VERSION.into()),
                answer: Some(answer.clone()),
            },
        );
        self.say(
            from + 2_470,
            Service::Verifier,
            verify::Finished {
                observation: uuid(1),
                task,
                plan,
                run,
                module,
                environment,
                base: base.into(),
                revision: 3,
                stop: None,
                answer: Some(answer),
            },
        );
    }
}

/// The events of a run to `prod`, from its change to its end; with `fails` its
/// first base cannot start it.
pub fn events(fails: bool) -> Vec<Event> {
    let run = if fails { bad_run() } else { good_run() };
    let mut story = Story {
        run,
        events: Vec::new(),
    };
    let module = || "hello".to_owned();
    story.say(
        21,
        Service::Builder,
        push::ChangeMerged {
            joint: None,
            run,
            module: module(),
            repository: "hello".into(),
            branch: "main".into(),
            order: 2,
            commit: COMMIT.into(),
            push: Some(push_id()),
            command: None,
            author: Some("ada".into()),
            message: Some("Greet in two languages".into()),
            uploaded: false,
            force: false,
        },
    );
    story.say(
        25,
        Service::Scheduler,
        run::Queued {
            run,
            module: module(),
            kind: run::RunKind::Change,
            environments: vec!["pre".into(), "prod".into()],
            repository: "hello".into(),
            branch: "main".into(),
            commit: Some(COMMIT.into()),
            author: None,
            message: None,
            push: Some(push_id()),
            command: None,
        },
    );
    let build = build::Build {
        run,
        module: module(),
        build: uuid(9),
        commit: COMMIT.into(),
    };
    story.say(28, Service::Builder, body::BuildQueued(build.clone()));
    story.say(30, Service::Builder, body::BuildStarted(build));
    story.say(
        5_442,
        Service::Builder,
        build::Finished {
            run,
            module: module(),
            build: uuid(9),
            stop: None,
            millis: 5_412,
            reused: false,
        },
    );
    story.say(
        5_450,
        Service::Builder,
        artifact::Packaged {
            origin: None,
            run,
            module: module(),
            digest: Digest::of(b"packaged"),
            size: 24_987_654,
            commit: Some(COMMIT.into()),
            biz: biz(),
            own: None,
            rules: Vec::new(),
        },
    );
    story.say(
        5_520,
        Service::Slimmer,
        artifact::Published { release: release() },
    );
    story.say(
        5_530,
        Service::Scheduler,
        rollout::Requested {
            joint: None,
            run,
            module: module(),
            environment: "prod".into(),
            branch: "main".into(),
            order: 2,
            aim: Aim::Release(Box::new(release())),
            author: None,
            force: false,
            passed: Vec::new(),
        },
    );
    story.say(
        5_535,
        Service::Scheduler,
        rollout::Planned {
            id: plan().id(),
            plan: plan(),
            version: Some(VERSION.into()),
            because: None,
        },
    );
    let wave = story.wave(1, None);
    story.say(5_536, Service::Scheduler, body::WaveStarted(wave));
    story.task(5_537, "prod-1", fails.then(stop));
    let wave = story.wave(1, fails.then(stop));
    story.say(8_010, Service::Scheduler, body::WaveFinished(wave));
    story.say(
        9_870,
        Service::Scheduler,
        rollout::Finished {
            run,
            module: module(),
            environment: "prod".into(),
            outcome: if fails {
                RolloutOutcome::RolledBack
            } else {
                RolloutOutcome::Verified
            },
            live: Some(if fails { BEFORE } else { VERSION }.into()),
            stop: fails.then(stop),
            failed: Vec::new(),
        },
    );
    if !fails {
        story.say(
            9_870,
            Service::Scheduler,
            body::ServiceUpgraded(rollout::Service {
                run,
                module: module(),
                environment: "prod".into(),
                version: VERSION.into(),
                packaged: Digest::of(b"packaged"),
                before: Some(BEFORE.into()),
            }),
        );
    }
    story.say(
        9_876,
        Service::Scheduler,
        run::Finished {
            run,
            module: module(),
            outcome: if fails {
                Outcome::Failure
            } else {
                Outcome::Success
            },
            stop: fails.then(stop),
            environment: Some("prod".into()),
        },
    );
    story.events
}

/// A rollout is paused, waits for approval and for a metric, each in its way.
pub fn gate_events() -> Vec<Event> {
    let run = waiting_run();
    let mut story = Story {
        run,
        events: Vec::new(),
    };
    let environment = || Stretch::Environment("prod".into());
    let changed = |act, number, stretch| line::Changed {
        act,
        stretch,
        at: at(0),
        number,
        standing: Vec::new(),
        actor: "ops".into(),
        why: Some("the database is moved".into()),
        command: Some(command_id()),
    };
    let requested = |view: GateView| gate::Requested {
        gate: view.gate,
        run,
        plan: view.plan,
        module: "hello".into(),
        environment: "prod".into(),
        version: VERSION.into(),
        name: view.name,
        point: view.point,
        what: view.what,
        ask: view.ask,
        since: view.since,
        until: view.until,
        opens: view.opens,
    };
    let finished = |view: GateView, outcome, by: &[&str], stop: Option<Stop>| gate::Finished {
        gate: view.gate,
        run,
        plan: view.plan,
        module: "hello".into(),
        environment: "prod".into(),
        name: view.name,
        point: view.point,
        outcome,
        by: by.iter().map(|it| (*it).to_owned()).collect(),
        why: by.first().map(|_| "looks good".to_owned()),
        stop,
    };
    let judged = gate::Judged {
        gate: metric().gate,
        run,
        plan: metric().plan,
        module: "hello".into(),
        environment: "prod".into(),
        name: metric().name,
        verdict: gate::Verdict::Inconclusive,
        seen: "no data".into(),
    };
    let scheduler = Service::Scheduler;
    story.say(0, scheduler, changed(Act::Pause, 1, environment()));
    story.say(10, scheduler, changed(Act::Resume, 2, environment()));
    story.say(20, scheduler, requested(approval()));
    let passed = finished(approval(), gate::Outcome::Passed, &["bob"], None);
    story.say(30, scheduler, passed);
    story.say(40, scheduler, requested(metric()));
    story.say(50, Service::Verifier, judged);
    let stop = Stop::new(Reason::GateExpired, "nobody decided");
    let expired = finished(metric(), gate::Outcome::Expired, &[], Some(stop));
    story.say(60, scheduler, expired);
    story.say(
        70,
        scheduler,
        changed(Act::Abort, 3, pauses()[1].stretch.clone()),
    );
    story.events
}

/// What a module of a release of several reports and is told, from its wait to its end.
pub fn joint_events() -> Vec<Event> {
    let mut story = Story {
        run: good_run(),
        events: Vec::new(),
    };
    let member = |module: &str, after: &[&str]| joint::Member {
        run: RunId::of("hello", "main", 4, module),
        module: module.into(),
        after: after.iter().map(|name| (*name).to_owned()).collect(),
        environments: vec!["prod".into()],
    };
    let whole = joint::Joint {
        id: uuid(9),
        name: "greeting".into(),
        members: vec![member("hello", &[]), member("world", &["hello"])],
        environments: vec!["prod".into()],
        wait_ms: 60_000,
    };
    let reported = |progress| joint::Reported {
        joint: whole.clone(),
        run: whole.members[1].run,
        module: "world".into(),
        environment: Some("prod".into()),
        progress,
    };
    let told = |word| joint::Told {
        joint: whole.id,
        name: whole.name.clone(),
        run: whole.members[1].run,
        module: "world".into(),
        environment: "prod".into(),
        word,
    };
    let word = joint::Word::default;
    let cause = "release greeting: hello failed in prod: probe-failed on prod-1: 500";
    let scheduler = Service::Scheduler;
    story.say(0, scheduler, reported(joint::Progress::Waits));
    story.say(10, scheduler, told(word()));
    let begins = joint::Word {
        begins: true,
        ..word()
    };
    story.say(20, scheduler, told(begins));
    story.say(30, scheduler, reported(joint::Progress::Begun));
    story.say(40, scheduler, reported(joint::Progress::Well));
    let all_well = joint::Word {
        all_well: true,
        ..word()
    };
    story.say(50, scheduler, told(all_well));
    let failed = Stop::new(Reason::ProbeFailed, "500").on("prod-1");
    story.say(60, scheduler, reported(joint::Progress::Failed(failed)));
    let back = joint::Word {
        failed: Some(Stop::new(Reason::ReleaseFailed, cause)),
        ..word()
    };
    story.say(70, scheduler, told(back));
    story.events
}

/// Events of bases, and of a module that nobody decided on.
pub fn base_events() -> Vec<Event> {
    let mut story = Story {
        run: good_run(),
        events: Vec::new(),
    };
    let seen = |modules| base::Seen {
        base: "prod-1".into(),
        pool: "prod".into(),
        environment: "prod".into(),
        zone: "default".into(),
        modules,
        metaspace_used: None,
        metaspace_committed: None,
        metaspace_max: None,
        at: began(),
        revisions: Default::default(),
        sighting: 1,
    };
    story.say(0, Service::Verifier, body::BaseJoined(seen(Vec::new())));
    story.say(
        10,
        Service::Verifier,
        body::BaseChanged(seen(vec![carried(VERSION, "activated")])),
    );
    story.say(
        20,
        Service::Verifier,
        base::Lost {
            base: "prod-1".into(),
            pool: "prod".into(),
            environment: "prod".into(),
            last_seen: Some(began()),
            why: "connection refused\nand more".into(),
            sighting: 3,
        },
    );
    story.say(
        30,
        Service::Verifier,
        modules()[0].environments[1].drifted[0].clone(),
    );
    story.events
}

/// Events as the stream has them.
pub fn streamed(events: &[Event]) -> Vec<StreamedEvent> {
    events
        .iter()
        .enumerate()
        .map(|(index, event)| StreamedEvent {
            sequence: index as u64 + 1,
            kind: event.body.kind().short_name(),
            event: serde_json::from_slice(&event.encode()).expect("an event is JSON"),
        })
        .collect()
}
