//! A small world for tests: runs, bases, modules and events as a gateway has them.
//!
//! In: nothing. Out: values of the API's own types, with fixed ids and times.

#![allow(dead_code)]

use chrono::TimeDelta;
use ferry_api::{
    Action, BaseState, BaseView, CanView, CommandAnswer, CommandState, CommandView,
    EnvironmentState, EnvironmentView, GateView, GrantView, LetterEnd, LetterState, LetterSummary,
    LetterView, LineView, LiveView, LogLine, LogView, Metaspace, ModuleOnBase, ModuleView,
    PushState, PushView, RepairView, RetryView, RunKind, RunOf, RunState, RunSummary, RunView,
    Standing, StepTime, StepView, StopView, StreamedEvent, Stretch, TaskState, TaskView,
    VerdictView, WaitView, WantedView,
};
use ferry_events::gate::{self, Ask, Point};
use ferry_events::line::{self, Act};
use ferry_events::rollout::{self, Aim, Direction, RolloutOutcome};
use ferry_events::run::Outcome;
use ferry_events::{
    Body, CommandId, Digest, Event, EventId, LetterId, PlanId, PushId, Reason, RunId, Scope,
    Service, Stop, TaskId, Timestamp, artifact, base, body, build, push, run, task, verify,
};

/// The commit of every run.
pub const COMMIT: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f80912345678";
/// The version of version two.
pub const VERSION: &str = "1.0.0-1a2b3c4d-0123456789ab";
/// The version before.
pub const BEFORE: &str = "1.0.0-0badcafe-ba9876543210";

/// When the push came.
pub fn began() -> Timestamp {
    "2026-03-04T05:06:07Z".parse().expect("a time")
}

/// So many milliseconds later.
pub fn at(millis: i64) -> Timestamp {
    began() + TimeDelta::milliseconds(millis)
}

/// Three minutes later: when the screens are looked at.
pub fn now() -> Timestamp {
    at(180_000)
}

/// The push.
pub fn push_id() -> PushId {
    PushId::of("github", "hello", "delivery", "refs/heads/main")
}

/// The run that succeeds.
pub fn good_run() -> RunId {
    RunId::of("hello", "main", 2, "hello")
}

/// The run that fails.
pub fn bad_run() -> RunId {
    RunId::of("hello", "main", 3, "hello")
}

