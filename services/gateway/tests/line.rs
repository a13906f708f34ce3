//! What stands still and who may change that: gates and pauses in the views, the acts of people over HTTP.

mod common;

use common::story::*;
use common::*;
use ferry_api::{
    Action, BaseRequest, CanQuery, CanView, Client, ClientError, CommandState, EnvironmentState,
    GateView, LineView, RolloutRequest, RunState, Stretch, StretchRequest,
};
use ferry_bus::{MemoryBus, User};
use ferry_events::body::*;
use ferry_events::command::OnBase;
use ferry_events::gate::{Ask, Outcome as GateOutcome, Point, Verdict};
use ferry_events::line::Act;
use ferry_events::rollout::{Direction, RolloutOutcome};
use ferry_events::run::Outcome;
use ferry_events::{Command, Reason, RunId, Scope, Service, Stop, Verb, command};
use reqwest::StatusCode;
use serde_json::json;

fn approval() -> Ask {
    Ask::Approval {
        by: vec!["approver".into()],
        count: 1,
        not: vec!["dev".into()],
    }
}

fn metric() -> Ask {
    Ask::Metric {
        url: "http://prometheus.example/".into(),
        query: "errors".into(),
        min: None,
        max: Some("0.01".into()),
        interval_ms: 10_000,
        count: 3,
    }
}

/// Verified in pre, planned in prod.
fn comes_to_prod() -> Story {
    let mut story = Story::new(7);
    story.pushed();
    story.slimmed();
    story.planned("pre", Direction::Forward, NEW, &[&["pre-1"]]);
    story.rolled_out("pre", RolloutOutcome::Verified, NEW, None);
    story.planned("prod", Direction::Forward, NEW, &[&["prod-1"], &["prod-2"]]);
    story
}

fn waits_for_approval() -> Story {
    let mut story = comes_to_prod();
    story.waits("approval", Point::Start, approval());
    story
}

fn gates(story: &Story) -> Vec<GateView> {
    story.view().environments[1].gates.clone()
}

fn state(story: &Story) -> EnvironmentState {
    story.view().environments[1].state
}

fn line_of(story: &Story) -> LineView {
    story.views.line(|_| true)
}

#[test]
fn a_rollout_waits_until_its_gates_are_passed() {
    let mut story = waits_for_approval();
    assert_eq!(state(&story), EnvironmentState::WaitingForGate);
    assert_eq!(story.view().environments[0].gates, []);
    assert_eq!(line_of(&story).waiting.len(), 1);
    story.waited(
        "approval",
        Point::Start,
        GateOutcome::Passed,
        &["approver"],
        None,
    );
    assert_eq!(state(&story), EnvironmentState::RollingOut);
    assert_eq!(line_of(&story), LineView::default());

    // Two at one place: the last one counts.
    let after = Point::After(1);
    story.waits("metric errors", after, metric());
    story.waits("pause", after, Ask::Pause);
    story.waited("pause", after, GateOutcome::Passed, &[], None);
    assert_eq!(state(&story), EnvironmentState::WaitingForGate);
    story.judged("metric errors", after, Verdict::Inconclusive, "no data");
    let halted = gates(&story).remove(0);
    assert!(halted.is_halted(), "{halted:?}");
    assert_eq!(halted.last.expect("a verdict").seen, "no data");
    // Asked for anew, it keeps what was seen.
    story.waits("metric errors", after, metric());
    assert!(gates(&story)[0].is_halted());
    story.waited(
        "metric errors",
        after,
        GateOutcome::Promoted,
        &["ops"],
        None,
    );
    assert_eq!(state(&story), EnvironmentState::RollingOut);
    let steps: Vec<_> = story
        .view()
        .steps
        .into_iter()
        .filter(|step| step.name == "gate")
        .collect();
    insta::assert_json_snapshot!(steps);
}

