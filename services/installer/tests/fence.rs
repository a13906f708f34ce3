//! What keeps stale hands from doing harm: used-up request ids, and addresses that end with their plan.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::TimeDelta;
use ferry_bus::{Bus, MemoryBus, StreamLimits};
use ferry_config::Config;
use ferry_events::{Digest, PlanId, task::Want};
use ferry_fake_base::{Entry, FakeBase, FakeJar, Options};
use ferry_installer::{
    InstallerEffects,
    decide::{ActEnd, Acted, Change, Intent, Outcome, StepName, Work},
};
use ferry_runtime::{Clock, Done, Effects, Hands, Job, Key};
use support::{
    BIZ, arklet, config, in_force,
    line::{Line, WAIT},
    on_fake::web,
    plan, start, store, task,
};
use tokio_util::sync::CancellationToken;

async fn base() -> FakeBase {
    FakeBase::start(Options::default()).await.unwrap()
}

fn configured(base: &FakeBase) -> Config {
    config(&[("pre-1", &base.arklet_url, &base.modules_url)])
}

async fn put_in_force(bus: &MemoryBus, plan: &PlanId) {
    bus.commit(vec![in_force(Some(plan))].into()).await.unwrap();
}

fn job(base: &FakeBase, intent: &Intent, want: &Want, attempt: u32) -> Job<Work> {
    Job {
        failed: None,
        key: Key::new("base", &["pre-1"]),
        work: Work::Act {
            task: Box::new(task("pre-1", &intent.plan, Some(want.clone()), None)),
            intent: Box::new(intent.clone()),
            drained: false,
        },
        attempt,
        config: Arc::new(configured(base)),
        cancel: CancellationToken::new(),
    }
}

fn install(plan: &PlanId, want: &Want) -> Intent {
    let task = task("pre-1", plan, Some(want.clone()), None);
    Intent {
        task: task.task,
        plan: plan.clone(),
        step: StepName::Install,
        attempt: 1,
        request: task.task.request("install", 1),
        biz: BIZ.into(),
        change: Change::Install { want: want.clone() },
    }
}

/// An installer froze between its fence and its call; another took over; then the first wakes.
#[tokio::test]
async fn an_installer_that_wakes_after_another_took_over_does_nothing() {
    let base = base().await;
    let folder = tempfile::tempdir().unwrap();
    let bus = MemoryBus::new(start(), &StreamLimits::default());
    let old = plan("old");
    put_in_force(&bus, &old).await;
    let want = store(&bus, folder.path(), &web("1").bytes(), "1").await;
    let effects = InstallerEffects::new(Hands::new(Arc::new(bus.clone())), folder.path()).unwrap();
    let intent = install(&old, &want);

    let Done::Outcome(Outcome::Acted(Acted { end, .. })) =
        effects.perform(job(&base, &intent, &want, 2)).await
    else {
        panic!()
    };
    assert!(
        matches!(end, ActEnd::Void { ref seen, .. } if seen.is_empty()),
        "{end:?}"
    );

    // The first one's call, as it stood in its hands: the jar is really to be had.
    let jar = FakeJar::new(BIZ, "1").write(folder.path()).unwrap();
    let url = url::Url::from_file_path(jar).unwrap();
    let arklet = arklet(&base);
    let reply = arklet
        .install(BIZ, "1", &url, intent.request)
        .await
        .unwrap();
    assert!(reply.is_used_request_id(), "{reply:?}");
    assert!(base.modules().is_empty());
}

/// Taken over after the call was made: its effect is waited for, not repeated.
#[tokio::test]
async fn whoever_takes_over_waits_for_what_the_base_has_begun() {
    let base = base().await;
    let folder = tempfile::tempdir().unwrap();
    let bus = MemoryBus::new(start(), &StreamLimits::default());
    let active = plan("active");
    put_in_force(&bus, &active).await;
    let want = store(&bus, folder.path(), &web("1").bytes(), "1").await;
    let effects = InstallerEffects::new(Hands::new(Arc::new(bus.clone())), folder.path()).unwrap();
    let intent = install(&active, &want);
    let jar = FakeJar::new(BIZ, "1")
        .install_ms(300)
        .write(folder.path())
        .unwrap();
    let url = url::Url::from_file_path(jar).unwrap();
    let arklet = arklet(&base);
    assert!(
        arklet
            .install(BIZ, "1", &url, intent.request)
            .await
            .unwrap()
            .is_success()
    );

    let Done::Outcome(Outcome::Acted(Acted { end, .. })) =
        effects.perform(job(&base, &intent, &want, 2)).await
    else {
        panic!()
    };
    assert!(matches!(end, ActEnd::Done { .. }), "{end:?}");
    assert_eq!(base.ledger().effects(&intent.request.to_string()), 1);
}

