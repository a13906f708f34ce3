//! Work that fails for a cause that may pass.

use std::sync::atomic::Ordering;

use ferry_bus::{Bus, MemoryBus};
use ferry_events::{Body, Event, EventId, Kind, Reason, Service, subject, work::Retried};

use crate::support::*;

async fn retried(bus: &MemoryBus, many: usize) -> Vec<(EventId, Retried)> {
    let heard = heard(
        bus,
        subject::STREAM,
        &subject::events_of(Kind::WorkRetried),
        many,
    )
    .await;
    let all = heard.iter().map(|(_, payload)| {
        let event = Event::decode(payload).unwrap();
        let Body::WorkRetried(retried) = event.body else {
            panic!("another kind")
        };
        (event.id, *retried)
    });
    all.collect()
}

#[tokio::test(start_paused = true)]
async fn it_is_tried_again_and_the_events_keep_their_ids() {
    let mut said = Vec::new();
    for fails in [0, 3] {
        let bus = bus().await;
        let work = Work::free().failing(fails);
        let running = replica(&bus, &work).await;
        publish(&bus, &packaged(1, "cart")).await;
        let published = published(&bus, 1).await;
        assert!(running.drain().await);
        assert_eq!(work.begun(), fails + 1);
        assert_eq!(count(&bus, Kind::WorkRetried), fails);
        said.push(published[0].id);
        if fails == 0 {
            continue;
        }
        let failed = Some(Reason::StoreFailed);
        let attempts = [(1, None), (2, failed), (3, failed), (4, failed)];
        assert_eq!(*work.attempts.lock().unwrap(), attempts);
        let retried = retried(&bus, fails).await;
        for (index, (_, it)) in retried.iter().enumerate() {
            assert_eq!(it.tries as usize, index + 1);
            assert_eq!((it.most, it.what.as_str()), (8, "slim"));
            assert_eq!(it.run, packaged(1, "cart").run());
            assert_eq!(it.stop.reason, Reason::StoreFailed);
            assert_eq!(it.first_at, retried[0].1.first_at);
        }
        let times: Vec<_> = retried.iter().map(|(_, it)| it.next_at).collect();
        assert!(times.is_sorted_by(|one, two| one < two));
        let ids: std::collections::BTreeSet<_> = retried.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), fails, "each has an id of its own");
        let record = bus
            .read(&subject::state(
                Service::Slimmer,
                &format!("slim.{}", packaged(1, "cart").run().unwrap()),
            ))
            .await
            .unwrap()
            .unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&record.payload).unwrap();
        assert_eq!(stored["sequence"], 2, "it came, and it was published");
        assert!(stored.get("retry").is_none() && stored.get("claim").is_none());
    }
    assert_eq!(said[0], said[1], "a retry keeps its event ids");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_with_the_last_cause() {
    let bus = bus().await;
    let work = Work::free().failing(usize::MAX);
    let running = replica(&bus, &work).await;
    publish(&bus, &packaged(1, "cart")).await;
    let filter = subject::events_of(Kind::ArtifactRefused);
    let refused = heard(&bus, subject::STREAM, &filter, 1).await;
    assert!(running.drain().await);
    let Body::ArtifactRefused(refused) = Event::decode(&refused[0].1).unwrap().body else {
        panic!("another kind")
    };
    assert_eq!(refused.stop.reason, Reason::StoreFailed);
    assert_eq!(refused.stop.detail, "the store is silent (tried 8 times)");
    assert_eq!(work.begun(), 8);
    assert_eq!(count(&bus, Kind::WorkRetried), 7);
}

#[tokio::test(start_paused = true)]
async fn another_replica_goes_on_where_one_ended() {
    let bus = bus().await;
    let first = Work::free().failing(usize::MAX);
    let one = replica(&bus, &first).await;
    publish(&bus, &packaged(1, "cart")).await;
    let waiting = retried(&bus, 2).await;
    assert!(one.drain().await);
    let ended = first.begun();
    let second = Work::free();
    let two = replica(&bus, &second).await;
    let published = published(&bus, 1).await;
    assert!(two.drain().await);
    let attempts = second.attempts.lock().unwrap().clone();
    let failed = Some(Reason::StoreFailed);
    assert_eq!(attempts, [(u32::try_from(ended).unwrap() + 1, failed)]);
    assert!(
        published[0].time >= waiting[1].1.next_at,
        "not before its time"
    );
}

#[tokio::test(start_paused = true)]
async fn both_replicas_wait_and_one_tries() {
    let bus = bus().await;
    let work = Work::free().failing(4);
    let (one, two) = (replica(&bus, &work).await, replica(&bus, &work).await);
    publish(&bus, &packaged(1, "cart")).await;
    published(&bus, 1).await;
    assert!(one.drain().await && two.drain().await);
    assert_eq!(work.begun(), 5);
    assert_eq!(count(&bus, Kind::WorkRetried), 4);
}

#[tokio::test(start_paused = true)]
async fn a_drain_neither_forgets_lost_workers_nor_is_one() {
    let bus = bus().await;
    let first = Work::held().panicking(4);
    let one = replica(&bus, &first).await;
    publish(&bus, &packaged(1, "cart")).await;
    wait_for(|| first.begun.load(Ordering::SeqCst) == 5).await;
    assert!(one.drain().await);
    let second = Work::free().panicking(usize::MAX);
    let two = replica(&bus, &second).await;
    let filter = subject::events_of(Kind::ArtifactRefused);
    let refused = heard(&bus, subject::STREAM, &filter, 1).await;
    assert!(two.drain().await);
    let Body::ArtifactRefused(refused) = Event::decode(&refused[0].1).unwrap().body else {
        panic!("another kind")
    };
    assert_eq!(refused.stop.detail, "tried 5 times");
    assert_eq!(second.attempts.lock().unwrap().as_slice(), [(6, None)]);
}
