//! The whole verifier on the bus in memory, against a base that speaks arklet's protocol: what becomes of
//! observations.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use ferry_events::{Body, Kind, Reason, verify::Probe};
use ferry_fake_base::{Answer, Behaviour, FakeBase, FakeJar, Options};
use support::{BIZ, Line, WAIT, left, probe, requested};

fn reason(finished: &ferry_events::verify::Finished) -> Option<Reason> {
    finished.stop.as_ref().map(|stop| stop.reason)
}

#[tokio::test]
async fn a_module_that_answers_is_answering_then_well() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.fact(&left(Some("1"), 3, false)).await;
    line.run().await;
    let wanted = Probe {
        contains: Some(format!("{BIZ} 1")),
        ..probe()
    };
    line.observe(&requested(Some("1"), 3, Some(wanted), 100))
        .await;
    let Body::ModuleAnswering(answering) = line.wait(Kind::ModuleAnswering, |_| true).await else {
        panic!()
    };
    assert_eq!(answering.answer.unwrap().status, 200);
    let verdict = line.verdict().await;
    assert_eq!((verdict.stop, verdict.revision), (None, 3));
    assert_eq!(verdict.answer.unwrap().excerpt, format!("{BIZ} 1"));
    let said = line.said();
    let of_module = said
        .iter()
        .filter(|kind| !kind.starts_with("base."))
        .collect::<Vec<_>>();
    assert_eq!(of_module, ["module.answering", "testsuiterun.finished"]);
}

#[tokio::test]
async fn a_wrong_status_is_told_with_what_was_answered() {
    let mut line = Line::start().await;
    line.install(
        &FakeJar::new(BIZ, "1")
            .web("hello")
            .answers("/", 500, "{\"error\":\"no price\"}"),
        "1",
    )
    .await;
    line.run().await;
    line.observe(&requested(Some("1"), 0, Some(probe()), 100))
        .await;
    let verdict = line.verdict().await;
    let stop = verdict.stop.unwrap();
    assert_eq!(stop.reason, Reason::ProbeFailed);
    assert!(
        stop.detail.contains("500")
            && stop.detail.contains("200")
            && stop.detail.contains("no price"),
        "{stop}"
    );
    assert_eq!(stop.base.as_deref(), Some("pre-1"));
    assert_eq!(verdict.answer.unwrap().status, 500);
    assert!(!line.said().contains(&"module.answering".to_owned()));
}

#[tokio::test]
async fn a_wrong_body_is_not_well() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.run().await;
    let wanted = Probe {
        contains: Some("something else".into()),
        ..probe()
    };
    line.observe(&requested(Some("1"), 0, Some(wanted), 0))
        .await;
    let stop = line.verdict().await.stop.unwrap();
    assert_eq!(stop.reason, Reason::ProbeFailed);
    assert!(
        stop.detail.contains("something else") && stop.detail.contains(BIZ),
        "{stop}"
    );
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_none() {
    let mut line = Line::start().await;
    let slow = Answer {
        status: 200,
        body: "late".into(),
        delay_ms: 10_000,
    };
    let behaviour = Behaviour {
        answers: [("/".to_owned(), slow)].into(),
        ..Behaviour::default()
    };
    line.install(&FakeJar::new(BIZ, "1").web("hello").behaves(behaviour), "1")
        .await;
    line.run().await;
    let hasty = Probe {
        timeout_ms: 100,
        deadline_ms: 300,
        ..probe()
    };
    line.observe(&requested(Some("1"), 0, Some(hasty), 0)).await;
    let stop = line.verdict().await.stop.unwrap();
    assert_eq!(stop.reason, Reason::ProbeFailed);
    assert!(stop.detail.contains("no answer within 100ms"), "{stop}");
}

#[tokio::test]
async fn a_module_that_is_never_active_or_never_gone() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.run().await;
    line.observe(&requested(Some("2"), 0, Some(probe()), 0))
        .await;
    let stop = line.verdict().await.stop.unwrap();
    assert_eq!(stop.reason, Reason::NotActive);
    assert!(stop.detail.contains("1 activated"), "{stop}");

    let mut line = Line::start().await;
    line.web("1").await;
    line.run().await;
    line.observe(&requested(None, 0, Some(probe()), 0)).await;
    assert_eq!(reason(&line.verdict().await), Some(Reason::NotActive));

    let mut line = Line::start().await;
    line.run().await;
    line.observe(&requested(None, 0, Some(probe()), 0)).await;
    assert_eq!(line.verdict().await.stop, None, "gone, as it must be");
}