/// The plan changed after the intent was committed: no call, and none later.
#[tokio::test]
async fn an_intent_of_an_outdated_plan_is_made_harmless() {
    let base = base().await;
    let folder = tempfile::tempdir().unwrap();
    let bus = MemoryBus::new(start(), &StreamLimits::default());
    put_in_force(&bus, &plan("new")).await;
    let want = store(&bus, folder.path(), &web("1").bytes(), "1").await;
    let effects = InstallerEffects::new(Hands::new(Arc::new(bus.clone())), folder.path()).unwrap();
    let mut intent = install(&plan("old"), &want);
    intent.step = StepName::Uninstall;
    intent.change = Change::Uninstall {
        version: "1".into(),
    };

    let Done::Outcome(Outcome::Acted(Acted { end, .. })) =
        effects.perform(job(&base, &intent, &want, 1)).await
    else {
        panic!()
    };
    assert!(matches!(end, ActEnd::Outdated), "{end:?}");
    let arklet = arklet(&base);
    let late = arklet.uninstall(BIZ, "1", intent.request).await.unwrap();
    assert!(late.is_used_request_id(), "{late:?}");
}

/// The address of a jar, as a base was given it.
async fn address(base: &FakeBase, request: &str) -> url::Url {
    let asked = |entry: &Entry| entry.request_id.as_deref() == Some(request);
    base.ledger()
        .wait_for(WAIT, asked)
        .await
        .expect("the install is asked for");
    let record = base.record(request).unwrap();
    record["arkBizMeta"]["bizUrl"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn an_address_is_of_use_to_its_installation_only_and_for_a_while() {
    let base = base().await;
    // As long as this lasts, the installation is in hand.
    base.faults().set(|faults| faults.slow_install_ms = 4000);
    let later = Arc::new(AtomicI64::new(0));
    let seconds = later.clone();
    let clock =
        Clock::from_fn(move || start() + TimeDelta::seconds(seconds.load(Ordering::SeqCst)));
    let mut line = Line::with_clock(&configured(&base), clock).await;
    let jar = web("1").bytes();
    let want = line.store_bytes(&jar, "1").await;
    let task = line.ask("active", Some(want.clone()), None).await;
    let url = address(&base, &task.request("install", 1).to_string()).await;
    assert!(url.path().ends_with(&format!("/{}.jar", want.digest)));

    let status = async |url: &url::Url| reqwest::get(url.clone()).await.unwrap().status().as_u16();
    let got = reqwest::get(url.clone()).await.unwrap();
    assert_eq!(got.content_length(), Some(want.size));
    assert_eq!(Digest::of(&got.bytes().await.unwrap()), want.digest);

    for (key, value) in [
        ("expires", "99999999999"),
        ("base", "prod-1"),
        ("request", "00000000-0000-0000-0000-000000000001"),
        ("signature", "00"),
        ("signature", "zz"),
    ] {
        let mut forged = url.clone();
        let pairs: Vec<(String, String)> = url
            .query_pairs()
            .map(|(k, v)| {
                let v = if k == key {
                    value.to_owned()
                } else {
                    v.to_string()
                };
                (k.to_string(), v)
            })
            .collect();
        forged.query_pairs_mut().clear().extend_pairs(pairs);
        assert_eq!(status(&forged).await, 403, "{key}");
    }
    let mut other = url.clone();
    other.set_path(&format!("/artifacts/{}.jar", Digest::of(b"another")));
    assert_eq!(status(&other).await, 403);
    let mut bare = url.clone();
    bare.set_query(None);
    assert_eq!(status(&bare).await, 400);

    put_in_force(&line.bus, &plan("newer")).await;
    assert_eq!(status(&url).await, 409, "another plan is in force");
    put_in_force(&line.bus, &plan("active")).await;
    assert_eq!(status(&url).await, 200);
    later.store(121, Ordering::SeqCst);
    assert_eq!(status(&url).await, 410);
    later.store(0, Ordering::SeqCst);
    assert_eq!(status(&url).await, 200);
    assert_eq!(line.finished(task).await.stop, None);
    assert_eq!(status(&url).await, 409, "the installation is over");
}
