//! The whole installer on the bus in memory, against bases that speak arklet's protocol over real HTTP
//! and lie as real ones do.

mod support;

use std::time::Duration;

use ferry_bus::{Bus, Write};
use ferry_events::{Digest, Reason, TaskId, subject, task::Want};
use ferry_fake_base::{FakeBase, FakeJar, Phase, StuckAt};
use ferry_runtime::Settings;
use support::{
    BIZ, MODULE, event, in_force,
    line::WAIT,
    on_fake::{OnFake, active, reason},
    plan, task,
};

#[tokio::test]
async fn a_first_version_goes_in_and_a_second_takes_its_place() {
    let mut line = OnFake::start().await;
    let (one, two) = (line.web("1").await, line.web("2").await);
    let first = line.deploy("one", Some(one.clone()), None).await;
    assert_eq!(first.stop, None);
    assert_eq!(first.running.as_deref(), Some("1"));
    assert_eq!(line.answer().await, (200, format!("{BIZ} 1")));

    let second = line.deploy("two", Some(two), Some(one)).await;
    assert_eq!(second.stop, None);
    assert_eq!(second.running.as_deref(), Some("2"));
    assert!(second.revision > first.revision);
    let steps: Vec<&str> = second.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(steps, ["observe", "fetch", "uninstall", "install"]);
    assert_eq!(line.on_base(), active("2"));
    assert_eq!(line.answer().await, (200, format!("{BIZ} 2")));
    assert_eq!(
        line.effects(),
        ["installBiz 1", "uninstallBiz 1", "installBiz 2"]
    );

    let fact = line.fact().await;
    assert!(!fact.busy);
    let left = &fact.modules[MODULE];
    assert_eq!(
        (left.version.as_deref(), left.revision),
        (Some("2"), second.revision)
    );
    assert_eq!(left.biz, BIZ);
}

#[tokio::test]
async fn what_is_right_already_is_left_alone() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let again = line.deploy("again", Some(one), None).await;
    assert_eq!(
        (again.stop.as_ref(), again.running.as_deref()),
        (None, Some("1"))
    );
    assert_eq!(line.effects(), ["installBiz 1"]);
    let asked = line
        .base
        .ledger()
        .entries()
        .iter()
        .filter(|entry| entry.phase == Phase::Asked)
        .count();
    assert_eq!(asked, 1, "no call that changes something");
}

#[tokio::test]
async fn the_same_request_again_and_again_has_one_effect() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    for _ in 0..3 {
        line.ask("one", Some(one.clone()), None).await;
    }
    let task = TaskId::of(&plan("one"), "pre-1");
    line.finished(task).await;
    line.ask("one", Some(one.clone()), None).await;
    let two = line.web("2").await;
    line.deploy("two", Some(two), None).await;
    assert_eq!(
        line.effects(),
        ["installBiz 1", "uninstallBiz 1", "installBiz 2"]
    );
    let events = line.bus.messages(subject::STREAM).unwrap();
    let ends = events
        .iter()
        .filter(|(_, subject, _)| subject.ends_with("taskrun.finished"))
        .count();
    assert_eq!(ends, 2);
}

#[tokio::test]
async fn a_module_without_spring_answers_its_uninstall_with_an_error_and_is_gone() {
    let mut line = OnFake::start().await;
    let one = line.store(&FakeJar::new(BIZ, "1").plain(), "1").await;
    line.deploy("one", Some(one), None).await;
    let out = line.deploy("out", None, None).await;
    assert_eq!((out.stop.as_ref(), out.running.as_deref()), (None, None));
    assert!(line.on_base().is_empty());
    assert_eq!(line.fact().await.modules[MODULE].version, None);
}

#[tokio::test]
async fn a_start_that_fails_puts_the_version_before_back_and_says_the_cause() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let thrown = "java.lang.IllegalStateException: the price list is empty";
    let two = line
        .store(
            &FakeJar::new(BIZ, "2").web("hello").start_fails(thrown),
            "2",
        )
        .await;
    let failed = line.deploy("two", Some(two), Some(one)).await;
    let stop = failed.stop.as_ref().expect("it fails");
    assert_eq!(stop.reason, Reason::InstallFailed);
    assert!(stop.detail.contains(thrown), "{}", stop.detail);
    assert_eq!(stop.base.as_deref(), Some("pre-1"));
    assert_eq!(failed.running.as_deref(), Some("1"));
    assert!(failed.steps.iter().any(|step| step.step == "restore"));
    assert_eq!(line.answer().await, (200, format!("{BIZ} 1")));
    assert_eq!(
        line.fact().await.modules[MODULE].version.as_deref(),
        Some("1")
    );
}

