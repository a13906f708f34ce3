//! Bases are out of their load balancer while they are changed, and come back whatever happens.

mod support;

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use ferry_bus::{Bus, Keep, MemoryBus, StreamLimits, Write};
use ferry_config::{AtDeadline, Config, Drain, SecretRef};
use ferry_events::{Reason, Service, subject, task::Want};
use ferry_fake_base::FakeJar;
use ferry_installer::{
    InstallerDecide, InstallerEffects,
    decide::{Base, Outcome, Phase, Prepared, PreparedEnd, Work},
};
use ferry_rig::wait::until;
use ferry_runtime::{Clock, Context, Decide, Effects, Hands, Input, Job, Key, Settings, Stored};
use support::{
    BASE, BIZ,
    balancer::Balancer,
    config, drain, event,
    line::WAIT,
    on_fake::{OnFake, active, reason},
    plan, start, task, want,
};
use tokio_util::sync::CancellationToken;

/// A line whose bases are behind a load balancer.
async fn drained(change: impl FnOnce(&mut Drain)) -> (OnFake, Balancer) {
    let balancer = Balancer::start().await;
    let mut drain = drain(&balancer.url);
    change(&mut drain);
    let line = OnFake::with(|config| {
        config.pools.get_mut("one").unwrap().drain = Some(drain);
    })
    .await;
    (line, balancer)
}

async fn web(line: &OnFake, version: &str) -> Want {
    Want {
        web_context_path: Some("/hello".into()),
        ..line.web(version).await
    }
}

