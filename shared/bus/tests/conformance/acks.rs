//! Answers to deliveries that come late, twice, or to an earlier delivery: the bus fences nobody.
//!
//! In: deliveries and answers in every order. Out: what comes again, the same on both buses.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use ferry_bus::{Bus, Consumer, Delivery, MemoryBus, Source, StreamLimits, User, Write};
use ferry_events::{Kind, Service};
use futures::FutureExt;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    real::{Nats, event, next, until},
    world::World,
};

on_both! {
    a_late_ack_settles_a_later_delivery(impatient());
    a_late_nak_gives_back_a_later_delivery(impatient());
    what_was_acked_cannot_be_given_back(impatient());
    given_back_for_longer_than_ack_wait_it_stays_away_as_long(impatient());
    counts_go_on_whoever_takes_it(impatient());
}

fn impatient() -> StreamLimits {
    StreamLimits {
        ack_wait: Duration::from_secs(1),
        ..StreamLimits::default()
    }
}

/// A consumer of the installer with these messages in its stream.
async fn with(world: &World, names: &[&str]) -> Result<Box<dyn Consumer>> {
    let scheduler = world.service(Service::Scheduler).await?;
    let writes: Vec<Write> = names
        .iter()
        .map(|name| event(Kind::TaskRequested, name))
        .collect();
    scheduler.commit(writes.into()).await?;
    let installer = world.service(Service::Installer).await?;
    Ok(installer.consume(Service::Installer, Source::Work).await?)
}

/// Takes until each of these sequences was delivered that often; gives every delivery on the way.
async fn until_delivered(
    work: &mut Box<dyn Consumer>,
    wanted: &[(u64, u64)],
) -> Result<Vec<Delivery>> {
    let mut seen: Vec<Delivery> = Vec::new();
    let there = |seen: &[Delivery]| {
        wanted.iter().all(|wanted| {
            seen.iter()
                .any(|one| (one.sequence, one.delivered) == *wanted)
        })
    };
    while !there(&seen) {
        seen.extend(next(work, 10).await?);
    }
    Ok(seen)
}

fn counts(deliveries: &[Delivery], sequence: u64) -> Vec<u64> {
    deliveries
        .iter()
        .filter(|one| one.sequence == sequence)
        .map(|one| one.delivered)
        .collect()
}

async fn a_late_ack_settles_a_later_delivery(world: &World) -> Result<()> {
    let mut work = with(world, &["a", "b"]).await?;
    let first = until_delivered(&mut work, &[(1, 2), (2, 2)]).await?;
    let stale = first
        .iter()
        .find(|one| (one.sequence, one.delivered) == (1, 1))
        .expect("delivered twice");
    // Whoever holds the second delivery is not asked.
    stale.ack.ack().await?;
    let again = until_delivered(&mut work, &[(2, 4)]).await?;
    assert_eq!(counts(&again, 1), [0; 0], "the first one is settled");
    Ok(())
}

async fn a_late_nak_gives_back_a_later_delivery(world: &World) -> Result<()> {
    let mut work = with(world, &["a"]).await?;
    let first = until_delivered(&mut work, &[(1, 2)]).await?;
    let (stale, later) = (&first[0], &first[1]);
    assert_eq!((stale.delivered, later.delivered), (1, 2));
    later.ack.progress().await?;
    stale.ack.nak(Duration::ZERO).await?;
    let again = until_delivered(&mut work, &[(1, 3)]).await?;
    assert_eq!(counts(&again, 1), [3]);
    // And what the holder of the second one says counts for the third.
    later.ack.term().await?;
    let mut other = with(world, &["b"]).await?;
    let rest = until_delivered(&mut other, &[(2, 3)]).await?;
    assert_eq!(counts(&rest, 1), [0; 0]);
    Ok(())
}

async fn what_was_acked_cannot_be_given_back(world: &World) -> Result<()> {
    let mut work = with(world, &["a", "b"]).await?;
    let first = until_delivered(&mut work, &[(1, 1), (2, 1)]).await?;
    first[0].ack.ack().await?;
    first[0].ack.nak(Duration::ZERO).await?;
    first[0].ack.progress().await?;
    let again = until_delivered(&mut work, &[(2, 3)]).await?;
    assert_eq!(counts(&again, 1), [0; 0]);
    Ok(())
}

async fn given_back_for_longer_than_ack_wait_it_stays_away_as_long(world: &World) -> Result<()> {
    let mut work = with(world, &["a", "b"]).await?;
    let first = until_delivered(&mut work, &[(1, 1), (2, 1)]).await?;
    first[0].ack.nak(Duration::from_millis(2500)).await?;
    let again = until_delivered(&mut work, &[(1, 2)]).await?;
    assert_eq!(counts(&again, 1), [2]);
    assert_eq!(
        counts(&again, 2),
        [2, 3],
        "the other one came after each ack_wait"
    );
    Ok(())
}