#[tokio::test]
async fn a_cause_that_the_record_cannot_hold_is_asked_for_in_the_other_way() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    line.deploy("one", Some(one.clone()), None).await;
    line.base.faults().set(|faults| faults.untold_causes = true);
    let thrown = "java.lang.IllegalStateException: the price list is empty";
    let two = FakeJar::new(BIZ, "2").web("hello").start_fails(thrown);
    let two = line.store(&two, "2").await;
    let failed = line.deploy("two", Some(two), Some(one)).await;
    let stop = failed.stop.as_ref().expect("it fails");
    assert_eq!(stop.reason, Reason::InstallFailed);
    assert!(stop.detail.contains(thrown), "{}", stop.detail);
    assert_eq!(failed.running.as_deref(), Some("1"));
    assert_eq!(line.answer().await, (200, format!("{BIZ} 1")));
}

#[tokio::test]
async fn a_base_that_had_none_is_left_without() {
    let mut line = OnFake::start().await;
    let bad = line
        .store(
            &FakeJar::new(BIZ, "1").start_fails("java.lang.Error: no"),
            "1",
        )
        .await;
    let failed = line.deploy("one", Some(bad), None).await;
    assert_eq!(reason(&failed), Some(Reason::InstallFailed));
    assert_eq!(failed.running, None);
    assert!(line.on_base().is_empty());
}

#[tokio::test]
async fn nothing_is_touched_when_the_jar_is_not_to_be_had_or_is_another() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let missing = Want {
        digest: Digest::of(b"nowhere"),
        size: 1,
        version: "2".into(),
        web_context_path: None,
    };
    let failed = line
        .deploy("missing", Some(missing), Some(one.clone()))
        .await;
    assert_eq!(reason(&failed), Some(Reason::StoreFailed));
    assert_eq!(failed.running.as_deref(), Some("1"));
    let other = line.store(&FakeJar::new("other", "2"), "2").await;
    assert_eq!(
        reason(&line.deploy("other", Some(other), None).await),
        Some(Reason::JarRefused)
    );
    let no_zip = line.store_bytes(b"no zip", "2").await;
    assert_eq!(
        reason(&line.deploy("no zip", Some(no_zip), None).await),
        Some(Reason::JarRefused)
    );
    let no_biz = line
        .store(
            &FakeJar::new(BIZ, "2").without_manifest_key("Ark-Biz-Name"),
            "2",
        )
        .await;
    assert_eq!(
        reason(&line.deploy("no biz", Some(no_biz), None).await),
        Some(Reason::NotABiz)
    );
    assert_eq!(line.effects(), ["installBiz 1"]);
    assert_eq!(line.on_base(), active("1"));
}

#[tokio::test]
async fn replies_lost_after_the_work_was_done_change_nothing() {
    let mut line = OnFake::start().await;
    let (one, two) = (line.web("1").await, line.web("2").await);
    line.deploy("one", Some(one), None).await;
    line.base
        .faults()
        .set(|faults| faults.lose_reply_after_effect = 2);
    let done = line.deploy("two", Some(two), None).await;
    assert_eq!(
        (done.stop.as_ref(), done.running.as_deref()),
        (None, Some("2"))
    );
    assert_eq!(
        line.effects(),
        ["installBiz 1", "uninstallBiz 1", "installBiz 2"]
    );
}

#[tokio::test]
async fn requests_that_never_arrive_are_made_again_under_another_id() {
    let mut line = OnFake::start().await;
    let (one, two) = (line.web("1").await, line.web("2").await);
    line.deploy("one", Some(one), None).await;
    line.base.faults().set(|faults| faults.lose_request = 1);
    let done = line.deploy("two", Some(two), None).await;
    assert_eq!(
        (done.stop.as_ref(), done.running.as_deref()),
        (None, Some("2"))
    );
    assert_eq!(
        line.effects(),
        ["installBiz 1", "uninstallBiz 1", "installBiz 2"]
    );
    let task = TaskId::of(&plan("two"), "pre-1");
    let lost = task.request("uninstall", 1).to_string();
    assert_eq!(line.base.ledger().effects(&lost), 0);
    assert!(
        line.base.record(&lost).is_some(),
        "the id of the lost request is used up"
    );
}

