//! The handler loop on the bus in memory: one commit, one ack, jobs, faults, drain.
//!
//! Time is tokio's and paused, so that leases and back-offs pass at once.

mod early;
mod letters;
mod retries;
#[path = "../support/mod.rs"]
mod support;

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use ferry_bus::{Bus, Keep, MemoryBus, Write};
use ferry_events::{Body, Event, Kind, Service, subject};
use ferry_runtime::Settings;
use support::*;
use tokio::sync::Semaphore;
use uuid::Uuid;

#[tokio::test(start_paused = true)]
async fn what_follows_is_said_once_however_often_the_message_comes() {
    let bus = bus().await;
    let work = Work::free();
    let running = replica(&bus, &work).await;
    let event = packaged(1, "cart");
    publish(&bus, &event).await;
    publish(&bus, &event).await;
    let said = published(&bus, 1).await;
    publish(&bus, &event).await;
    publish(&bus, &packaged(2, "cart")).await;
    published(&bus, 2).await;
    assert!(running.drain().await);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 2, "one a run");
    assert_eq!(said[0].run(), event.run());
    assert_eq!(work.begun.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_share_the_work_and_double_none() {
    let bus = bus().await;
    let work = Work::free();
    let (one, two) = (replica(&bus, &work).await, replica(&bus, &work).await);
    for n in 0..50 {
        publish(&bus, &packaged(n, "cart")).await;
    }
    published(&bus, 50).await;
    assert!(one.drain().await && two.drain().await);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 50);
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_not_made_twice() {
    let bus = bus().await;
    let work = Work::free();
    let running = replica(&bus, &work).await;
    for n in 0..5 {
        bus.lose_answers(2);
        publish_until_taken(&bus, &packaged(n, "cart")).await;
    }
    published(&bus, 5).await;
    assert!(running.drain().await);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 5);
}

