//! Asynchronous commands: records, ids that can be used once, locks.

mod support;

use ferry_ark::arklet::{
    InstallBiz, QueryBizOps, RecordOutcome, RecordStatus, ReplyCode, SwitchBiz, UninstallBiz,
};
use ferry_fake_base::{FakeJar, Options, Phase};
use support::{Rig, SOON};

#[tokio::test]
async fn an_asynchronous_install_answers_at_once_and_is_done_later() {
    let rig = Rig::honest().await;
    let url = rig.jar(&FakeJar::new("hello", "1").web("hello").install_ms(50));
    let reply = rig
        .ask(&InstallBiz::asynchronous("hello", "1", url, "r-1"))
        .await;
    let record = reply.process_record().unwrap();
    assert_eq!(record.outcome(), RecordOutcome::Running);
    assert_eq!(record.biz_name.as_deref(), Some("hello"));
    assert_eq!(rig.outcome("r-1").await, RecordOutcome::Succeeded);
    let record = rig.record("r-1").await;
    assert!(record.end_timestamp.unwrap() >= record.start_timestamp.unwrap());
    assert_eq!(rig.modules(), ["hello 1 activated"]);
    let ended = rig.base.ledger().wait_ended(SOON, "r-1").await.unwrap();
    assert!(ended.effect);
    assert_eq!(rig.base.ledger().effects("r-1"), 1);
}

#[tokio::test]
async fn a_failed_asynchronous_install_keeps_its_cause_in_the_record() {
    let rig = Rig::honest().await;
    let url =
        rig.jar(&FakeJar::new("hello", "1").start_fails("java.lang.IllegalStateException: why"));
    rig.ask(&InstallBiz::asynchronous("hello", "1", url, "r-1"))
        .await;
    assert_eq!(
        rig.outcome("r-1").await,
        RecordOutcome::Failed("java.lang.IllegalStateException: why".to_owned())
    );
    let record = rig.record("r-1").await;
    assert_eq!(
        record.message.as_deref(),
        Some("java.lang.reflect.InvocationTargetException")
    );
    assert_eq!(rig.base.ledger().effects("r-1"), 0);
}

#[tokio::test]
async fn a_request_id_can_be_used_once() {
    let rig = Rig::honest().await;
    let url = rig.jar(&FakeJar::new("hello", "1"));
    let install = InstallBiz::asynchronous("hello", "1", url, "r-1");
    rig.ask(&install).await;
    rig.outcome("r-1").await;
    let again = rig.ask(&install).await;
    assert!(again.is_used_request_id(), "{again:?}");
    assert_eq!(
        again.message.as_deref(),
        Some("The request corresponding to the requestId(r-1) has been executed.")
    );
    let other = rig.ask(&SwitchBiz::asynchronous("hello", "1", "r-1")).await;
    assert!(other.is_used_request_id());
    assert_eq!(rig.base.ledger().effects("r-1"), 1);
}

#[tokio::test]
async fn an_id_that_was_never_seen_is_unknown() {
    let rig = Rig::honest().await;
    let reply = rig.ask(&QueryBizOps::of("never")).await;
    assert!(reply.is_unknown_request_id(), "{reply:?}");
    let blank = rig.ask(&QueryBizOps::default()).await;
    assert!(blank.reason().unwrap().contains("requestId is blank"));
}

#[tokio::test]
async fn uninstalling_what_is_not_there_burns_the_id() {
    let rig = Rig::honest().await;
    let burn = UninstallBiz::asynchronous("hello", "no-such-version", "r-1");
    assert!(rig.ask(&burn).await.is_success());
    assert_eq!(
        rig.outcome("r-1").await,
        RecordOutcome::Failed("uninstall biz not success!".to_owned())
    );
    let url = rig.jar(&FakeJar::new("hello", "1"));
    let late = rig
        .ask(&InstallBiz::asynchronous("hello", "1", url, "r-1"))
        .await;
    assert!(late.is_used_request_id());
    assert!(rig.modules().is_empty());
    assert_eq!(rig.base.ledger().effects("r-1"), 0);
}