#[test]
fn what_ends_a_rollout_ends_its_waiting() {
    // A gate that fails.
    let mut story = waits_for_approval();
    let stop = Stop::new(Reason::GateExpired, "nobody said yes");
    story.waited(
        "approval",
        Point::Start,
        GateOutcome::Expired,
        &[],
        Some(stop.clone()),
    );
    story.rolled_out("prod", RolloutOutcome::Stopped, OLD, Some(stop.clone()));
    assert_eq!(state(&story), EnvironmentState::Stopped);
    let step = story.view().steps.pop().expect("a step");
    assert_eq!(step.stop.expect("why").code, Reason::GateExpired);

    // A way back, a rollout's end and a run's end, without a word about the gate; one comes late.
    let mut story = waits_for_approval();
    story.planned("prod", Direction::Back, OLD, &[&["prod-1"]]);
    assert_eq!(state(&story), EnvironmentState::RollingBack);
    assert_eq!(gates(&story), []);
    let mut story = waits_for_approval();
    story.rolled_out("prod", RolloutOutcome::Superseded, OLD, None);
    assert_eq!(state(&story), EnvironmentState::Superseded);
    assert_eq!(gates(&story), []);
    story.waits("approval", Point::Start, approval());
    assert_eq!(gates(&story), [], "it is over");
    story.waited("approval", Point::Start, GateOutcome::Cancelled, &[], None);
    let of_gates = |story: &Story| {
        let steps = story.view().steps;
        steps.into_iter().filter(|it| it.name == "gate").count()
    };
    assert_eq!(of_gates(&story), 1, "told late, but the same wait");
    let mut story = waits_for_approval();
    story.ended(Outcome::Cancel, Some("prod"), None);
    assert_eq!(gates(&story), []);
    assert!(story.view().steps.iter().all(|it| it.ended_at.is_some()));
}

#[test]
fn pauses_stand_until_they_are_lifted_and_bite_what_they_concern() {
    let mut story = waits_for_approval();
    let run = Stretch::Run {
        run: story.run,
        module: "hello".into(),
    };
    let environment = |name: &str| Stretch::Environment(name.into());
    let bitten = |story: &Story| -> Vec<String> {
        let whole = story.views.whole(&story.view());
        whole
            .paused
            .iter()
            .map(|it| it.stretch.to_string())
            .collect()
    };
    story.line(1, Act::Pause, environment("prod"));
    story.line(2, Act::Pause, environment("pre"));
    story.line(3, Act::Pause, Stretch::Module("hello".into()));
    story.line(4, Act::Pause, Stretch::Module("cloud".into()));
    story.line(5, Act::Pause, run.clone());
    story.line(6, Act::Pause, Stretch::Everything);
    let short = story.run.short();
    // It has been through pre.
    let expected = [
        "environment prod",
        "module hello",
        &format!("run {short}"),
        "everything",
    ];
    assert_eq!(bitten(&story), expected);
    assert_eq!(line_of(&story).paused.len(), 6, "the oldest first");
    assert_eq!(line_of(&story).paused[0].stretch, environment("prod"));
    // What is told with an older number is past; what is aborted stays paused.
    story.line(2, Act::Resume, Stretch::Everything);
    story.line(7, Act::Abort, Stretch::Everything);
    assert_eq!(line_of(&story).paused.len(), 6);
    story.line(8, Act::Resume, Stretch::Everything);
    story.line(9, Act::Resume, Stretch::Module("hello".into()));
    assert_eq!(
        bitten(&story),
        expected[..1]
            .iter()
            .chain(&expected[2..3])
            .copied()
            .collect::<Vec<_>>()
    );
    // A run that is over is not paused any more, and a pause makes no run.
    story.ended(Outcome::Failure, Some("prod"), None);
    assert_eq!(bitten(&story), Vec::<String>::new());
    let gone = RunId::of("hello", "main", 1, "hello");
    assert!(!line_of(&story).paused.iter().any(|it| it.stretch == run));
    story.line(
        10,
        Act::Pause,
        Stretch::Run {
            run: gone,
            module: "hello".into(),
        },
    );
    assert!(story.views.runs().get(gone).is_none());
}

const APPROVER: &str = "the approver's token";
const OPERATOR: &str = "the token of who operates prod";