/// The test's own commits lose their answers too.
async fn publish_until_taken(bus: &MemoryBus, event: &Event) {
    while bus
        .commit(
            vec![Write {
                id: None,
                ..Write::event(event)
            }]
            .into(),
        )
        .await
        .is_err()
    {}
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_handled_becomes_a_dead_letter_and_stops_no_other() {
    let bus = bus().await;
    let running = replica(&bus, &Work::free()).await;
    publish(&bus, &packaged(1, "fault")).await;
    publish(&bus, &packaged(2, "cart")).await;
    let garbage = Write {
        payload: Bytes::from_static(b"{"),
        ..Write::event(&packaged(3, "x"))
    };
    bus.commit(vec![garbage].into()).await.unwrap();
    let dead = heard(&bus, subject::DEAD, "ferry.dead.>", 2).await;
    published(&bus, 1).await;
    assert!(running.drain().await);
    let mut subjects: Vec<&str> = dead.iter().map(|(subject, _)| subject.as_str()).collect();
    subjects.sort_unstable();
    assert_eq!(
        subjects,
        [
            "ferry.dead.slimmer.malformed",
            "ferry.dead.slimmer.our-fault"
        ]
    );
    let letter = dead
        .iter()
        .find(|(subject, _)| subject.ends_with("our-fault"))
        .unwrap();
    let letter: ferry_bus::DeadLetter = serde_json::from_slice(&letter.1).unwrap();
    assert_eq!(letter.tries, 5);
    assert_eq!(letter.errors, ["a transition that does not exist"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_newer_version_is_parked() {
    let bus = bus().await;
    let running = replica(&bus, &Work::free()).await;
    let event = packaged(1, "cart");
    let newer = String::from_utf8(event.encode())
        .unwrap()
        .replace("packaged.0.3.0", "packaged.9.0.0");
    let write = Write {
        payload: newer.into(),
        ..Write::event(&event)
    };
    bus.commit(vec![write].into()).await.unwrap();
    let parked = heard(&bus, subject::DEAD, "ferry.parked.>", 1).await;
    assert!(running.drain().await);
    assert_eq!(parked[0].0, "ferry.parked.slimmer");
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_its_worker_down_is_given_up_with_a_reason() {
    let bus = bus().await;
    let work = Work::free().panicking(usize::MAX);
    let running = replica(&bus, &work).await;
    publish(&bus, &packaged(1, "cart")).await;
    let refused = heard(
        &bus,
        subject::STREAM,
        &subject::events_of(Kind::ArtifactRefused),
        1,
    )
    .await;
    assert!(running.drain().await);
    let Body::ArtifactRefused(refused) = Event::decode(&refused[0].1).unwrap().body else {
        panic!("another kind")
    };
    assert_eq!(refused.stop.detail, "tried 5 times");
    assert_eq!(work.begun.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_work_back_to_another_replica() {
    let bus = bus().await;
    let held = Work::held();
    let one = replica(&bus, &held).await;
    publish(&bus, &packaged(1, "cart")).await;
    wait_for(|| held.begun.load(Ordering::SeqCst) == 1).await;
    let free = Work::free();
    let two = replica(&bus, &free).await;
    assert!(one.drain().await);
    published(&bus, 1).await;
    assert!(two.drain().await);
    assert_eq!(free.begun.load(Ordering::SeqCst), 1);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_slow_is_not_begun_by_another() {
    let bus = bus().await;
    let gate = Arc::new(Semaphore::new(0));
    let slow = Work {
        gate: gate.clone(),
        ..Work::free()
    };
    let (one, two) = (replica(&bus, &slow).await, replica(&bus, &slow).await);
    publish(&bus, &packaged(1, "cart")).await;
    wait_for(|| slow.begun.load(Ordering::SeqCst) == 1).await;
    // Far past the lease: the claim is renewed all the while.
    tokio::time::sleep(Settings::default().lease * 10).await;
    gate.add_permits(1);
    published(&bus, 1).await;
    assert!(one.drain().await && two.drain().await);
    assert_eq!(slow.begun.load(Ordering::SeqCst), 1);
}

/// An outcome that comes after its claim was lost is not taken: the first result wins.
#[tokio::test(start_paused = true)]
async fn the_first_result_wins() {
    let bus = bus().await;
    let gate = Arc::new(Semaphore::new(0));
    let work = Work {
        gate: gate.clone(),
        ..Work::free()
    };
    let running = replica(&bus, &work).await;
    let event = packaged(1, "cart");
    publish(&bus, &event).await;
    wait_for(|| work.begun.load(Ordering::SeqCst) == 1).await;
    // Another worker takes the claim, as one does after the lease of a frozen one.
    let subject = subject::state(Service::Slimmer, &format!("slim.{}", event.run().unwrap()));
    let record = bus.read(&subject).await.unwrap().unwrap();
    let mut stored: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
    stored["claim"]["by"] = serde_json::json!(Uuid::from_u128(7));
    stored["claim"]["number"] = serde_json::json!(2);
    stored["claims"] = serde_json::json!(2);
    let write = Write::state(
        subject.clone(),
        stored.to_string(),
        record.sequence,
        ferry_bus::Keep::Forever,
    );
    bus.commit(vec![write].into()).await.unwrap();
    gate.add_permits(1);
    // The other one never ends: its lease passes, and this replica begins anew.
    wait_for(|| work.begun.load(Ordering::SeqCst) == 2).await;
    gate.add_permits(1);
    published(&bus, 1).await;
    assert!(running.drain().await);
    assert_eq!(count(&bus, Kind::ArtifactPublished), 1);
}

/// A replica remembers a state. That nothing follows from it is never committed, so nobody would object
/// that it is an old one: it has to look.
#[tokio::test(start_paused = true)]
async fn a_message_is_not_dropped_because_of_a_state_that_another_replica_has_left_behind() {
    let bus = bus().await;
    let work = Work::free();
    let running = replica(&bus, &work).await;
    let event = packaged(1, "cart");
    let run = event.run().unwrap();
    // It is settled, and remembered.
    publish(&bus, &event).await;
    published(&bus, 1).await;
    // Another replica moves it on: to a state in which the same message has something to do.
    let key = subject::state(Service::Slimmer, &format!("slim.{run}"));
    let record = bus.read(&key).await.unwrap().unwrap();
    let mut stored: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
    stored["sequence"] = 9.into();
    stored["state"] = serde_json::to_value(State::default()).unwrap();
    let state = Write::state(key, stored.to_string(), record.sequence, Keep::Forever);
    bus.commit(vec![state].into()).await.unwrap();
    publish(&bus, &event).await;
    published(&bus, 2).await;
    assert!(running.drain().await);
    assert_eq!(work.begun.load(Ordering::SeqCst), 2);
}

/// A process that ends with work waiting for its turn: it ends.
#[test]
fn a_runtime_ends_while_work_waits_for_its_turn() {
    let (ended, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let bus = bus().await;
            let work = Work {
                gate: Arc::new(Semaphore::new(0)),
                ..Work::free()
            };
            let _running = replica(&bus, &work).await;
            for n in 0..40 {
                publish(&bus, &packaged(n, "cart")).await;
            }
            let begun = work.begun.clone();
            wait_for(move || begun.load(Ordering::SeqCst) == 16).await;
        });
        drop(runtime);
        ended.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(60))
        .expect("the runtime ends");
}

/// Everything that a handler may do is in its decision; its hands cannot write.
#[tokio::test(start_paused = true)]
async fn nothing_is_published_before_its_state() {
    let bus = bus().await;
    let running = replica(&bus, &Work::free()).await;
    let states: Arc<Mutex<Vec<String>>> = Arc::default();
    for n in 0..10 {
        publish(&bus, &packaged(n, "cart")).await;
    }
    published(&bus, 10).await;
    assert!(running.drain().await);
    for (_, subject, payload) in bus.messages(subject::STREAM).unwrap() {
        if subject.contains(".artifact.published") {
            let run = Event::decode(&payload).unwrap().run().unwrap();
            states.lock().unwrap().push(run.to_string());
            let record = bus
                .read(&subject::state(Service::Slimmer, &format!("slim.{run}")))
                .await
                .unwrap();
            let stored: serde_json::Value =
                serde_json::from_slice(&record.unwrap().payload).unwrap();
            assert_eq!(
                stored["state"]["published"], true,
                "an event has its transition"
            );
        }
    }
    assert_eq!(states.lock().unwrap().len(), 10);
}