#[tokio::test]
async fn a_module_that_becomes_active_while_it_is_waited_for_is_well() {
    let mut line = Line::start().await;
    line.run().await;
    let patient = Probe {
        deadline_ms: 15_000,
        ..probe()
    };
    line.observe(&requested(Some("1"), 0, Some(patient), 0))
        .await;
    line.wait(Kind::BaseJoined, |_| true).await;
    line.web("1").await;
    assert_eq!(line.verdict().await.stop, None);
}

#[tokio::test]
async fn a_base_that_does_not_answer_is_unreachable() {
    let mut line = Line::start().await;
    line.base
        .faults()
        .set(|faults| faults.refuse_connections = true);
    line.run().await;
    line.observe(&requested(Some("1"), 0, Some(probe()), 0))
        .await;
    assert_eq!(reason(&line.verdict().await), Some(Reason::BaseUnreachable));
}

#[tokio::test]
async fn a_module_that_was_changed_since_gets_a_verdict_with_the_revision_that_was_seen() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.fact(&left(Some("1"), 5, false)).await;
    line.run().await;
    line.observe(&requested(Some("1"), 4, Some(probe()), 0))
        .await;
    let verdict = line.verdict().await;
    assert_eq!(verdict.revision, 5);
    assert_eq!(reason(&verdict), Some(Reason::PlanOutdated));
}

/// A base whose modules answer with a status of our choice.
async fn answering(status: &Arc<AtomicU16>) -> Line {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let status = status.clone();
    let router = axum::Router::new().fallback(move || {
        let status = StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
        async move { (status, "as it is now") }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let base = FakeBase::start(Options::default()).await.unwrap();
    let mut line = Line::at(base, &url).await;
    line.web("1").await;
    line.run().await;
    line
}

#[tokio::test]
async fn a_module_that_stops_answering_well_fails_its_soak() {
    let status = Arc::new(AtomicU16::new(200));
    let line = answering(&status).await;
    line.observe(&requested(Some("1"), 0, Some(probe()), 600_000))
        .await;
    line.wait(Kind::ModuleAnswering, |_| true).await;
    status.store(503, Ordering::SeqCst);
    let verdict = line.verdict().await;
    let stop = verdict.stop.unwrap();
    assert_eq!(stop.reason, Reason::SoakFailed);
    assert!(stop.detail.contains("503"), "{stop}");
    assert_eq!(verdict.answer.unwrap().status, 503);
}

#[tokio::test]
async fn a_module_that_goes_during_its_soak_fails_it() {
    let status = Arc::new(AtomicU16::new(200));
    let line = answering(&status).await;
    line.observe(&requested(Some("1"), 0, Some(probe()), 600_000))
        .await;
    line.wait(Kind::ModuleAnswering, |_| true).await;
    line.uninstall("1").await;
    let stop = line.verdict().await.stop.unwrap();
    assert_eq!(stop.reason, Reason::SoakFailed);
    assert!(stop.detail.contains("none"), "{stop}");
}

#[tokio::test]
async fn a_base_that_is_lost_during_a_soak_is_named_so() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.run().await;
    line.observe(&requested(Some("1"), 0, Some(probe()), 600_000))
        .await;
    line.wait(Kind::ModuleAnswering, |_| true).await;
    line.base
        .faults()
        .set(|faults| faults.refuse_connections = true);
    assert_eq!(reason(&line.verdict().await), Some(Reason::BaseLost));
}

#[tokio::test]
async fn without_a_probe_being_active_is_enough() {
    let mut line = Line::start().await;
    line.web("1").await;
    line.run().await;
    line.observe(&requested(Some("1"), 0, None, 50)).await;
    let verdict = tokio::time::timeout(WAIT, line.verdict()).await.unwrap();
    assert_eq!((verdict.stop, verdict.answer), (None, None));
    tokio::time::timeout(
        Duration::from_secs(1),
        line.wait(Kind::ModuleAnswering, |_| true),
    )
    .await
    .unwrap();
}
