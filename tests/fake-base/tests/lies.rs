//! The faults: each does what it says, from Rust and over the control port.

mod support;

use ferry_ark::arklet::{
    HealthQuery, InstallBiz, QueryAllBiz, QueryBizOps, RecordOutcome, RecordStatus,
};
use ferry_fake_base::{Behaviour, FakeJar, Faults, Options, Phase, StuckAt};
use serde_json::{Value, json};
use support::{NO_ANSWER, POLL_EVERY, Rig, SOON};

fn hello() -> FakeJar {
    FakeJar::new("hello", "1").web("hello")
}

/// Waits until something holds, with a deadline.
async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let waited = async {
        while !holds().await {
            tokio::time::sleep(POLL_EVERY).await;
        }
    };
    tokio::time::timeout(SOON, waited).await.unwrap();
}

#[tokio::test]
async fn a_reply_is_lost_after_the_effect() {
    let faults = Faults {
        lose_reply_after_effect: 1,
        ..Faults::default()
    };
    let rig = Rig::with(Options {
        faults,
        ..Options::default()
    })
    .await;
    let install = InstallBiz::asynchronous("hello", "1", rig.jar(&hello()), "r-1");
    assert!(rig.try_ask(&install).await.is_err());
    assert!(
        rig.base
            .ledger()
            .wait_ended(SOON, "r-1")
            .await
            .unwrap()
            .effect
    );
    // The next reply comes, and says that the id was used.
    assert!(rig.ask(&install).await.is_used_request_id());
    assert_eq!(rig.base.ledger().effects("r-1"), 1);
}

#[tokio::test]
async fn a_request_is_lost_before_the_effect() {
    let rig = Rig::honest().await;
    rig.base.faults().set(|faults| faults.lose_request = 1);
    let install = InstallBiz::asynchronous("hello", "1", rig.jar(&hello()), "r-1");
    assert!(rig.try_ask(&install).await.is_err());
    assert!(
        rig.ask(&QueryBizOps::of("r-1"))
            .await
            .is_unknown_request_id()
    );
    assert!(rig.base.ledger().entries().is_empty());
    assert!(rig.ask(&install).await.is_success());
    assert_eq!(rig.outcome("r-1").await, RecordOutcome::Succeeded);
}

#[tokio::test]
async fn health_hangs_while_all_else_works() {
    let rig = Rig::honest().await;
    rig.base.faults().set(|faults| faults.hang_health = true);
    for _ in 0..5 {
        let health = HealthQuery::default();
        let hung = tokio::time::timeout(NO_ANSWER / 4, rig.try_ask(&health)).await;
        assert!(hung.is_err());
        assert!(rig.ask(&QueryAllBiz {}).await.is_success());
    }
    rig.base.faults().clear();
    assert!(rig.ask(&HealthQuery::default()).await.health().is_some());
}

#[tokio::test]
async fn a_frozen_base_accepts_and_does_it_when_it_thaws() {
    let rig = Rig::honest().await;
    rig.install(&hello()).await;
    rig.base.faults().set(|faults| faults.freeze = true);
    let url = rig.jar(&FakeJar::new("late", "1"));
    let install = InstallBiz::asynchronous("late", "1", url, "r-1");
    let hung = tokio::time::timeout(NO_ANSWER, rig.try_ask(&install)).await;
    assert!(hung.is_err());
    assert!(
        tokio::time::timeout(NO_ANSWER, rig.get("/hello/"))
            .await
            .is_err()
    );
    assert_eq!(rig.modules(), ["hello 1 activated"]);
    // Nobody waits for it any more, and yet it happens.
    rig.base.faults().set(|faults| faults.freeze = false);
    assert!(
        rig.base
            .ledger()
            .wait_ended(SOON, "r-1")
            .await
            .unwrap()
            .effect
    );
    assert_eq!(rig.get("/hello/").await.0, 200);
}

#[tokio::test]
async fn a_record_stays_as_it_is_while_the_work_is_done() {
    let rig = Rig::honest().await;
    for (stuck, status, id) in [
        (StuckAt::Executing, RecordStatus::Executing, "r-1"),
        (StuckAt::Initialized, RecordStatus::Initialized, "r-2"),
    ] {
        rig.base
            .faults()
            .set(|faults| faults.record_stuck = Some(stuck));
        let jar = FakeJar::new("hello", id);
        rig.ask(&InstallBiz::asynchronous("hello", id, rig.jar(&jar), id))
            .await;
        assert!(rig.base.ledger().wait_ended(SOON, id).await.unwrap().effect);
        let record = rig.record(id).await;
        assert_eq!(record.status, status);
        assert_eq!(record.outcome(), RecordOutcome::Running);
    }
    assert_eq!(rig.modules().len(), 2);
}

#[tokio::test]
async fn a_slow_install_shows_the_module_as_resolved() {
    let rig = Rig::honest().await;
    rig.base
        .faults()
        .set(|faults| faults.slow_install_ms = 600_000);
    rig.ask(&InstallBiz::asynchronous(
        "hello",
        "1",
        rig.jar(&hello()),
        "r-1",
    ))
    .await;
    until(|| async { rig.modules() == ["hello 1 resolved"] }).await;
    assert_eq!(rig.get("/hello/").await.0, 404);
    assert_eq!(rig.record("r-1").await.outcome(), RecordOutcome::Running);
}

