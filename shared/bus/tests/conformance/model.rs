//! Random histories on both buses: the one in memory answers as the real one does.
//!
//! In: histories of batches that conflict, repeat ids and replace. Out: equal answers, equal streams.

use std::collections::BTreeMap;

use anyhow::Result;
use bytes::Bytes;
use ferry_bus::{
    Batch, Bus, BusError, CommitError, Committed, Keep, MemoryBus, StreamLimits, User, Write,
};
use ferry_events::{Kind, Service, subject};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::real::{Nats, event};

/// How many batches a history has: enough that each answer comes many times.
const BATCHES: usize = 300;

/// What a history writes; guards are relative to what is there, so that some hold and some do not.
#[derive(Clone, Debug)]
enum Step {
    State { key: u8, behind: u64 },
    Fact { key: u8 },
    Event { id: u8 },
}

fn history() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let behind = prop_oneof![5 => Just(0u64), 1 => 1..3u64];
    let step = prop_oneof![
        3 => (0..4u8, behind).prop_map(|(key, behind)| Step::State { key, behind }),
        1 => (0..3u8).prop_map(|key| Step::Fact { key }),
        3 => (0..200u8).prop_map(|id| Step::Event { id }),
    ];
    prop::collection::vec(prop::collection::vec(step, 1..6), BATCHES)
}

/// A batch of the history, with guards from what is there now.
async fn batch(bus: &dyn Bus, steps: &[Step]) -> Result<Batch> {
    let mut writes = Vec::new();
    for step in steps {
        writes.push(match step {
            Step::State { key, behind } => {
                let subject = subject::state(Service::Scheduler, &format!("k{key}"));
                let last = bus
                    .read(&subject)
                    .await?
                    .map_or(0, |record| record.sequence);
                Write::state(
                    subject,
                    Bytes::from(vec![*key]),
                    last.saturating_sub(*behind),
                    Keep::Forever,
                )
            }
            Step::Fact { key } => Write::fact(format!("ferry.facts.scheduler.f{key}"), vec![*key]),
            Step::Event { id } => event(Kind::RunQueued, &format!("e{id}")),
        });
    }
    Ok(writes.into())
}

fn name(result: &Result<Committed, CommitError>) -> &'static str {
    match result {
        Ok(_) => "committed",
        Err(CommitError::Conflict) => "conflict",
        Err(CommitError::Duplicate) => "duplicate",
        Err(CommitError::Bus(BusError::Refused(_))) => "refused",
        Err(CommitError::Bus(_)) => "failed",
    }
}

#[tokio::test]
async fn random_histories_are_the_same_on_both() -> Result<()> {
    let limits = StreamLimits::default();
    let nats = Nats::start(&limits).await?;
    let user = User::Service(Service::Scheduler);
    let (real, memory) = (
        nats.connect(user).await?,
        MemoryBus::default().as_user(user),
    );
    let tree = history()
        .new_tree(&mut TestRunner::deterministic())
        .map_err(anyhow::Error::msg)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, steps) in tree.current().iter().enumerate() {
        let batch = batch(&real, steps).await?;
        let (one, two) = (real.commit(batch.clone()).await, memory.commit(batch).await);
        assert_eq!(
            name(&one),
            name(&two),
            "batch {index}, {steps:?}: {one:?} and {two:?}"
        );
        assert_eq!(one.as_ref().ok(), two.as_ref().ok(), "batch {index}");
        *counts.entry(name(&one)).or_default() += 1;
    }
    assert_eq!(real.list("ferry.>").await?, memory.list("ferry.>").await?);
    let enough = ["committed", "conflict", "duplicate", "refused"]
        .iter()
        .all(|name| counts.get(name) > Some(&5));
    assert!(
        enough && counts.len() == 4,
        "the history tries everything: {counts:?}"
    );
    Ok(())
}