#[tokio::test]
async fn records_that_never_end_are_not_waited_for() {
    for stuck in [StuckAt::Initialized, StuckAt::Executing] {
        let mut line = OnFake::start().await;
        line.base
            .faults()
            .set(|faults| faults.record_stuck = Some(stuck));
        let (one, two) = (line.web("1").await, line.web("2").await);
        line.deploy("one", Some(one), None).await;
        let done = line.deploy("two", Some(two), None).await;
        assert_eq!(
            (done.stop.as_ref(), done.running.as_deref()),
            (None, Some("2"))
        );
        assert_eq!(line.on_base(), active("2"));
    }
}

#[tokio::test]
async fn a_base_that_restarts_empty_in_the_middle_gets_the_module_all_the_same() {
    let mut line = OnFake::start().await;
    let slow = line
        .store(&FakeJar::new(BIZ, "1").web("hello").install_ms(600), "1")
        .await;
    let task = line.ask("one", Some(slow), None).await;
    let first = task.request("install", 1).to_string();
    let asked =
        |entry: &ferry_fake_base::Entry| entry.request_id.as_deref() == Some(first.as_str());
    line.base
        .ledger()
        .wait_for(WAIT, asked)
        .await
        .expect("the install is asked for");
    line.base.restart_empty();
    let done = line.finished(task).await;
    assert_eq!(
        (done.stop.as_ref(), done.running.as_deref()),
        (None, Some("1"))
    );
    assert_eq!(line.on_base(), active("1"));
    assert_eq!(
        line.base.ledger().effects(&first),
        0,
        "the first one died with the base"
    );
}

#[tokio::test]
async fn a_base_that_refuses_connections_is_unreachable_and_a_frozen_one_times_out() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    line.base
        .faults()
        .set(|faults| faults.refuse_connections = true);
    let refused = line.deploy("refused", Some(one.clone()), None).await;
    assert_eq!(reason(&refused), Some(Reason::BaseUnreachable));
    assert_eq!(refused.running, None);
    line.base.faults().clear();
    line.base.faults().set(|faults| faults.freeze = true);
    let frozen = line.deploy("frozen", Some(one.clone()), None).await;
    assert_eq!(reason(&frozen), Some(Reason::BaseTimeout));
    line.base.faults().clear();
    let done = line.deploy("well", Some(one), None).await;
    assert_eq!(
        (done.stop.as_ref(), done.running.as_deref()),
        (None, Some("1"))
    );
}

#[tokio::test]
async fn an_install_that_hangs_makes_way_for_the_version_before() {
    let mut line =
        OnFake::with(|config| config.installer.install_timeout = Duration::from_millis(400)).await;
    let one = line.web("1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let hangs = line
        .store(&FakeJar::new(BIZ, "2").web("hello").install_ms(20_000), "2")
        .await;
    let failed = line.deploy("two", Some(hangs), Some(one)).await;
    assert_eq!(reason(&failed), Some(Reason::BaseTimeout));
    assert_eq!(failed.running.as_deref(), Some("1"));
    assert_eq!(line.answer().await, (200, format!("{BIZ} 1")));
}

#[tokio::test]
async fn a_task_of_another_plan_changes_nothing() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    let old = task("pre-1", &plan("old"), Some(one), None);
    let id = old.task;
    let new = plan("new");
    let writes = vec![in_force(Some(&new)), Write::event(&event(99, old))];
    line.bus.commit(writes.into()).await.unwrap();
    let finished = line.finished(id).await;
    assert_eq!(reason(&finished), Some(Reason::PlanOutdated));
    assert!(line.base.ledger().entries().is_empty());
    line.bus.commit(vec![in_force(None)].into()).await.unwrap();
    let none = task("pre-1", &plan("none"), None, None);
    let id = none.task;
    line.number += 1;
    line.bus
        .commit(vec![Write::event(&event(line.number, none))].into())
        .await
        .unwrap();
    assert_eq!(reason(&line.finished(id).await), Some(Reason::PlanOutdated));
}

