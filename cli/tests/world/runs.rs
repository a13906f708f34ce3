//! Runs of each sort, and what a person sees on their way: pushes, commands, the log of a build.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use ferry_api::{
    CommandAnswer, CommandState, CommandView, EnvironmentState, EnvironmentView, LogLine, LogView,
    PushState, PushView, RetryView, RunKind, RunOf, RunState, RunSummary, RunView, StepTime,
    StepView, StopView, TaskState, TaskView,
};
use ferry_events::artifact::{Change, LibraryChange, Proof, Since, Slimmed};
use ferry_events::rollout::Direction;
use ferry_events::{Digest, Reason, RunId, Service, Stop, verify};

use super::{
    BEFORE, COMMIT, VERSION, at, bad_run, began, command_id, good_run, plan, push_id, stop,
};

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

pub(super) fn summary(id: RunId, state: RunState) -> RunSummary {
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

pub(super) fn step(name: &str, environment: Option<&str>, from: i64, to: Option<i64>) -> StepView {
    StepView {
        name: name.into(),
        environment: environment.map(Into::into),
        note: String::new(),
        began_at: at(from),
        ended_at: to.map(at),
        stop: None,
    }
}

pub(super) fn on_base(base: &str, state: TaskState, running: Option<&str>) -> TaskView {
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

/// A jar that grew by a library.
fn slimmed() -> Slimmed {
    Slimmed {
        digest: Digest::of(b"slimmed"),
        version: VERSION.into(),
        size: 3_180_000,
        profile: Some(Digest::of(b"profile")),
        left_out: 41,
        kept: 1,
        proof: Some(Proof { gaps: 0 }),
        report: Some(Digest::of(b"report")),
        since: Some(Since {
            version: BEFORE.into(),
            bytes: 3_145_728,
            libraries: vec![LibraryChange {
                entry: "lib/money-2.1.0.jar".into(),
                change: Change::New,
                bytes: 3_145_728,
            }],
            more: 0,
        }),
    }
}

/// The report of its slimming, as another slimmer may have written it: with a field more.
pub fn report() -> serde_json::Value {
    serde_json::json!({
        "name": "hello",
        "version": VERSION,
        "packaged": Digest::of(b"packaged"),
        "digest": Digest::of(b"slimmed"),
        "bytes_before": 25_000_000,
        "bytes_after": 3_180_000,
        "left_out": [
            {"entry": "lib/spring-core-6.1.6.jar", "bytes": 1_800_000, "version": "6.1.6", "why": "same-bytes", "base": "spring-core-6.1.6.jar"},
        ],
        "kept": [{"entry": "lib/money-2.1.0.jar", "bytes": 3_145_728, "version": "2.1.0", "why": "base-lacks"}],
        "declared_libraries": [],
        "notes": [],
        "since": {
            "version": BEFORE,
            "bytes": 3_145_728,
            "new": [{"entry": "lib/money-2.1.0.jar", "bytes": 3_145_728, "version": "2.1.0"}],
            "gone": [],
            "changed": [],
        },
        "newer": true,
    })
}

/// The run that succeeded.
pub fn good_view() -> RunView {
    RunView {
        summary: summary(good_run(), RunState::Succeeded),
        push: Some(push_id()),
        command: None,
        trace: Some("4bf92f3577b34da6a3ce929d0e0e4736".into()),
        packaged: Some(Digest::of(b"packaged")),
        slimmed: BTreeMap::from([("prod".to_owned(), slimmed())]),
        profile: None,
        own: Vec::new(),
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
    view.slimmed.clear();
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
