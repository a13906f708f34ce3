//! The whole verifier on the bus in memory: what becomes of bases that change, freeze, die and drift.

mod support;

use ferry_events::{Body, Kind};
use ferry_fake_base::{FakeBase, Faults, Options};
use support::{BASE, BIZ, Line, base_at, left};

fn versions(body: &Body) -> Option<Vec<String>> {
    let seen = match body {
        Body::BaseJoined(seen) => &seen.0,
        Body::BaseChanged(seen) => &seen.0,
        _ => return None,
    };
    Some(
        seen.modules
            .iter()
            .map(|module| format!("{} {}", module.version, module.state))
            .collect(),
    )
}

#[tokio::test]
async fn a_base_joins_with_its_modules_and_changes_with_them() {
    let options = Options {
        metaspace_max: Some(256 << 20),
        ..Options::default()
    };
    let base = FakeBase::start(options).await.unwrap();
    let url = base.modules_url.clone();
    let mut line = Line::at(base, &url).await;
    line.web("1").await;
    line.run().await;
    let Body::BaseJoined(joined) = line.wait(Kind::BaseJoined, |_| true).await else {
        panic!()
    };
    assert_eq!(
        (
            joined.base.as_str(),
            joined.pool.as_str(),
            joined.environment.as_str()
        ),
        (BASE, "one", "pre")
    );
    assert_eq!(joined.modules[0].name, BIZ);
    assert_eq!(joined.metaspace_max, Some(256 << 20));
    assert!(joined.metaspace_used.is_some());
    line.uninstall("1").await;
    line.wait(Kind::BaseChanged, |body| versions(body) == Some(Vec::new()))
        .await;
    line.web("2").await;
    line.wait(Kind::BaseChanged, |body| {
        versions(body) == Some(vec!["2 activated".into()])
    })
    .await;
}

#[tokio::test]
async fn a_base_that_freezes_or_refuses_or_hangs_is_lost_and_joins_again() {
    let silences: [fn(&mut Faults); 3] = [
        |faults| faults.freeze = true,
        |faults| faults.refuse_connections = true,
        |faults| faults.hang_health = true,
    ];
    for silence in silences {
        let mut line = Line::start().await;
        line.run().await;
        line.wait(Kind::BaseJoined, |_| true).await;
        line.base.faults().set(silence);
        let Body::BaseLost(lost) = line.wait(Kind::BaseLost, |_| true).await else {
            panic!()
        };
        assert!(lost.last_seen.is_some());
        assert!(!lost.why.is_empty());
        line.base.faults().clear();
        let joins = std::cell::Cell::new(0);
        line.wait(Kind::BaseJoined, |_| {
            joins.set(joins.get() + 1);
            joins.get() == 2
        })
        .await;
        let said = line.said();
        assert_eq!(
            said,
            ["base.joined", "base.lost", "base.joined"],
            "each is said once"
        );
    }
}

#[tokio::test]
async fn a_base_that_was_never_there_is_lost() {
    let mut line = Line::start().await;
    line.base
        .faults()
        .set(|faults| faults.refuse_connections = true);
    line.run().await;
    let Body::BaseLost(lost) = line.wait(Kind::BaseLost, |_| true).await else {
        panic!()
    };
    assert_eq!(lost.last_seen, None);
}

#[tokio::test]
async fn a_base_that_restarts_empty_has_drifted() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.fact(&left(Some("1"), 2, false)).await;
    line.run().await;
    line.wait(Kind::BaseJoined, |_| true).await;
    line.base.restart_empty();
    let Body::ModuleDrifted(drifted) = line.wait(Kind::ModuleDrifted, |_| true).await else {
        panic!()
    };
    assert_eq!(
        (drifted.module.as_str(), drifted.wanted.as_deref()),
        ("hello", Some("1"))
    );
    assert!(drifted.actual.is_empty());

    // A version that nobody asked for is another difference, and said too.
    line.web("9").await;
    let other = |body: &Body| matches!(body, Body::ModuleDrifted(it) if it.actual == ["9"]);
    line.wait(Kind::ModuleDrifted, other).await;
    let said = line.said();
    assert_eq!(
        said.iter().filter(|kind| *kind == "module.drifted").count(),
        2,
        "each once: {said:?}"
    );
}

#[tokio::test]
async fn what_is_being_changed_or_is_not_ferrys_has_not_drifted() {
    let mut line = Line::start().await;
    line.fact(&left(Some("1"), 2, true)).await;
    line.web("5").await;
    line.run().await;
    line.wait(Kind::BaseJoined, |_| true).await;
    line.uninstall("5").await;
    line.wait(Kind::BaseChanged, |body| versions(body) == Some(Vec::new()))
        .await;
    line.web("6").await;
    line.wait(Kind::BaseChanged, |body| {
        versions(body) == Some(vec!["6 activated".into()])
    })
    .await;
    assert!(!line.said().contains(&"module.drifted".to_owned()));
    // Once the task is through, the same difference counts.
    line.fact(&left(Some("1"), 3, false)).await;
    line.uninstall("6").await;
    line.wait(Kind::ModuleDrifted, |_| true).await;
}

#[tokio::test]
async fn bases_come_and_go_with_the_configuration() {
    let mut line = Line::start().await;
    line.run().await;
    line.wait(Kind::BaseJoined, |_| true).await;
    let other = FakeBase::start(Options::default()).await.unwrap();
    line.configure(vec![base_at(
        "pre-2",
        &other.arklet_url,
        &other.modules_url,
    )])
    .await;
    let second = |body: &Body| matches!(body, Body::BaseJoined(it) if it.base == "pre-2");
    line.wait(Kind::BaseJoined, second).await;
    // The first one is not looked at any more, so its end is not seen; the second one's is.
    line.base
        .faults()
        .set(|faults| faults.refuse_connections = true);
    other
        .faults()
        .set(|faults| faults.refuse_connections = true);
    let Body::BaseLost(lost) = line.wait(Kind::BaseLost, |_| true).await else {
        panic!()
    };
    assert_eq!(lost.base, "pre-2");
}

/// There are more bases than looks: each has its turn, none is called lost for waiting, and one that dies is
/// told all the same.
#[tokio::test]
async fn more_bases_than_looks_are_each_looked_at_in_turn() {
    const MANY: usize = 40;
    let mut line = Line::start().await;
    let dead = FakeBase::start(Options::default()).await.unwrap();
    let (arklet, url) = (&line.base.arklet_url, &line.base.modules_url);
    let mut bases: Vec<_> = (0..MANY)
        .map(|number| base_at(&format!("base-{number}"), arklet, url))
        .collect();
    bases.push(base_at("dies", &dead.arklet_url, &dead.modules_url));
    let mut config = support::config(bases);
    // A round takes 20 times as long as the pause between two looks at one base.
    config.verifier.looks_per_second = 40;
    line.configure_as(&config).await;
    line.run().await;
    let joined = std::cell::Cell::new(0);
    line.wait(Kind::BaseJoined, |_| {
        joined.set(joined.get() + 1);
        joined.get() == MANY + 1
    })
    .await;
    dead.faults().set(|faults| faults.refuse_connections = true);
    let Body::BaseLost(lost) = line.wait(Kind::BaseLost, |_| true).await else {
        panic!()
    };
    assert_eq!(lost.base, "dies");
    let said = line.said();
    assert_eq!(said.iter().filter(|kind| *kind == "base.lost").count(), 1);
}