#[tokio::test]
async fn a_plan_that_changes_in_the_middle_stops_the_task_before_its_next_change() {
    let mut line = OnFake::start().await;
    let one = line.web("1").await;
    line.deploy("one", Some(one.clone()), None).await;
    let thrown = "java.lang.IllegalStateException: no";
    let jar = FakeJar::new(BIZ, "2").behaves(ferry_fake_base::Behaviour {
        start_fails: Some(thrown.into()),
        install_ms: 700,
        ..Default::default()
    });
    let two = line.store(&jar, "2").await;
    let task = line.ask("two", Some(two), Some(one)).await;
    let install = task.request("install", 1).to_string();
    let starts =
        |entry: &ferry_fake_base::Entry| entry.request_id.as_deref() == Some(install.as_str());
    line.base
        .ledger()
        .wait_for(WAIT, starts)
        .await
        .expect("the install is asked for");
    line.bus
        .commit(vec![in_force(Some(&plan("three")))].into())
        .await
        .unwrap();
    let finished = line.finished(task).await;
    assert_eq!(reason(&finished), Some(Reason::PlanOutdated));
    assert!(
        line.on_base().is_empty(),
        "putting back is the newer plan's to decide"
    );
    let restore = task.request("restore", 1).to_string();
    assert_eq!(line.base.ledger().effects(&restore), 0);
}

/// Deploys a slow version 1, and replaces the installer by another once `begun` holds.
async fn hand_over(begun: impl Fn(&FakeBase, &str) -> bool) -> (OnFake, String) {
    let mut line = OnFake::start().await;
    line.services.pop().unwrap().drain().await;
    let hasty = Settings {
        drain_work: Duration::from_millis(10),
        ..Settings::default()
    };
    line.run(hasty).await;
    let slow = line
        .store(&FakeJar::new(BIZ, "1").web("hello").install_ms(800), "1")
        .await;
    let task = line.ask("one", Some(slow), None).await;
    let request = task.request("install", 1).to_string();
    let wait = async {
        while !begun(&line.base, &request) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WAIT, wait).await.expect("it begins");
    line.services.pop().unwrap().drain().await;
    line.run(Settings::default()).await;
    let done = line.finished(task).await;
    assert_eq!(
        (done.stop.as_ref(), done.running.as_deref()),
        (None, Some("1"))
    );
    (line, request)
}

#[tokio::test]
async fn work_that_is_handed_over_while_the_module_starts_is_done_once() {
    let (line, request) = hand_over(|base, _| !base.modules().is_empty()).await;
    assert_eq!(line.effects(), ["installBiz 1"]);
    assert_eq!(line.base.ledger().effects(&request), 1);
}

/// The jar's server went with the first installer, so the base may not have got it: then it is asked again.
#[tokio::test]
async fn work_that_is_handed_over_while_the_jar_is_fetched_is_done_once() {
    let (line, _) = hand_over(|base, request| base.record(request).is_some()).await;
    assert_eq!(line.effects(), ["installBiz 1"]);
}

#[tokio::test]
async fn a_base_that_cannot_fetch_the_jar_is_asked_again_and_no_signature_gets_out() {
    // Between base and installer stands something that answers by itself, and the base quotes the address.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let broken = axum::Router::new().fallback(|| async { axum::http::StatusCode::BAD_GATEWAY });
    tokio::spawn(async move { axum::serve(listener, broken).await });
    let url = format!("http://{address}").parse().unwrap();
    let mut line = OnFake::with(|config| config.installer.url = Some(url)).await;
    let one = line.web("1").await;
    let failed = line.deploy("one", Some(one), None).await;
    assert_eq!(reason(&failed), Some(Reason::InstallFailed));
    let detail = failed.stop.unwrap().detail;
    assert!(
        detail.contains("could not fetch the jar") && detail.contains("502"),
        "{detail}"
    );
    let task = TaskId::of(&plan("one"), "pre-1");
    assert!(
        line.base
            .record(&task.request("install", 3).to_string())
            .is_some()
    );
    assert!(
        line.base
            .record(&task.request("install", 4).to_string())
            .is_none()
    );
    let quoted = line
        .base
        .record(&task.request("install", 1).to_string())
        .unwrap()
        .to_string();
    assert!(
        quoted.contains("signature="),
        "the base knows the address: {quoted}"
    );
    let mut found = 0;
    for (_, subject, payload) in line.bus.messages(subject::STREAM).unwrap() {
        let text = String::from_utf8_lossy(&payload);
        found += usize::from(text.contains("signature=…"));
        assert_eq!(
            text.matches("signature=").count(),
            text.matches("signature=…").count(),
            "{subject}: {text}"
        );
    }
    assert!(found > 0, "the address was quoted, without its signature");
}