async fn counts_go_on_whoever_takes_it(world: &World) -> Result<()> {
    let mut one = with(world, &["a"]).await?;
    let installer = world.service(Service::Installer).await?;
    let mut two = installer.consume(Service::Installer, Source::Work).await?;
    for count in 1..=6 {
        let consumer = if count % 2 == 1 { &mut one } else { &mut two };
        let taken = next(consumer, 10).await?;
        assert_eq!((taken.len(), taken[0].delivered), (1, count));
        taken[0].ack.nak(Duration::ZERO).await?;
    }
    Ok(())
}

/// How many steps a random history has.
const STEPS: usize = 250;

#[derive(Clone, Debug)]
enum Step {
    Commit,
    TakeAll,
    /// Answers one of all deliveries so far, however long ago.
    Settle {
        which: prop::sample::Index,
        how: How,
    },
}

#[derive(Clone, Copy, Debug)]
enum How {
    Ack,
    Nak,
    Progress,
    Term,
}

async fn settle(delivery: &Delivery, how: How) -> Result<()> {
    match how {
        How::Ack => delivery.ack.ack().await?,
        How::Nak => delivery.ack.nak(Duration::ZERO).await?,
        How::Progress => delivery.ack.progress().await?,
        How::Term => delivery.ack.term().await?,
    }
    Ok(())
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![
        3 => Just(How::Ack), 4 => Just(How::Nak), 1 => Just(How::Progress), 1 => Just(How::Term),
    ];
    let step = prop_oneof![
        2 => Just(Step::Commit),
        2 => Just(Step::TakeAll),
        5 => (any::<prop::sample::Index>(), how).prop_map(|(which, how)| Step::Settle { which, how }),
    ];
    prop::collection::vec(step, STEPS)
}

/// Random answers to random deliveries, early ones included: the same comes again on both buses.
#[tokio::test]
async fn random_answers_are_understood_the_same_on_both() -> Result<()> {
    // Nothing comes again by itself: the history alone decides.
    let limits = StreamLimits {
        ack_wait: Duration::from_secs(3600),
        ..StreamLimits::default()
    };
    let nats = Nats::start(&limits).await?;
    let stream = nats.context().await?.get_stream("FERRY").await?;
    let memory = MemoryBus::new(MemoryBus::START, &limits);
    let (scheduler, installer) = (
        User::Service(Service::Scheduler),
        User::Service(Service::Installer),
    );
    let says: [Box<dyn Bus>; 2] = [
        Box::new(nats.connect(scheduler).await?),
        Box::new(memory.as_user(scheduler)),
    ];
    let takes: [Box<dyn Bus>; 2] = [
        Box::new(nats.connect(installer).await?),
        Box::new(memory.as_user(installer)),
    ];
    let mut real = takes[0].consume(Service::Installer, Source::Work).await?;
    let mut model = takes[1].consume(Service::Installer, Source::Work).await?;
    // By sequence and count: what each of them handed out.
    let mut handed: [BTreeMap<(u64, u64), Delivery>; 2] = Default::default();
    let mut unsettled: BTreeSet<u64> = BTreeSet::new();
    let tree = history()
        .new_tree(&mut TestRunner::deterministic())
        .map_err(anyhow::Error::msg)?;
    let mut most = 0;
    for (index, step) in tree.current().into_iter().enumerate() {
        match step {
            Step::Commit => {
                for bus in &says {
                    bus.commit(vec![event(Kind::TaskRequested, &format!("e{index}"))].into())
                        .await?;
                }
            }
            Step::TakeAll => {
                // Answers are taken in their order, but beside requests: wait until all are through.
                until("the server to know every answer", async || {
                    let info = stream.consumer_info("installer").await?;
                    Ok((info.num_ack_pending == unsettled.len()).then_some(()))
                })
                .await?;
                let Some(expected) = model.next(1000).now_or_never() else {
                    continue;
                };
                let expected = expected?;
                let mut got = Vec::new();
                while got.len() < expected.len() {
                    got.extend(next(&mut real, 1000).await?);
                }
                let named = |deliveries: &[Delivery]| -> BTreeSet<(u64, u64)> {
                    deliveries
                        .iter()
                        .map(|one| (one.sequence, one.delivered))
                        .collect()
                };
                assert_eq!(named(&got), named(&expected), "step {index}");
                for (handed, deliveries) in handed.iter_mut().zip([got, expected]) {
                    for delivery in deliveries {
                        most = most.max(delivery.delivered);
                        unsettled.insert(delivery.sequence);
                        handed.insert((delivery.sequence, delivery.delivered), delivery);
                    }
                }
            }
            Step::Settle { which, how } => {
                if handed[0].is_empty() {
                    continue;
                }
                let key = *handed[0]
                    .keys()
                    .nth(which.index(handed[0].len()))
                    .expect("an index below the length");
                for handed in &handed {
                    settle(&handed[&key], how).await?;
                }
                if matches!(how, How::Ack | How::Term) {
                    unsettled.remove(&key.0);
                }
            }
        }
    }
    assert!(
        most >= 5 && handed[0].len() > 60,
        "the history goes deep: {most} times, {} deliveries",
        handed[0].len()
    );
    Ok(())
}