/// The configuration with people who may approve, and operate, in prod alone.
fn with_people() -> String {
    let hash = ferry_config::hash_token;
    let text = toml().replace(
        "[environments.prod]\n",
        "[environments.prod]\napproval = { by = [\"team:shop\"] }\n",
    );
    let text = text.replace("[teams.shop]\n", "[teams.shop]\nmembers = [\"approver\"]\n");
    format!(
        "{text}
[tokens.approver]
hash = \"{}\"
grants = [
  {{ role = \"view\" }},
  {{ role = \"approve\", modules = [\"hel*\"], environments = [\"prod\"] }},
]
[tokens.operator]
hash = \"{}\"
grants = [{{ role = \"operate\", environments = [\"prod\"] }}]
",
        hash(APPROVER),
        hash(OPERATOR)
    )
}

/// A gateway that has heard of the run, and the run.
async fn waiting_gateway(bus: &MemoryBus) -> (Gateway, RunId) {
    let story = waits_for_approval();
    for event in &story.events {
        say(bus, event).await;
    }
    let gateway = Gateway::start(bus, &with_people()).await;
    until("the run to be known", || async {
        let run = gateway
            .client(ADMIN)
            .run(&story.run.to_string())
            .await
            .ok()?;
        (run.environments.get(1)?.state == EnvironmentState::WaitingForGate).then_some(())
    })
    .await;
    (gateway, story.run)
}

fn commands(bus: &MemoryBus) -> Vec<Command> {
    let messages = bus.messages("FERRY").unwrap();
    let of_commands = messages
        .iter()
        .filter(|(_, subject, _)| subject.starts_with("ferry.commands."));
    of_commands
        .map(|(_, _, payload)| serde_json::from_slice(payload).unwrap())
        .collect()
}

fn because(why: &str) -> RolloutRequest {
    RolloutRequest {
        environment: None,
        why: why.into(),
    }
}

/// The status, the code and the detail of a refusal.
fn refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) -> (u16, String, String) {
    let error = answer.unwrap_err();
    let problem = error.problem().expect("a refusal");
    (problem.status, problem.code.clone(), problem.detail.clone())
}

#[tokio::test]
async fn approving_and_promoting_take_the_role_there_and_a_reason() {
    let bus = MemoryBus::default();
    let (gateway, run) = waiting_gateway(&bus).await;
    let short = run.short();
    let client = gateway.client(APPROVER);
    let answer = client
        .approve(&short, &because(" looks good "))
        .await
        .unwrap();
    assert_eq!(answer.what, format!("approve run {short} of hello in prod"));
    let sent = commands(&bus).remove(0);
    assert_eq!((sent.id, sent.actor.as_str()), (answer.id, "approver"));
    assert_eq!(sent.why.as_deref(), Some("looks good"));
    let expected = command::Rollout {
        run,
        module: "hello".into(),
        environment: "prod".into(),
    };
    assert_eq!(sent.verb, Verb::Approve(expected.clone()));
    let there = RolloutRequest {
        environment: Some("prod".into()),
        why: "it can wait no longer".into(),
    };
    client.promote(&run.to_string(), &there).await.unwrap();
    assert_eq!(commands(&bus)[1].verb, Verb::Promote(expected));

    // The scheduler knows who may; its refusal comes back with the command.
    let settled = command::Settled {
        command: answer.id,
        actor: "approver".into(),
        verb: "promote".into(),
        why: None,
        based_on: None,
        environment: None,
        module: "hello".into(),
        run: None,
        stop: Some(Stop::new(Reason::NotAllowed, "approver wrote the change")),
    };
    let scope = Scope::module(Some("shop"), "hello");
    say(&bus, &event(Service::Scheduler, scope, 50, settled)).await;
    let view = until("the refusal", || async {
        let view = client.command(answer.id).await.ok()?;
        (view.state == CommandState::Refused).then_some(view)
    })
    .await;
    assert_eq!(view.stop.expect("why").detail, "approver wrote the change");

    // Each lacks something: the role in prod, the role at all, the module; then the run, a reason, a place.
    let why = because("x");
    for token in [VIEWER, OPERATOR] {
        for answer in [
            gateway.client(token).approve(&short, &why).await,
            gateway.client(token).promote(&short, &why).await,
        ] {
            let (status, code, detail) = refused(answer);
            assert_eq!((status, code.as_str()), (403, "not-granted"));
            assert!(
                detail.ends_with("has no grant with role \"approve\" for module hello in prod"),
                "{detail}"
            );
        }
    }
    let pre = RolloutRequest {
        environment: Some("pre".into()),
        ..because("x")
    };
    assert_eq!(refused(client.approve(&short, &pre).await).0, 403);
    let hidden = gateway.client(OTHER).approve(&short, &why).await;
    assert_eq!(refused(hidden).1, "unknown-run");
    assert_eq!(
        refused(client.approve("deadbeef", &why).await).1,
        "unknown-run"
    );
    let empty = refused(client.approve(&short, &because("  ")).await);
    assert_eq!((empty.0, empty.1.as_str()), (400, "bad-request"));
    let moon = RolloutRequest {
        environment: Some("moon".into()),
        ..because("x")
    };
    let (status, code, detail) = refused(client.approve(&short, &moon).await);
    assert_eq!((status, code.as_str()), (404, "unknown-environment"));
    assert!(detail.ends_with("but to: pre, prod"), "{detail}");
    let url = format!("{}/runs/{short}/approve", gateway.url);
    let without = gateway
        .http
        .post(url)
        .bearer_auth(APPROVER)
        .json(&json!({}));
    assert_eq!(
        without.send().await.unwrap().status(),
        400,
        "why is missing"
    );
    assert_eq!(commands(&bus).len(), 2, "what is refused is no command");
    gateway.stop().await;
}

#[tokio::test]
async fn a_run_that_has_come_nowhere_cannot_be_approved() {
    let bus = MemoryBus::default();
    let mut story = Story::new(7);
    story.pushed();
    for event in &story.events {
        say(&bus, event).await;
    }
    let gateway = Gateway::start(&bus, &with_people()).await;
    let client = gateway.client(ADMIN);
    let run = story.run.to_string();
    until("the run to be known", || async {
        client.run(&run).await.ok()
    })
    .await;
    let (status, code, _) = refused(client.approve(&run, &because("x")).await);
    assert_eq!((status, code.as_str()), (409, "nowhere-yet"));
    gateway.stop().await;
}

fn stretch(with: impl FnOnce(&mut StretchRequest)) -> StretchRequest {
    let mut ask = StretchRequest {
        why: Some("prices look wrong".into()),
        ..StretchRequest::default()
    };
    with(&mut ask);
    ask
}

#[tokio::test]
async fn stopping_the_line_takes_the_role_on_all_that_it_concerns() {
    let bus = MemoryBus::default();
    let (gateway, run) = waiting_gateway(&bus).await;
    let everything = stretch(|it| it.everything = true);
    let prod = stretch(|it| it.environment = Some("prod".into()));
    let module = stretch(|it| it.module = Some("hello".into()));
    let one_run = stretch(|it| it.run = Some(run.short()));
    let meant = [
        (&everything, Stretch::Everything),
        (&prod, Stretch::Environment("prod".into())),
        (&module, Stretch::Module("hello".into())),
        (
            &one_run,
            Stretch::Run {
                run,
                module: "hello".into(),
            },
        ),
    ];
    let admin = gateway.client(ADMIN);
    for (ask, stretch) in &meant {
        let answer = admin.pause(ask).await.unwrap();
        assert_eq!(answer.what, format!("pause {stretch}"));
        let sent = commands(&bus).pop().unwrap();
        assert_eq!(sent.verb, Verb::Pause(stretch.clone()));
        assert_eq!(sent.why.as_deref(), Some("prices look wrong"));
        // Who asked may see what became of it.
        let view = admin.command(answer.id).await.unwrap();
        assert_eq!(view.state, CommandState::Waiting);
        admin.abort(ask).await.unwrap();
        assert_eq!(
            commands(&bus).pop().unwrap().verb,
            Verb::Abort(stretch.clone())
        );
        // A pause is lifted without a reason too.
        let ask = StretchRequest {
            why: None,
            ..(*ask).clone()
        };
        admin.resume(&ask).await.unwrap();
        assert_eq!(
            commands(&bus).pop().unwrap().verb,
            Verb::Resume(stretch.clone())
        );
    }
    let before = commands(&bus).len();

    let on = |detail: &str| {
        detail
            .split_once("\"operate\" for ")
            .map(|it| it.1.to_owned())
    };
    for (token, ask, lacking) in [
        (
            VIEWER,
            &everything,
            "every module (\"*\") in every environment (\"*\")",
        ),
        (VIEWER, &prod, "every module (\"*\") in prod"),
        (VIEWER, &module, "module hello in prod"),
        (VIEWER, &one_run, "module hello in prod"),
        (
            OPERATOR,
            &everything,
            "every module (\"*\") in every environment (\"*\")",
        ),
        (OPERATOR, &module, "module hello in pre"),
        (OPERATOR, &one_run, "module hello in pre"),
        (APPROVER, &prod, "every module (\"*\") in prod"),
    ] {
        let client = gateway.client(token);
        for answer in [
            client.pause(ask).await,
            client.resume(ask).await,
            client.abort(ask).await,
        ] {
            let (status, _, detail) = refused(answer);
            assert_eq!(status, 403, "{token}: {detail}");
            assert_eq!(on(&detail).as_deref(), Some(lacking), "{token}");
        }
    }
    let moon = stretch(|it| it.environment = Some("moon".into()));
    assert_eq!(refused(admin.pause(&moon).await).1, "unknown-environment");
    let gone = stretch(|it| it.module = Some("gone".into()));
    assert_eq!(refused(admin.pause(&gone).await).1, "unknown-module");
    let other = gateway.client(OTHER);
    assert_eq!(refused(other.pause(&module).await).1, "unknown-module");
    assert_eq!(refused(other.pause(&one_run).await).1, "unknown-run");
    let silent = StretchRequest {
        why: None,
        ..everything.clone()
    };
    for answer in [
        admin.pause(&silent).await,
        admin.abort(&silent).await,
        admin.pause(&stretch(|_| ())).await,
        admin
            .pause(&stretch(|it| {
                it.everything = true;
                it.module = Some("hello".into());
            }))
            .await,
    ] {
        assert_eq!(refused(answer).0, 400);
    }
    assert_eq!(
        commands(&bus).len(),
        before,
        "what is refused is no command"
    );

    // In prod alone, the operator may.
    assert!(gateway.client(OPERATOR).pause(&prod).await.is_ok());
    gateway.stop().await;
}

#[tokio::test]
async fn a_base_is_held_and_given_back_by_whoever_operates_all_that_goes_there() {
    let bus = MemoryBus::default();
    let (gateway, _) = waiting_gateway(&bus).await;
    let ask = BaseRequest {
        why: "its disk is replaced".into(),
    };
    let admin = gateway.client(ADMIN);
    let on = OnBase {
        base: "prod-1".into(),
        environment: "prod".into(),
    };
    let answer = admin.hold_base("prod-1", &ask).await.unwrap();
    assert_eq!(answer.what, "leave base prod-1 alone");
    let sent = commands(&bus).pop().unwrap();
    assert_eq!(sent.verb, Verb::Hold(on.clone()));
    assert_eq!(sent.why.as_deref(), Some("its disk is replaced"));
    assert!(admin.command(answer.id).await.is_ok());
    admin.release_base("prod-1", &ask).await.unwrap();
    assert_eq!(
        commands(&bus).pop().unwrap().verb,
        Verb::Release(on.clone())
    );
    let answer = admin.restart_base("prod-1", &ask).await.unwrap();
    assert_eq!(answer.what, "restart base prod-1");
    assert_eq!(commands(&bus).pop().unwrap().verb, Verb::Restart(on));

    // In prod alone, the operator may; it learns what became of it, though the command is about no module.
    let operator = gateway.client(OPERATOR);
    let answer = operator.hold_base("prod-1", &ask).await.unwrap();
    assert!(operator.command(answer.id).await.is_ok());
    let before = commands(&bus).len();
    let viewer = gateway.client(VIEWER);
    for answer in [
        viewer.hold_base("prod-1", &ask).await,
        viewer.release_base("prod-1", &ask).await,
        viewer.restart_base("prod-1", &ask).await,
    ] {
        let (status, _, detail) = refused(answer);
        assert_eq!(status, 403, "{detail}");
        assert!(
            detail.ends_with("module cloud in prod, which goes to prod-1"),
            "{detail}"
        );
    }
    // It does not even see pre.
    assert_eq!(refused(operator.hold_base("pre-1", &ask).await).0, 404);
    let (status, code, _) = refused(admin.hold_base("moon-1", &ask).await);
    assert_eq!((status, code.as_str()), (404, "unknown-base"));
    let silent = BaseRequest { why: " ".into() };
    assert_eq!(refused(admin.hold_base("prod-1", &silent).await).0, 400);
    assert_eq!(
        commands(&bus).len(),
        before,
        "what is refused is no command"
    );
    gateway.stop().await;
}

#[test]
fn a_hold_is_shown_with_its_base() {
    let mut story = comes_to_prod();
    let config = ferry_config::parse(&[("ferry.toml".into(), toml())])
        .expect("a good configuration")
        .config;
    let held = |story: &Story| -> Vec<String> {
        let bases = story.views.bases(&config).into_iter();
        bases
            .filter_map(|base| Some(format!("{}: {}", base.name, base.held?)))
            .collect()
    };
    let prod = Stretch::Base {
        base: "prod-1".into(),
        environment: "prod".into(),
    };
    assert_eq!(held(&story), Vec::<String>::new());
    story.line(1, Act::Hold, prod.clone());
    assert_eq!(
        held(&story),
        ["prod-1: base prod-1 was held by ops: prices look wrong"]
    );
    assert_eq!(line_of(&story).paused.len(), 1, "it is on the line, too");
    story.line(2, Act::Release, prod);
    assert_eq!(held(&story), Vec::<String>::new());
}

#[tokio::test]
async fn what_stands_still_is_shown_to_whom_it_concerns_and_kept() {
    let bus = MemoryBus::default();
    let (gateway, run) = waiting_gateway(&bus).await;
    let mut story = Story::new(8);
    story.second = 40;
    story.line(1, Act::Pause, Stretch::Module("hello".into()));
    story.line(2, Act::Pause, Stretch::Everything);
    for event in &story.events {
        say(&bus, event).await;
    }
    let client = gateway.client(VIEWER);
    let line = until("the pauses", || async {
        client.line().await.ok().filter(|it| it.paused.len() == 2)
    })
    .await;
    assert_eq!(line.paused[1].stretch, Stretch::Everything);
    assert_eq!(
        (line.paused[1].actor.as_str(), line.waiting.len()),
        ("ops", 1)
    );
    let waits = &line.waiting[0];
    assert_eq!((waits.run, waits.environment.as_str()), (run, "prod"));
    assert_eq!(waits.gate.name, "approval");
    let shown = client.run(&run.to_string()).await.unwrap();
    assert_eq!(shown.paused, line.paused);
    assert_eq!(shown.summary.state, RunState::RollingOut);
    let other = gateway.client(OTHER).line().await.unwrap();
    assert_eq!((other.paused.len(), other.waiting.len()), (1, 0));

    // The record outlives the events: a gateway that has no event left still knows.
    let record = until("the record", || async {
        let subject = "ferry.state.gateway.line";
        ferry_bus::Bus::read(&bus, subject).await.unwrap()
    })
    .await;
    gateway.stop().await;
    let fresh = MemoryBus::default();
    let write = ferry_bus::Write::state(
        "ferry.state.gateway.line".to_owned(),
        record.payload.clone(),
        0,
        ferry_bus::Keep::Forever,
    );
    let user = fresh.as_user(User::Service(Service::Gateway));
    ferry_bus::Bus::commit(&user, vec![write].into())
        .await
        .unwrap();
    let gateway = Gateway::start(&fresh, &with_people()).await;
    let line = gateway.client(ADMIN).line().await.unwrap();
    assert_eq!(line.paused, shown.paused);
    gateway.stop().await;
}

async fn can(client: &Client, action: Action, environment: &str) -> CanView {
    let query = CanQuery {
        action,
        module: "hello".into(),
        environment: environment.into(),
        token: None,
    };
    client.can(&query).await.unwrap()
}

#[tokio::test]
async fn who_may_do_what_is_explained() {
    let bus = MemoryBus::default();
    let gateway = Gateway::start(&bus, &with_people()).await;
    let (approver, admin) = (gateway.client(APPROVER), gateway.client(ADMIN));
    let yes = can(&approver, Action::Approve, "prod").await;
    assert!(yes.allowed && yes.not_author, "{yes:?}");
    assert_eq!(yes.by.len(), 1);
    assert_eq!((yes.by[0].index, yes.by[0].role.as_str()), (1, "approve"));
    assert_eq!(yes.by[0].modules, ["hel*"]);
    assert_eq!(yes.who, None, "only for admins");
    let no = can(&approver, Action::Promote, "pre").await;
    assert!(!no.allowed && no.by.is_empty(), "{no:?}");
    assert_eq!(
        (no.role.as_str(), no.missing_in),
        ("approve", vec!["pre".to_owned()])
    );
    // The role is there, but the environment names somebody else.
    let no = can(&admin, Action::Approve, "prod").await;
    assert!(!no.allowed && !no.by.is_empty(), "{no:?}");
    assert_eq!(no.approvers.as_deref(), Some(&["approver".to_owned()][..]));
    assert_eq!(no.who.as_deref(), Some(&["approver".to_owned()][..]));
    // A run goes through every environment.
    let viewer = gateway.client(VIEWER);
    let no = can(&viewer, Action::Run, "pre").await;
    assert!(!no.allowed, "{no:?}");
    assert_eq!(no.missing_in, ["prod"]);
    assert!(can(&viewer, Action::Rollback, "pre").await.allowed);
    let all = can(&admin, Action::View, "pre").await.who.unwrap();
    assert_eq!(all, ["admin", "approver", "viewer"]);

    let of = |token: &str| CanQuery {
        action: Action::Pause,
        module: "hello".into(),
        environment: "prod".into(),
        token: Some(token.into()),
    };
    let operator = admin.can(&of("operator")).await.unwrap();
    assert!(operator.allowed && operator.token == "operator");
    assert_eq!(refused(admin.can(&of("nobody")).await).1, "unknown-token");
    assert_eq!(refused(viewer.can(&of("operator")).await).0, 403);
    assert!(!viewer.can(&of("viewer")).await.unwrap().allowed, "its own");
    // What is not to be seen is answered alike, be it there or not.
    let other = gateway.client(OTHER);
    let ask = |module: &str| CanQuery {
        module: module.into(),
        ..of("other")
    };
    for action in [Action::Pause, Action::Run, Action::Approve] {
        let ask = |module: &str| CanQuery {
            action,
            ..ask(module)
        };
        let hidden = other.can(&ask("hello")).await.unwrap();
        let gone = CanView {
            module: "hello".into(),
            ..other.can(&ask("gone")).await.unwrap()
        };
        assert_eq!(hidden, gone);
        assert!(!hidden.allowed);
        assert_eq!((hidden.approvers, hidden.not_author), (None, false));
    }
    assert_eq!(refused(admin.can(&ask("gone")).await).1, "unknown-module");
    let moon = CanQuery {
        environment: "moon".into(),
        ..of("admin")
    };
    assert_eq!(refused(admin.can(&moon).await).1, "unknown-environment");
    let url = format!(
        "{}/can?action=fly&module=hello&environment=prod",
        gateway.url
    );
    let answer = gateway
        .http
        .get(url)
        .bearer_auth(ADMIN)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    gateway.stop().await;
}

#[test]
fn a_wave_may_begin_late_and_the_wait_is_over_all_the_same() {
    let mut story = waits_for_approval();
    story.say(
        Service::Scheduler,
        Some("prod"),
        WaveStarted(story.wave(1, None)),
    );
    assert_eq!(state(&story), EnvironmentState::WaitingForGate);
    story.waited("approval", Point::Start, GateOutcome::Passed, &[], None);
    assert_eq!(state(&story), EnvironmentState::RollingOut);
}