#[tokio::test]
async fn a_restart_forgets_everything_and_ends_what_runs() {
    let rig = Rig::honest().await;
    rig.install(&hello()).await;
    rig.base
        .faults()
        .set(|faults| faults.slow_install_ms = 600_000);
    let slow = FakeJar::new("slow", "1");
    rig.ask(&InstallBiz::asynchronous(
        "slow",
        "1",
        rig.jar(&slow),
        "r-1",
    ))
    .await;
    until(|| async { rig.modules().len() == 2 }).await;
    let mut synchronous =
        InstallBiz::asynchronous("slower", "1", rig.jar(&FakeJar::new("slower", "1")), "");
    synchronous.is_async = false;
    let cut = rig.try_ask(&synchronous);
    let restart = async {
        until(|| async { rig.modules().len() == 3 }).await;
        rig.base.restart_empty();
    };
    let (cut, ()) = tokio::join!(cut, restart);
    assert!(cut.is_err(), "a killed process sends no reply");
    assert!(rig.modules().is_empty());
    assert!(
        rig.ask(&QueryBizOps::of("r-1"))
            .await
            .is_unknown_request_id()
    );
    rig.base.faults().clear();
    // The id is as good as new.
    rig.ask(&InstallBiz::asynchronous(
        "slow",
        "1",
        rig.jar(&slow),
        "r-1",
    ))
    .await;
    assert_eq!(rig.outcome("r-1").await, RecordOutcome::Succeeded);
    assert_eq!(rig.modules(), ["slow 1 activated"]);
    let restarts: Vec<u64> = rig
        .base
        .ledger()
        .entries()
        .iter()
        .map(|entry| entry.restarts)
        .collect();
    assert_eq!(restarts, [0, 0, 0, 0, 1, 1]);
}

#[tokio::test]
async fn refused_connections_are_refused_on_both_ports_and_come_back() {
    let rig = Rig::honest().await;
    rig.install(&hello()).await;
    rig.base
        .faults()
        .set(|faults| faults.refuse_connections = true);
    for url in [&rig.base.arklet_url, &rig.base.modules_url] {
        until(|| async {
            let error = rig.http.post(url).body("{}").send().await;
            error.is_err_and(|error| error.is_connect())
        })
        .await;
    }
    rig.base.faults().clear();
    until(|| async { rig.try_ask(&QueryAllBiz {}).await.is_ok() }).await;
    assert_eq!(rig.modules(), ["hello 1 activated"]);
}

#[tokio::test]
async fn a_module_that_ends_the_process_takes_everything_with_it() {
    let rig = Rig::honest().await;
    rig.install(&hello()).await;
    let bomb = FakeJar::new("bomb", "1").behaves(Behaviour {
        exit_jvm: true,
        ..Behaviour::default()
    });
    rig.ask(&InstallBiz::asynchronous(
        "bomb",
        "1",
        rig.jar(&bomb),
        "r-1",
    ))
    .await;
    tokio::time::timeout(SOON, rig.base.exited()).await.unwrap();
    until(|| async { rig.try_ask(&QueryAllBiz {}).await.is_err() }).await;
    assert!(rig.modules().is_empty());
    let entries = rig.base.ledger().entries();
    assert!(
        !entries
            .iter()
            .any(|entry| entry.phase == Phase::Ended && entry.request_id.is_some())
    );
}

#[tokio::test]
async fn the_control_port_switches_faults_and_shows_the_ledger() {
    let rig = Rig::honest().await;
    let faults = format!("{}/_fake/faults", rig.base.control_url);
    let change = |body: Value| rig.http.post(&faults).json(&body).send();
    let now: Value = change(json!({"hang_health": true, "record_stuck": "EXECUTING"}))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(now["hang_health"], true);
    assert_eq!(
        rig.base.faults().get().record_stuck,
        Some(StuckAt::Executing)
    );
    // What is not named stays.
    change(json!({"record_stuck": null, "slow_install_ms": 7}))
        .await
        .unwrap();
    assert_eq!(
        rig.base.faults().get(),
        Faults {
            hang_health: true,
            slow_install_ms: 7,
            ..Faults::default()
        }
    );

    for bad in [
        json!({"hang_helth": true}),
        json!([]),
        json!({"freeze": 1}),
        json!({"restart_empty": "x"}),
    ] {
        let reply = change(bad.clone()).await.unwrap();
        assert_eq!(reply.status(), 400, "{bad}");
        let said: Value = reply.json().await.unwrap();
        assert!(
            said["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{bad}"
        );
    }

    rig.install(&FakeJar::new("hello", "1")).await;
    change(json!({"restart_empty": true})).await.unwrap();
    assert!(rig.modules().is_empty());
    let ledger = format!("{}/_fake/ledger", rig.base.control_url);
    let entries: Value = rig
        .http
        .get(ledger)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(entries.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_dropped_base_is_gone() {
    let rig = Rig::honest().await;
    let url = rig.base.arklet_url.clone();
    let http = rig.http.clone();
    drop(rig);
    until(|| async { http.post(&url).body("{}").send().await.is_err() }).await;
}

/// A download and an install that stand still go on where they were, however late.
#[tokio::test]
async fn what_stands_still_goes_on_at_the_release() {
    let rig = Rig::honest().await;
    rig.base
        .faults()
        .set(|faults| faults.hold_install = Some("1".into()));
    rig.ask(&InstallBiz::asynchronous(
        "hello",
        "1",
        rig.jar(&hello()),
        "r-1",
    ))
    .await;
    until(|| async { rig.modules() == ["hello 1 resolved"] }).await;
    assert_eq!(rig.record("r-1").await.outcome(), RecordOutcome::Running);
    rig.base.faults().clear();
    until(|| async { rig.modules() == ["hello 1 activated"] }).await;
}
