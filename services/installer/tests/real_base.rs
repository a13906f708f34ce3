//! The whole installer against a real Koupleless base, with the demo's module.

mod support;

use std::{
    io::{Cursor, Read, Write as _},
    path::Path,
    time::Duration,
};

use ferry_ark::{MANIFEST_PATH, Manifest};
use ferry_events::{Reason, task::Want};
use ferry_rig::{
    base::{Base, Options},
    maven::hello_jar,
};
use support::{BASE, config, line::Line};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// The jar with a version of its own, as the slimmer gives it: a base takes each version once.
fn stamped(jar: &Path, version: &str) -> Vec<u8> {
    let mut from = ZipArchive::new(std::fs::File::open(jar).unwrap()).unwrap();
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..from.len() {
        let mut entry = from.by_index(index).unwrap();
        if entry.name() != MANIFEST_PATH {
            to.raw_copy_file(entry).unwrap();
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let mut manifest = Manifest::parse(&bytes).unwrap();
        manifest.set("Ark-Biz-Version", version).unwrap();
        to.start_file(MANIFEST_PATH, SimpleFileOptions::default())
            .unwrap();
        to.write_all(&manifest.to_bytes()).unwrap();
    }
    to.finish().unwrap().into_inner()
}

async fn store(line: &Line, changes: &[&str], version: &str) -> Want {
    let jar = hello_jar(changes, false).await.unwrap();
    line.store_bytes(&stamped(&jar, version), version).await
}

// One test: a base costs ten seconds.
#[tokio::test]
async fn a_real_base_gets_a_module_another_version_and_keeps_it_when_a_third_fails() {
    let folder = tempfile::tempdir().unwrap();
    let base = Base::start(Options::new("installer-test", folder.path()))
        .await
        .unwrap();
    let mut config = config(&[(BASE, &base.arklet_url(), &base.http_url())]);
    config.installer.request_timeout = Duration::from_secs(5);
    let mut line = Line::start(&config).await;
    let (one, two) = (
        store(&line, &[], "1").await,
        store(&line, &["version-two"], "2").await,
    );
    let fails = store(&line, &["version-two", "context-fails"], "3").await;
    let deploy =
        async |line: &mut Line, name: &str, want: Option<&Want>, restore: Option<&Want>| {
            let finished = line
                .deploy_biz("hello", name, want.cloned(), restore.cloned())
                .await;
            eprintln!("{name}: {:?} {:?}", finished.steps, finished.stop);
            finished
        };

    let first = deploy(&mut line, "one", Some(&one), None).await;
    assert_eq!(
        (first.stop.as_ref(), first.running.as_deref()),
        (None, Some("1"))
    );
    let (status, answer_one) = base.get("/hello/").await.unwrap();
    assert_eq!(status, 200);

    let second = deploy(&mut line, "two", Some(&two), Some(&one)).await;
    assert_eq!(
        (second.stop.as_ref(), second.running.as_deref()),
        (None, Some("2"))
    );
    let (status, answer_two) = base.get("/hello/").await.unwrap();
    assert_eq!(status, 200);
    assert_ne!(answer_one, answer_two);

    let third = deploy(&mut line, "three", Some(&fails), Some(&two)).await;
    let stop = third.stop.expect("its Spring context fails");
    assert_eq!(stop.reason, Reason::InstallFailed);
    assert!(stop.detail.contains("the price list is empty"), "{stop}");
    assert_eq!(third.running.as_deref(), Some("2"));
    assert_eq!(base.get("/hello/").await.unwrap(), (200, answer_two));

    let out = deploy(&mut line, "out", None, None).await;
    assert_eq!((out.stop.as_ref(), out.running.as_deref()), (None, None));
    assert_eq!(base.get("/hello/").await.unwrap().0, 404);

    // A module without Spring answers its uninstall with an error, and is gone.
    let plain = line
        .store(&ferry_fake_base::FakeJar::new("hello", "4").plain(), "4")
        .await;
    let fourth = deploy(&mut line, "four", Some(&plain), None).await;
    assert_eq!(
        (fourth.stop.as_ref(), fourth.running.as_deref()),
        (None, Some("4"))
    );
    let out = deploy(&mut line, "out again", None, None).await;
    assert_eq!((out.stop.as_ref(), out.running.as_deref()), (None, None));
}

/// Arklet's single-use ids, which the fence stands on.
#[tokio::test]
async fn a_real_base_refuses_a_request_id_that_was_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let base = Base::start(Options::new("fence-test", folder.path()))
        .await
        .unwrap();
    let arklet = ferry_installer::effects::Arklet::new(
        std::sync::Arc::new(ferry_web::Http::new().unwrap()),
        base.arklet_url().parse().unwrap(),
        Duration::from_secs(5),
    );
    let request = uuid::Uuid::from_u128(1);
    arklet.burn("hello", request).await.unwrap();
    let jar = ferry_fake_base::FakeJar::new("hello", "1")
        .plain()
        .write(folder.path())
        .unwrap();
    let url = url::Url::from_file_path(jar).unwrap();
    let late = arklet.install("hello", "1", &url, request).await.unwrap();
    assert!(late.is_used_request_id(), "{late:?}");
    assert!(arklet.observe("hello").await.unwrap().is_empty());
    let recorded = arklet.recorded(request).await.unwrap();
    assert_eq!(recorded, ferry_installer::decide::Recorded::Burnt);
    let unknown = arklet.recorded(uuid::Uuid::from_u128(2)).await.unwrap();
    assert_eq!(unknown, ferry_installer::decide::Recorded::Unknown);
}
