//! Rollouts that wait, pauses that stand, and what somebody may do.

use chrono::TimeDelta;
use ferry_api::{
    Action, CanView, CommandView, EnvironmentPlan, EnvironmentState, EnvironmentView, GateView,
    GrantView, LineView, PlanView, RunState, RunView, Standing, StopView, Stretch, TaskState,
    TaskView, VerdictView, WaitView,
};
use ferry_events::gate::{self, Ask, Point};
use ferry_events::question::{Differing, Preview, Waiting};
use ferry_events::{Digest, Reason, RunId, Stop, Timestamp, rollout};

use super::events::plan;
use super::runs::{on_base, step, summary};
use super::{BEFORE, VERSION, began, good_view, now, refused};

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
        Ask::Release { .. } => "prices to be well there",
        Ask::Calendar => "the window office-hours opens",
        Ask::Decision => "a person decides",
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

pub(super) fn approval() -> GateView {
    let ask = Ask::Approval {
        by: vec!["bob".into(), "carol".into()],
        count: 1,
        not: vec!["ada".into()],
    };
    gate("approval", Point::Start, ask, 7_500, 86_400)
}

pub(super) fn metric() -> GateView {
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
        quarantined: false,
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

/// A base that a person holds.
pub fn holds() -> Vec<Standing> {
    vec![Standing {
        stretch: Stretch::Base {
            base: "prod-8".into(),
            environment: "prod".into(),
        },
        since: ago(3_600),
        actor: "ada".into(),
        why: Some("its disk is replaced".into()),
        quarantined: false,
    }]
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

/// What would be done: in pre one base, in prod three zones with an approval, a metric and a lost base.
pub fn plan_view() -> PlanView {
    let step = |base: &str, zone: &str| rollout::Step {
        base: base.into(),
        pool: "prod".into(),
        zone: zone.into(),
    };
    let zone = |bases| rollout::Zone {
        bases,
        max_unavailable: 1,
        min_available: 1,
    };
    let zones = |names: &[(&str, u32)]| {
        let named = names
            .iter()
            .map(|(name, bases)| ((*name).to_owned(), zone(*bases)));
        named.collect()
    };
    let wait = |point, name: &str, what: &str| Waiting {
        point,
        name: name.into(),
        what: what.into(),
    };
    let preview = |environment: &str, plan: Option<rollout::Plan>| Preview {
        environment: environment.into(),
        live: Some(BEFORE.into()),
        version: VERSION.into(),
        packaged: Digest::of(b"packaged"),
        plan,
        differing: Vec::new(),
        waits: Vec::new(),
        stops: Vec::new(),
    };
    let mut pre = plan();
    pre.waves = vec![vec![step("pre-1", "default")]];
    pre.limits.zones = zones(&[("default", 1)]);
    let mut prod = plan();
    prod.waves = vec![
        vec![step("prod-1", "east")],
        vec![step("prod-2", "east"), step("prod-3", "west")],
        vec![step("prod-4", "west")],
    ];
    prod.left_out = vec![rollout::LeftOut {
        step: step("prod-5", "west"),
        why: Stop::new(
            Reason::BaseHeld,
            "base prod-5 was held by ada: its disk is replaced",
        )
        .on("prod-5"),
    }];
    prod.limits.zones = zones(&[("east", 2), ("west", 2)]);
    prod.limits.max_failures = 1;
    prod.limits.soak_ms = 600_000;
    let prod = Preview {
        differing: vec![Differing {
            base: "prod-3".into(),
            actual: None,
            lost: true,
        }],
        waits: vec![
            wait(Point::Start, "approval", "the approval of 1 of bob, carol"),
            wait(
                Point::After(1),
                "metric errors",
                "errors to be at most 0.01, 3 times",
            ),
            wait(
                Point::End,
                "metric errors",
                "errors to be at most 0.01, 3 times",
            ),
        ],
        ..preview("prod", Some(prod))
    };
    let refused = Preview {
        live: None,
        stops: vec![Stop::new(
            Reason::PlanRefused,
            "zone east has 1 bases of the module, of which 1 must stay in service and 1 may be out of it",
        )],
        ..preview("far", None)
    };
    let of = |preview, takes_ms| EnvironmentPlan { preview, takes_ms };
    PlanView {
        module: "hello".into(),
        environments: vec![
            of(preview("pre", Some(pre)), Some(2_730)),
            of(prod, Some(608_190)),
            of(refused, None),
        ],
    }
}