/// What a person asked for.
pub fn command_id() -> CommandId {
    CommandId(uuid(7))
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

/// A cause as a base tells it, with an attempt to paint.
pub fn cause() -> String {
    "BeanCreationException: no bean \u{1b}[31mPriceList\u{1b}[0m\n\tat ferry.demo.Hello\n  caused by: NullPointerException".to_owned()
}

fn stop() -> Stop {
    Stop::new(Reason::InstallFailed, cause()).on("prod-1")
}

/// The push, resolved.
pub fn push_view() -> PushView {
    PushView {
        id: push_id(),
        state: PushState::Resolved,
        forge: "github".into(),
        repository: "hello".into(),
        branch: "main".into(),
        before: None,
        after: COMMIT.into(),
        forced: false,
        author: Some("ada".into()),
        message: Some("Greet in two languages".into()),
        received_at: began(),
        resolution: Some(ferry_api::Resolution::Started),
        why: Some("main moved forward by one commit".into()),
        runs: vec![RunOf {
            run: good_run(),
            module: "hello".into(),
        }],
        stop: None,
        retry: None,
    }
}

fn summary(id: RunId, state: RunState) -> RunSummary {
    RunSummary {
        id,
        module: "hello".into(),
        kind: RunKind::Change,
        state,
        environment: Some("prod".into()),
        repository: "hello".into(),
        branch: "main".into(),
        commit: Some(COMMIT.into()),
        author: Some("ada".into()),
        message: Some("Greet in two languages".into()),
        began_at: began(),
        ended_at: Some(at(9_876)),
        stop: None,
    }
}

/// A run of each sort, newest first.
pub fn summaries() -> Vec<RunSummary> {
    let mut moving = summary(RunId::of("hello", "main", 4, "hello"), RunState::RollingOut);
    moving.ended_at = None;
    moving.environment = Some("pre".into());
    moving.began_at = at(170_000);
    let mut stuck = summary(RunId::of("shop", "main", 1, "shop"), RunState::Building);
    stuck.module = "shop".into();
    stuck.ended_at = None;
    stuck.environment = None;
    stuck.began_at = began() - TimeDelta::minutes(40);
    let mut back = summary(
        RunId::of_command(command_id(), "hello"),
        RunState::Succeeded,
    );
    back.kind = RunKind::Rollback;
    back.message = Some("prices are wrong".into());
    vec![
        moving,
        bad_view().summary,
        summary(good_run(), RunState::Succeeded),
        back,
        stuck,
    ]
}

fn step(name: &str, environment: Option<&str>, from: i64, to: Option<i64>) -> StepView {
    StepView {
        name: name.into(),
        environment: environment.map(Into::into),
        note: String::new(),
        began_at: at(from),
        ended_at: to.map(at),
        stop: None,
    }
}

fn on_base(base: &str, state: TaskState, running: Option<&str>) -> TaskView {
    TaskView {
        base: base.into(),
        pool: base.split('-').next().unwrap_or_default().into(),
        direction: Direction::Forward,
        state,
        wanted: Some(VERSION.into()),
        running: running.map(Into::into),
        answer: Some(verify::Answer {
            status: 200,
            excerpt: "Hello, version 2".into(),
            millis: 4,
        }),
        steps: vec![
            StepTime {
                step: "fetch".into(),
                millis: 12,
            },
            StepTime {
                step: "install".into(),
                millis: 431,
            },
        ],
        stop: None,
    }
}

/// The run that succeeded.
pub fn good_view() -> RunView {
    RunView {
        summary: summary(good_run(), RunState::Succeeded),
        push: Some(push_id()),
        command: None,
        packaged: Some(Digest::of(b"packaged")),
        version: Some(VERSION.into()),
        environments: vec![EnvironmentView {
            name: "prod".into(),
            state: EnvironmentState::Verified,
            live: Some(VERSION.into()),
            plan: Some(plan().id()),
            wave: 2,
            waves: 2,
            gates: Vec::new(),
            tasks: vec![
                on_base("prod-1", TaskState::Verified, Some(VERSION)),
                on_base("prod-2", TaskState::Verified, Some(VERSION)),
            ],
            stop: None,
        }],
        steps: vec![
            step("resolve", None, 0, Some(21)),
            step("build", None, 30, Some(5_442)),
            step("slim", None, 5_450, Some(5_520)),
            step("rollout", Some("prod"), 5_530, Some(9_870)),
        ],
        retry: None,
        paused: Vec::new(),
    }
}

/// The run that failed on its second base, and was brought back.
pub fn bad_view() -> RunView {
    let mut view = good_view();
    view.summary = summary(bad_run(), RunState::Failed);
    view.summary.stop = Some(StopView::from(&stop()));
    let there = &mut view.environments[0];
    there.state = EnvironmentState::RolledBack;
    there.live = Some(BEFORE.into());
    there.stop = Some(StopView::from(&stop()));
    let mut failed = on_base("prod-1", TaskState::Failed, None);
    failed.stop = Some(StopView::from(&stop()));
    let mut back = on_base("prod-1", TaskState::Verified, Some(BEFORE));
    back.direction = Direction::Back;
    there.tasks = vec![failed, back];
    view.steps[3].stop = Some(StopView::from(&stop()));
    view
}

/// A run that goes on.
pub fn moving_view() -> RunView {
    let mut view = good_view();
    view.summary.state = RunState::Building;
    view.summary.environment = None;
    view.summary.ended_at = None;
    view.summary.began_at = at(150_000);
    view.version = None;
    view.packaged = None;
    view.environments[0] = EnvironmentView {
        name: "prod".into(),
        state: EnvironmentState::Waiting,
        live: None,
        plan: None,
        wave: 0,
        waves: 0,
        gates: Vec::new(),
        tasks: Vec::new(),
        stop: None,
    };
    view.steps = vec![
        step("resolve", None, 150_000, Some(150_021)),
        step("build", None, 150_030, None),
    ];
    view
}

/// The run that waits.
pub fn waiting_run() -> RunId {
    RunId::of("hello", "main", 5, "hello")
}

/// So many seconds before the screens are looked at.
fn ago(seconds: i64) -> Timestamp {
    now() - TimeDelta::seconds(seconds)
}

fn gate(name: &str, point: Point, ask: Ask, since: i64, deadline: i64) -> GateView {
    let what = match &ask {
        Ask::Approval { .. } => "approval by bob or carol, and not by ada",
        Ask::Metric { .. } => "errors / requests stays at most 0.01, 3 times in a row",
        Ask::Check { .. } => "https://change.example/ferry says yes",
        Ask::Calendar => "the window office-hours opens",
        Ask::Pause => "the pause between two waves ends",
        Ask::Line => "environment prod was paused by ops: the database is moved",
    };
    GateView {
        gate: gate::gate_id(&plan().id(), point, name),
        plan: plan().id(),
        name: name.into(),
        point,
        what: what.into(),
        ask,
        since: ago(since),
        until: ago(since) + TimeDelta::seconds(deadline),
        opens: None,
        last: None,
    }
}

fn approval() -> GateView {
    let ask = Ask::Approval {
        by: vec!["bob".into(), "carol".into()],
        count: 1,
        not: vec!["ada".into()],
    };
    gate("approval", Point::Start, ask, 7_500, 86_400)
}

fn metric() -> GateView {
    let ask = Ask::Metric {
        url: "http://prometheus.example/".into(),
        query: "errors / requests".into(),
        min: None,
        max: Some("0.01".into()),
        interval_ms: 10_000,
        count: 3,
    };
    gate("metric errors", Point::After(1), ask, 320, 900)
}

fn inconclusive() -> GateView {
    GateView {
        last: Some(VerdictView {
            verdict: gate::Verdict::Inconclusive,
            seen: "the query has no value: \u{1b}[31mno data\u{1b}[0m since 5m".into(),
            at: ago(20),
        }),
        ..metric()
    }
}

fn calendar() -> GateView {
    let mut gate = gate(
        "window office-hours",
        Point::After(2),
        Ask::Calendar,
        3_600,
        604_800,
    );
    gate.opens = Some(now() + TimeDelta::seconds(10_433));
    gate
}

/// A run in prod, verified in pre.
fn in_prod(gates: Vec<GateView>) -> RunView {
    let mut view = good_view();
    view.summary = summary(waiting_run(), RunState::RollingOut);
    view.summary.ended_at = None;
    view.summary.began_at = ago(7_520);
    let since = |gate: &GateView| (gate.since - began()).num_milliseconds();
    let start = since(&approval());
    view.steps = vec![
        step("resolve", None, start - 20_000, Some(start - 19_979)),
        step("build", None, start - 19_900, Some(start - 14_488)),
        step("slim", None, start - 14_400, Some(start - 14_330)),
        step("rollout", Some("pre"), start - 14_300, Some(start - 10)),
        step("rollout", Some("prod"), start - 5, None),
    ];
    for gate in &gates {
        let mut waits = step("gate", Some("prod"), since(gate), None);
        waits.note = format!("{} {}", gate.name, gate.point);
        view.steps.push(waits);
    }
    let pre = EnvironmentView {
        name: "pre".into(),
        wave: 1,
        waves: 1,
        tasks: vec![on_base("pre-1", TaskState::Verified, Some(VERSION))],
        ..view.environments[0].clone()
    };
    let prod = &mut view.environments[0];
    prod.state = EnvironmentState::WaitingForGate;
    prod.live = None;
    prod.wave = 0;
    prod.gates = gates;
    for task in &mut prod.tasks {
        *task = TaskView {
            state: TaskState::Waiting,
            running: None,
            answer: None,
            steps: Vec::new(),
            ..task.clone()
        };
    }
    view.environments.insert(0, pre);
    view
}

/// A run that waits for approval in prod.
pub fn approval_view() -> RunView {
    in_prod(vec![approval()])
}

/// A run that is halted after its first wave: nobody can tell whether the metric is well.
pub fn halted_view() -> RunView {
    let mut view = in_prod(vec![inconclusive()]);
    let mut passed = step("gate", Some("prod"), 0, Some(0));
    passed.note = "approval before the first wave, passed by bob: looks good".into();
    (passed.began_at, passed.ended_at) = (approval().since, Some(ago(900)));
    view.steps.insert(5, passed);
    let prod = &mut view.environments[1];
    prod.wave = 1;
    prod.tasks[0] = on_base("prod-1", TaskState::Verified, Some(VERSION));
    view
}

/// The pause between two waves.
fn pause() -> GateView {
    let gate = gate("pause", Point::After(1), Ask::Pause, 30, 60);
    GateView {
        opens: Some(gate.until),
        ..gate
    }
}

/// What is paused, the oldest first.
pub fn pauses() -> Vec<Standing> {
    let pause = |stretch, since, why: Option<&str>| Standing {
        stretch,
        since: ago(since),
        actor: "ops".into(),
        why: why.map(Into::into),
    };
    let run = Stretch::Run {
        run: waiting_run(),
        module: "hello".into(),
    };
    vec![
        pause(
            Stretch::Environment("prod".into()),
            5_000,
            Some("the database is moved"),
        ),
        pause(run, 60, None),
    ]
}

/// A run that a person paused.
pub fn paused_view() -> RunView {
    let line = gate("paused", Point::After(1), Ask::Line, 5_000, 604_800);
    RunView {
        paused: pauses(),
        ..in_prod(vec![line])
    }
}

/// All that stands still.
pub fn line() -> LineView {
    let wait = |environment: &str, gate| WaitView {
        run: waiting_run(),
        module: "hello".into(),
        environment: environment.into(),
        gate,
    };
    let other = |module: &str, gate| WaitView {
        run: RunId::of(module, "main", 1, module),
        module: module.into(),
        ..wait("prod", gate)
    };
    LineView {
        paused: pauses(),
        waiting: vec![
            wait("prod", approval()),
            other(
                "books",
                gate("paused", Point::Start, Ask::Line, 4_000, 604_800),
            ),
            other("shop", calendar()),
            other("cart", inconclusive()),
            other("cart", pause()),
        ],
    }
}

/// A command that somebody else must give.
pub fn not_allowed() -> CommandView {
    let detail = "prod is approved by bob or carol, and ada wrote the change";
    CommandView {
        stop: Some(StopView::from(&Stop::new(Reason::NotAllowed, detail))),
        ..refused()
    }
}

/// Whether somebody may approve.
pub fn can(allowed: bool) -> CanView {
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let grant = GrantView {
        index: 1,
        role: "approve".into(),
        modules: names(&["hel*"]),
        environments: names(&["prod"]),
    };
    CanView {
        token: if allowed { "bob" } else { "ci" }.into(),
        action: Action::Approve,
        module: "hello".into(),
        environment: "prod".into(),
        allowed,
        role: "approve".into(),
        needed_in: names(&["prod"]),
        missing_in: if allowed {
            Vec::new()
        } else {
            names(&["prod"])
        },
        by: if allowed { vec![grant] } else { Vec::new() },
        approvers: Some(names(&["bob", "carol"])),
        not_author: true,
        who: (!allowed).then(|| names(&["bob"])),
    }
}

fn carried(version: &str, state: &str) -> ModuleOnBase {
    ModuleOnBase {
        name: "hello".into(),
        version: version.into(),
        state: state.into(),
    }
}

/// Three bases: one well, one lost, one not seen yet.
pub fn bases() -> Vec<BaseView> {
    let base = |name: &str, state| BaseView {
        name: name.into(),
        pool: "prod".into(),
        environment: "prod".into(),
        zone: "default".into(),
        url: "http://127.0.0.1:8080/".into(),
        state,
        modules: vec![
            carried(VERSION, "activated"),
            carried(BEFORE, "deactivated"),
        ],
        wanted: Vec::new(),
        metaspace: Some(Metaspace {
            used: 96 << 20,
            max: Some(256 << 20),
        }),
        last_seen: Some(at(179_000)),
        why: None,
    };
    let mut lost = base("prod-2", BaseState::Lost);
    lost.why = Some("connection refused".into());
    lost.last_seen = Some(at(60_000));
    let mut new = base("prod-3", BaseState::Unknown);
    new.modules.clear();
    new.metaspace = None;
    new.last_seen = None;
    vec![base("prod-1", BaseState::Joined), lost, new]
}

/// Bases that run something else than was decided, each for a reason of its own.
pub fn differing_bases() -> Vec<BaseView> {
    let wanted = |actual: Vec<ModuleOnBase>| WantedView {
        module: "hello".into(),
        wanted: Some(VERSION.into()),
        agrees: actual.len() == 1 && actual[0].version == VERSION,
        actual,
        rollout: None,
        repair: None,
    };
    let repair = |next: Option<i64>| RepairView {
        since: at(100_000),
        run: None,
        repairs: 2,
        next: next.map(at),
        stop: None,
    };
    let stop = |reason, detail: &str| StopView::from(&Stop::new(reason, detail));
    let mut right = wanted(vec![carried(VERSION, "activated")]);
    right.repair = None;
    let mut rolling = wanted(vec![carried(BEFORE, "activated")]);
    rolling.rollout = Some(bad_run());
    let mut held = wanted(Vec::new());
    held.rollout = Some(bad_run());
    held.repair = Some(repair(Some(100_000)));
    let mut repairing = wanted(Vec::new());
    repairing.repair = Some(RepairView {
        run: Some(good_run()),
        ..repair(Some(100_000))
    });
    let mut waiting = wanted(vec![carried(BEFORE, "activated")]);
    waiting.repair = Some(RepairView {
        stop: Some(stop(Reason::InstallFailed, "the price list is empty")),
        ..repair(Some(210_000))
    });
    let mut given_up = wanted(Vec::new());
    given_up.repair = Some(RepairView {
        stop: Some(stop(
            Reason::RepairGivenUp,
            "brought back 5 times within 1h; it lost the module each time",
        )),
        ..repair(None)
    });
    let mut bases: Vec<BaseView> = [right, rolling, held, repairing, waiting, given_up]
        .into_iter()
        .enumerate()
        .map(|(number, wanted)| BaseView {
            name: format!("prod-{}", number + 1),
            modules: wanted.actual.clone(),
            wanted: vec![wanted],
            ..self::bases()[0].clone()
        })
        .collect();
    // Somebody put it there by hand, beside what Ferry decided.
    bases[0].modules.push(ModuleOnBase {
        name: "tools".into(),
        version: "7".into(),
        state: "activated".into(),
    });
    let mut away = bases[2].clone();
    away.name = "prod-7".into();
    away.state = BaseState::Lost;
    away.wanted[0].rollout = None;
    bases.push(away);
    bases
}

/// Two modules: one in two environments and drifted, one that never was live.
pub fn modules() -> Vec<ModuleView> {
    let live = |environment: &str, version: Option<&str>| LiveView {
        environment: environment.into(),
        version: version.map(Into::into),
        commit: version.map(|_| COMMIT.into()),
        packaged: version.map(|_| Digest::of(b"packaged")),
        verified: version.is_some(),
        run: version.map(|_| good_run()),
        since: version.map(|_| at(9_000)),
        changing: None,
        drifted: Vec::new(),
    };
    let mut pre = live("pre", Some(VERSION));
    pre.changing = Some(bad_run());
    let mut prod = live("prod", Some(BEFORE));
    prod.drifted = vec![base::Drifted {
        base: "prod-1".into(),
        environment: "prod".into(),
        module: "hello".into(),
        wanted: Some(BEFORE.into()),
        actual: vec![VERSION.into()],
        revision: 3,
        sighting: 4,
    }];
    let module = |name: &str, environments| ModuleView {
        name: name.into(),
        repository: name.into(),
        team: Some("core".into()),
        environments,
    };
    vec![
        module("hello", vec![pre, prod]),
        module("shop", vec![live("prod", None)]),
    ]
}

/// The build's log.
pub fn log() -> LogView {
    let line = |number, text: &str| LogLine {
        number,
        text: text.into(),
    };
    LogView {
        lines: vec![
            line(1, "[INFO] Building hello"),
            line(2, "[INFO] BUILD SUCCESS"),
        ],
        complete: true,
    }
}

/// The gateway's answer to a wish.
pub fn answer() -> CommandAnswer {
    CommandAnswer {
        id: command_id(),
        what: "run hello at main".into(),
    }
}

/// A command that was taken for a run.
pub fn taken(run: RunId) -> CommandView {
    CommandView {
        id: command_id(),
        state: CommandState::Taken,
        actor: "ci".into(),
        module: "hello".into(),
        settled_at: Some(at(20)),
        run: Some(run),
        stop: None,
    }
}

/// A command that was refused.
pub fn refused() -> CommandView {
    CommandView {
        state: CommandState::Refused,
        run: None,
        stop: Some(StopView::from(&Stop::new(Reason::NothingVerified, ""))),
        ..taken(good_run())
    }
}

fn want(version: &str) -> task::Want {
    task::Want {
        digest: Digest::of(version.as_bytes()),
        size: 12_345,
        version: version.into(),
        web_context_path: Some("/hello".into()),
    }
}

fn plan() -> rollout::Plan {
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
    };
    artifact::Release {
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
            run,
            module: module(),
            digest: Digest::of(b"packaged"),
            size: 24_987_654,
            commit: Some(COMMIT.into()),
            biz: biz(),
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
            run,
            module: module(),
            environment: "prod".into(),
            branch: "main".into(),
            order: 2,
            aim: Aim::Release(Box::new(release())),
            author: None,
            force: false,
        },
    );
    story.say(
        5_535,
        Service::Scheduler,
        rollout::Planned {
            id: plan().id(),
            plan: plan(),
            version: Some(VERSION.into()),
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
        actor: "ops".into(),
        why: Some("the database is moved".into()),
        command: command_id(),
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

/// A retry whose next attempt begins at `next`.
fn again(what: &str, next: i64) -> RetryView {
    RetryView {
        service: Service::Builder,
        what: what.into(),
        tries: 2,
        most: 8,
        first_at: at(150_500),
        next_at: at(next),
        stop: StopView::from(&Stop::new(
            Reason::FetchFailed,
            "fatal: unable to access 'https://git.example/acme/hello.git/': Could not resolve host",
        )),
    }
}

/// A run whose build is tried again, later or now.
pub fn retried_view(next: i64) -> RunView {
    RunView {
        retry: Some(again("build", next)),
        ..moving_view()
    }
}

/// A push whose fetch is tried again.
pub fn retried_push() -> PushView {
    PushView {
        state: PushState::Received,
        resolution: None,
        why: None,
        runs: Vec::new(),
        retry: Some(again("fetch", 184_000)),
        ..push_view()
    }
}

fn letter_summary(number: u64, reason: Reason, state: LetterState) -> LetterSummary {
    let end = LetterEnd {
        actor: "ops".into(),
        why: Some("the slimmer is mended".into()),
        command: command_id(),
        at: at(170_000),
    };
    LetterSummary {
        id: LetterId::of("slimmer", "FERRY", number),
        state,
        service: Service::Slimmer,
        reason,
        error: Some("a transition that does not exist".into()),
        module: Some("hello".into()),
        environment: None,
        run: Some(good_run()),
        subject: "ferry.events.core.hello._.artifact.packaged".into(),
        stream: "FERRY".into(),
        sequence: number,
        tries: 5,
        first_at: at(100_000),
        at: at(110_000),
        end: (state != LetterState::Open).then_some(end),
    }
}

/// Dead letters of each sort, newest first.
pub fn letters() -> Vec<LetterSummary> {
    let bus = LetterSummary {
        error: None,
        module: None,
        run: None,
        subject: String::new(),
        ..letter_summary(9, Reason::Undelivered, LetterState::Open)
    };
    vec![
        bus,
        letter_summary(8, Reason::OurFault, LetterState::Open),
        letter_summary(7, Reason::OurFault, LetterState::Open),
        letter_summary(6, Reason::Crashes, LetterState::Replayed),
        letter_summary(5, Reason::Malformed, LetterState::Dropped),
    ]
}

/// One dead letter, whole.
pub fn letter(state: LetterState) -> LetterView {
    LetterView {
        summary: letter_summary(8, Reason::OurFault, state),
        text: Reason::OurFault.what().into(),
        next: Reason::OurFault.next_step().into(),
        errors: vec![
            "a transition that does not exist".into(),
            "the cause \u{1b}[31mbelow\u{1b}[0m".into(),
        ],
        payload: Some(r#"{"id":"1","type":"artifact.packaged"}"#.into()),
    }
}
