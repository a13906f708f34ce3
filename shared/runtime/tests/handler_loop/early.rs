//! Work that begins while its claim is being committed.

use std::sync::atomic::Ordering;

use ferry_bus::MemoryBus;
use ferry_events::{Kind, Service, subject};
use ferry_runtime::Running;

use super::support::*;

async fn early(bus: &MemoryBus, work: &Work) -> Running {
    let publisher = Publisher {
        early: true,
        ..Publisher::default()
    };
    replica_of(&publisher, bus, work).await
}

/// Gives the replica a message, and lets the claim that follows from it wait for its answer.
async fn publish_and_hold(bus: &MemoryBus) {
    publish(bus, &packaged(1, "cart")).await;
    bus.hold_answers(true);
}

/// Whether somebody has a claim on the aggregate's work.
fn is_claimed(bus: &MemoryBus) -> bool {
    let all = bus.messages(subject::STREAM).unwrap();
    let records = subject::state(Service::Slimmer, "");
    let mut states = all
        .iter()
        .filter(|(_, subject, _)| subject.starts_with(&records));
    states.any(|(_, _, payload)| String::from_utf8_lossy(payload).contains("\"claim\":{"))
}

#[tokio::test(start_paused = true)]
async fn what_may_begin_early_does_not_wait_for_its_claim() {
    let (bus, work) = (bus().await, Work::free());
    let running = early(&bus, &work).await;
    publish_and_hold(&bus).await;
    wait_for(|| work.begun() == 1).await;
    assert_eq!(
        count(&bus, Kind::ArtifactPublished),
        0,
        "its outcome waits for the claim"
    );
    bus.hold_answers(false);
    published(&bus, 1).await;
    assert!(running.drain().await);
    assert_eq!(work.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_begin_early_waits() {
    let (bus, work) = (bus().await, Work::free());
    let running = replica(&bus, &work).await;
    publish_and_hold(&bus).await;
    // The claim is stored, and whatever could run has run.
    wait_for(|| is_claimed(&bus)).await;
    assert_eq!(work.begun(), 0);
    bus.hold_answers(false);
    published(&bus, 1).await;
    assert!(running.drain().await);
    assert_eq!(work.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_began_early_is_dropped_where_the_claim_fails() {
    let (bus, work) = (bus().await, Work::held());
    let running = early(&bus, &work).await;
    publish(&bus, &packaged(1, "cart")).await;
    bus.lose_answers(1);
    bus.hold_answers(true);
    wait_for(|| work.begun() == 1).await;
    bus.hold_answers(false);
    wait_for(|| work.begun() == 2).await;
    // One permit: were the first one still there, it would take it and nothing would be said.
    work.gate.add_permits(1);
    published(&bus, 1).await;
    assert!(running.drain().await);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 1);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_that_both_begin_say_one_outcome() {
    let (bus, work) = (bus().await, Work::free());
    let (one, two) = (early(&bus, &work).await, early(&bus, &work).await);
    for n in 0..20 {
        // The same twice, so that each replica has it.
        publish(&bus, &packaged(n, "cart")).await;
        publish(&bus, &packaged(n, "cart")).await;
    }
    // It stands behind all the others: once it is taken, so are they.
    publish(&bus, &packaged(20, "cart")).await;
    published(&bus, 21).await;
    assert!(one.drain().await && two.drain().await);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 21);
    assert!(work.begun.load(Ordering::SeqCst) >= 21);
}