async fn back(balancer: &Balancer) {
    until("the base to be back", WAIT, || async {
        Ok((!balancer.is_out(BASE)).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_base_is_out_while_it_is_changed_and_back_when_the_module_is_active() {
    let (mut line, balancer) = drained(|_| {}).await;
    let (one, two) = (web(&line, "1").await, web(&line, "2").await);
    line.deploy("one", Some(one.clone()), None).await;
    balancer.set(|wrong| wrong.lingering = 3);
    balancer.watch(format!("{}/hello/", line.base.modules_url));
    let second = line.deploy("two", Some(two.clone()), Some(one)).await;
    assert_eq!(second.stop, None);
    let steps: Vec<&str> = second.steps.iter().map(|it| it.step.as_str()).collect();
    assert_eq!(
        steps,
        [
            "observe",
            "fetch",
            "drain",
            "uninstall",
            "install",
            "undrain"
        ]
    );
    assert_eq!(
        balancer.calls(),
        [
            "drain",
            "undrain",
            "drain: hello-biz 1",
            "undrain: hello-biz 2"
        ]
    );
    assert!(balancer.authorization().contains("none"));

    // Nothing is to be done: nothing is asked.
    let again = line.deploy("again", Some(two), None).await;
    assert_eq!((again.stop, balancer.calls().len()), (None, 4));
}

#[tokio::test]
async fn a_module_without_a_web_path_is_changed_in_service() {
    let (mut line, balancer) = drained(|_| {}).await;
    let one = line.store(&FakeJar::new(BIZ, "1"), "1").await;
    let first = line.deploy("one", Some(one), None).await;
    assert_eq!(first.stop, None);
    assert_eq!(balancer.calls(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_web_module_that_is_taken_out_is_drained_for_too() {
    let (mut line, balancer) = drained(|_| {}).await;
    let one = web(&line, "1").await;
    line.deploy("one", Some(one), None).await;
    let out = line.deploy("out", None, None).await;
    assert_eq!((out.stop, out.running), (None, None));
    assert_eq!(balancer.calls(), ["drain", "undrain", "drain", "undrain"]);
}

#[tokio::test]
async fn a_secret_goes_with_every_request_and_into_no_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("balancer");
    std::fs::write(&file, "Bearer hush-hush\n").unwrap();
    let (mut line, balancer) = drained(|drain| drain.secret = Some(SecretRef::File(file))).await;
    let one = web(&line, "1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let heard = balancer.authorization();
    assert_eq!(heard.into_iter().collect::<Vec<_>>(), ["Bearer hush-hush"]);

    balancer.set(|wrong| wrong.drain = Some(StatusCode::NOT_FOUND));
    let two = web(&line, "2").await;
    let failed = line.deploy("two", Some(two), Some(one)).await;
    let detail = failed.stop.unwrap().detail;
    assert!(detail.contains("404: no server pre-1 for"), "{detail}");
    assert!(!detail.contains("hush"), "{detail}");

    std::fs::remove_file(folder.path().join("balancer")).unwrap();
    let failed = line.deploy("three", None, None).await;
    assert_eq!(reason(&failed), Some(Reason::DrainFailed));
    let detail = failed.stop.unwrap().detail;
    assert!(detail.contains("cannot be read"), "{detail}");
}

#[tokio::test]
async fn a_base_that_cannot_be_drained_is_not_changed_and_is_put_back() {
    let (mut line, balancer) = drained(|drain| drain.deadline = Duration::from_millis(300)).await;
    let (one, two) = (web(&line, "1").await, web(&line, "2").await);
    line.deploy("one", Some(one.clone()), None).await;

    balancer.set(|wrong| wrong.drain = Some(StatusCode::SERVICE_UNAVAILABLE));
    let away = line
        .deploy("two", Some(two.clone()), Some(one.clone()))
        .await;
    assert_eq!(reason(&away), Some(Reason::DrainFailed));
    assert_eq!(away.running.as_deref(), Some("1"));

    balancer.set(|wrong| (wrong.drain, wrong.lingering) = (None, u32::MAX));
    let lingers = line.deploy("three", Some(two), Some(one)).await;
    assert_eq!(reason(&lingers), Some(Reason::DrainFailed));
    let detail = lingers.stop.unwrap().detail;
    assert!(detail.contains("connections: 1"), "{detail}");

    assert_eq!(line.on_base(), active("1"));
    assert_eq!(line.effects(), ["installBiz 1"]);
    assert!(!balancer.is_out(BASE));
}

#[tokio::test]
async fn connections_that_never_end_can_be_left_behind() {
    let (mut line, balancer) = drained(|drain| {
        drain.deadline = Duration::from_millis(300);
        drain.at_deadline = AtDeadline::Proceed;
    })
    .await;
    balancer.set(|wrong| wrong.lingering = u32::MAX);
    let one = web(&line, "1").await;
    let done = line.deploy("one", Some(one.clone()), None).await;
    assert_eq!(done.stop, None);
    assert_eq!(balancer.calls(), ["drain", "undrain"]);

    // Only the wait is cut short: a base that was never told to drain is not changed.
    balancer.set(|wrong| wrong.drain = Some(StatusCode::SERVICE_UNAVAILABLE));
    let two = web(&line, "2").await;
    let away = line.deploy("two", Some(two), Some(one)).await;
    assert_eq!(reason(&away), Some(Reason::DrainFailed));
}

#[tokio::test]
async fn a_base_that_cannot_be_put_back_fails_its_task_and_is_put_back_later() {
    let (mut line, balancer) = drained(|drain| drain.deadline = Duration::from_millis(300)).await;
    let one = web(&line, "1").await;
    balancer.set(|wrong| wrong.undrain = Some(StatusCode::BAD_GATEWAY));
    let failed = line.deploy("one", Some(one), None).await;
    assert_eq!(reason(&failed), Some(Reason::UndrainFailed));
    assert_eq!(failed.running.as_deref(), Some("1"));
    assert_eq!(failed.stop.unwrap().base.as_deref(), Some(BASE));
    assert!(balancer.is_out(BASE));
    balancer.set(|wrong| wrong.undrain = None);
    back(&balancer).await;
}

#[tokio::test]
async fn a_base_is_put_back_after_a_version_that_does_not_start() {
    let (mut line, balancer) = drained(|_| {}).await;
    let one = web(&line, "1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let thrown = "java.lang.IllegalStateException: no";
    let jar = FakeJar::new(BIZ, "2").web("hello").start_fails(thrown);
    let two = line.store(&jar, "2").await;
    let failed = line.deploy("two", Some(two), Some(one)).await;
    assert_eq!(reason(&failed), Some(Reason::InstallFailed));
    assert_eq!(failed.running.as_deref(), Some("1"));
    let steps: Vec<&str> = failed.steps.iter().map(|it| it.step.as_str()).collect();
    assert!(steps.ends_with(&["restore", "undrain"]), "{steps:?}");
    assert_eq!(balancer.calls(), ["drain", "undrain", "drain", "undrain"]);
}

#[tokio::test]
async fn a_newer_plan_leaves_no_base_out() {
    let (mut line, balancer) = drained(|_| {}).await;
    let one = web(&line, "1").await;
    balancer.set(|wrong| wrong.holds = true);
    let task = line.ask("one", Some(one), None).await;
    balancer.came.notified().await;
    let newer = vec![support::in_force(Some(&plan("two")))];
    line.bus.commit(newer.into()).await.unwrap();
    balancer.go.notify_one();
    let finished = line.finished(task).await;
    assert_eq!(reason(&finished), Some(Reason::PlanOutdated));
    assert!(line.on_base().is_empty() && !balancer.is_out(BASE));
}

/// The installer ends while the module starts, something happens to the load balancer, and another installer goes on.
async fn taken_over(line: &mut OnFake, balancer: &Balancer, meanwhile: impl FnOnce(&Balancer)) {
    line.services.pop().unwrap().drain().await;
    let hasty = Settings {
        drain_work: Duration::from_millis(10),
        ..Settings::default()
    };
    line.run(hasty).await;
    let jar = FakeJar::new(BIZ, "1").web("hello").install_ms(800);
    let slow = Want {
        web_context_path: Some("/hello".into()),
        ..line.store(&jar, "1").await
    };
    let task = line.ask("one", Some(slow), None).await;
    until("the module to start", WAIT, || async {
        Ok((!line.base.modules().is_empty()).then_some(()))
    })
    .await
    .unwrap();
    line.services.pop().unwrap().drain().await;
    assert!(balancer.is_out(BASE));
    meanwhile(balancer);
    line.run(Settings::default()).await;
    let done = line.finished(task).await;
    assert_eq!((done.stop, done.running.as_deref()), (None, Some("1")));
    assert!(!balancer.is_out(BASE));
    assert_eq!(line.effects(), ["installBiz 1"]);
}

#[tokio::test]
async fn a_base_whose_installer_dies_is_put_back_by_the_next() {
    let (mut line, balancer) = drained(|_| {}).await;
    taken_over(&mut line, &balancer, |_| {}).await;
}

/// A record from a backup says that the base is out, and it has been back since.
#[tokio::test]
async fn a_base_that_only_its_record_has_as_out_is_taken_out_again() {
    let (mut line, balancer) = drained(|_| {}).await;
    taken_over(&mut line, &balancer, |balancer| balancer.put_back(BASE)).await;
    assert_eq!(balancer.calls(), ["drain", "drain", "undrain"]);
}

/// A record in which a base is being drained.
fn draining(config: &Config) -> Base {
    let wanted = task(BASE, &plan("p"), Some(want("2")), None);
    let context = Context {
        now: start(),
        config: Arc::new(config.clone()),
        revision: plan("revision"),
    };
    let decide = |state: &Base, input| {
        let key = Key::new("base", &[BASE]);
        InstallerDecide
            .decide(&key, state, &input, &context)
            .unwrap()
            .state
    };
    let asked = Input::Event(Arc::new(event(1, wanted)));
    let ready = Input::Outcome(Outcome::Prepared(Prepared {
        end: PreparedEnd::Ready {
            seen: Vec::new(),
            restorable: false,
        },
        settled: true,
        observe_ms: 1,
        fetch_ms: None,
    }));
    let state = decide(&decide(&Base::default(), asked), ready);
    assert_eq!(
        state.in_hand.as_ref().map(|hand| &hand.phase),
        Some(&Phase::Drain)
    );
    state
}

/// An installer stands still with a drain in its hands, until the base is back in service.
#[tokio::test]
async fn a_call_that_comes_too_late_is_taken_back() {
    let balancer = Balancer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&[(BASE, "http://127.0.0.1:9", "http://127.0.0.1:9")]);
    config.pools.get_mut("one").unwrap().drain = Some(Drain {
        modules: ferry_config::DrainFor::All,
        timeout: Duration::from_secs(20),
        deadline: Duration::from_secs(20),
        ..drain(&balancer.url)
    });
    let bus = MemoryBus::new(start(), &StreamLimits::default());
    let key = Key::new("base", &[BASE]);
    let put = async |state: Base, expected: u64| {
        let stored = serde_json::to_vec(&Stored {
            state,
            ..Stored::default()
        })
        .unwrap();
        let subject = subject::state(Service::Installer, key.as_str());
        let state = Write::state(subject, stored, expected, Keep::Forever);
        let in_force = support::in_force(Some(&plan("p")));
        let done = bus.commit(vec![state, in_force].into()).await.unwrap();
        done.sequences[0]
    };
    let state = draining(&config);
    let at = put(state.clone(), 0).await;
    let hands = Hands::new(Arc::new(bus.clone()));
    let effects = InstallerEffects::new(hands, folder.path())
        .unwrap()
        .with_clock(Clock::wall());
    let job = Job {
        key: key.clone(),
        work: InstallerDecide.work(&key, &state).unwrap(),
        attempt: 1,
        failed: None,
        config: Arc::new(config.clone()),
        cancel: CancellationToken::new(),
    };
    assert!(matches!(job.work, Work::Drain { .. }));
    balancer.set(|wrong| wrong.holds = true);
    let stale = tokio::spawn(async move { effects.perform(job).await });
    balancer.came.notified().await;
    // Its claim is lost, and with it whoever waits for the answer; another has put the base back.
    stale.abort();
    put(Base::default(), at).await;
    assert!(balancer.is_out(BASE));
    balancer.go.notify_one();
    back(&balancer).await;
    assert_eq!(balancer.calls(), ["drain", "undrain"]);
}