#[tokio::test]
async fn a_repeated_asynchronous_install_fails_without_saying_why() {
    let rig = Rig::honest().await;
    let url = rig.jar(&FakeJar::new("hello", "1"));
    rig.ask(&InstallBiz::asynchronous("hello", "1", &url, "r-1"))
        .await;
    rig.outcome("r-1").await;
    rig.ask(&InstallBiz::asynchronous("hello", "1", &url, "r-2"))
        .await;
    // The inner code, REPEAT_BIZ, is lost: that is how arklet is.
    assert_eq!(
        rig.outcome("r-2").await,
        RecordOutcome::Failed("install biz not success!".to_owned())
    );
}

#[tokio::test]
async fn one_identity_is_changed_by_one_command_at_a_time() {
    let rig = Rig::honest().await;
    let url = rig.jar(&FakeJar::new("hello", "1"));
    // The first one hangs in its download, as long as nobody answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}/x.jar", silent.local_addr().unwrap());
    rig.ask(&InstallBiz::asynchronous("hello", "1", &hanging, "r-1"))
        .await;
    let (download, _) = tokio::time::timeout(SOON, silent.accept())
        .await
        .unwrap()
        .unwrap();

    let mut synchronous = InstallBiz::asynchronous("hello", "1", &url, "unused");
    synchronous.is_async = false;
    let refused = rig.ask(&synchronous).await;
    assert_eq!(refused.code, ReplyCode::Failed);
    assert_eq!(
        refused.message.as_deref(),
        Some(
            "FAILED:hello:1 installBiz conflict, exist unfinished command(installBiz) for this biz"
        )
    );

    rig.ask(&InstallBiz::asynchronous("hello", "1", &url, "r-2"))
        .await;
    let RecordOutcome::Refused(reason) = rig.outcome("r-2").await else {
        panic!("the lock must hold");
    };
    assert!(reason.contains("conflict"));
    assert_eq!(rig.record("r-2").await.status, RecordStatus::Initialized);
    // And now the lock is gone, although the first one still runs.
    assert!(rig.ask(&synchronous).await.is_success());
    assert_eq!(rig.record("r-1").await.outcome(), RecordOutcome::Running);
    drop(download);
    assert!(matches!(rig.outcome("r-1").await, RecordOutcome::Failed(_)));
    assert_eq!(rig.modules(), ["hello 1 activated"]);
}

#[tokio::test]
async fn two_versions_of_one_name_do_not_wait_for_each_other() {
    let rig = Rig::honest().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}/x.jar", silent.local_addr().unwrap());
    rig.ask(&InstallBiz::asynchronous("hello", "1", &hanging, "r-1"))
        .await;
    let url = rig.jar(&FakeJar::new("hello", "2"));
    rig.ask(&InstallBiz::asynchronous("hello", "2", url, "r-2"))
        .await;
    assert_eq!(rig.outcome("r-2").await, RecordOutcome::Succeeded);
}

#[tokio::test]
async fn an_asynchronous_call_needs_an_id() {
    let rig = Rig::honest().await;
    let mut install = InstallBiz::asynchronous("hello", "1", "file:///x.jar", "");
    for id in [Some(String::new()), None] {
        install.request_id = id;
        let reply = rig.ask(&install).await;
        assert!(
            reply
                .reason()
                .unwrap()
                .contains("requestId should not be blank")
        );
    }
    install.biz_version = None;
    install.is_async = false;
    let reply = rig.ask(&install).await;
    assert!(
        reply
            .reason()
            .unwrap()
            .contains("both blank or both not blank")
    );
}

#[tokio::test]
async fn the_ledger_is_kept_in_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let options = Options {
        ledger: Some(path.clone()),
        ..Options::default()
    };
    let rig = Rig::with(options).await;
    let url = rig.jar(&FakeJar::new("hello", "1"));
    rig.ask(&InstallBiz::asynchronous("hello", "1", url, "r-1"))
        .await;
    rig.base.ledger().wait_ended(SOON, "r-1").await.unwrap();
    rig.uninstall("hello", "2").await;
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<ferry_fake_base::Entry> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines, rig.base.ledger().entries());
    let told: Vec<_> = lines
        .iter()
        .map(|entry| (entry.sequence, entry.phase, entry.effect))
        .collect();
    assert_eq!(
        told,
        [
            (1, Phase::Asked, false),
            (2, Phase::Ended, true),
            (3, Phase::Asked, false),
            (4, Phase::Ended, false),
        ]
    );
    assert_eq!(
        lines[3].outcome.as_deref(),
        Some("NOT_FOUND_BIZ: Uninstall biz: hello:2 not found.")
    );
}
