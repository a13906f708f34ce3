//! What happened more than once.
//!
//! In: the bases' own ledgers, the events on the bus. Out: each thing of which there may be one only, and are more.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use ferry_events::{Body, Event, RunId};
use ferry_fake_base::{Entry, Phase};

use super::world::World;

/// On the bases by their own ledgers, and in the events.
///
/// # Errors
/// When a ledger cannot be read.
pub fn doubled(world: &World, events: &[&Event]) -> Result<Vec<String>> {
    let mut doubled = in_events(events);
    for base in world.bases.all() {
        doubled.extend(on_base(base.name(), world.bases.ledger(base)?));
    }
    Ok(doubled)
}

/// Request ids that took effect more than once. An id is derived from task, step and attempt, so this
/// counts those.
#[must_use]
pub fn on_base(name: &str, ledger: Vec<Entry>) -> Vec<String> {
    let mut effects: BTreeMap<String, usize> = BTreeMap::new();
    for entry in ledger {
        if let (Phase::Ended, true, Some(id)) = (entry.phase, entry.effect, entry.request_id) {
            *effects.entry(id).or_default() += 1;
        }
    }
    let twice = effects.into_iter().filter(|(_, times)| *times > 1);
    twice
        .map(|(id, times)| format!("{name}: request {id} took effect {times} times"))
        .collect()
}

/// Events that came twice, ends that came twice, artifacts and runs of one commit that are two.
fn in_events(events: &[&Event]) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut jars: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut changes: BTreeMap<(&str, &str), BTreeSet<RunId>> = BTreeMap::new();
    for event in events {
        let mut count = |what: String| *seen.entry(what).or_default() += 1;
        count(format!("event {}", event.id));
        match &event.body {
            Body::PushReceived(it) => count(format!("push {} received", it.push)),
            Body::PushResolved(it) => count(format!("push {} resolved", it.push)),
            Body::RunQueued(it) => count(format!("run {} queued", it.run)),
            Body::RunFinished(it) => count(format!("run {} finished", it.run)),
            Body::RolloutFinished(it) => {
                let (run, environment) = (it.run, &it.environment);
                count(format!("rollout of run {run} to {environment} finished"));
            }
            Body::TaskFinished(it) => count(format!("task {} finished", it.task)),
            Body::ArtifactPackaged(it) => {
                count(format!("artifact of run {} packaged", it.run));
                if let Some(commit) = &it.commit {
                    let of_commit = jars.entry((&it.module, commit)).or_default();
                    of_commit.insert(it.digest.as_str());
                }
            }
            Body::ChangeMerged(it) => {
                let of_commit = changes.entry((&it.module, &it.commit)).or_default();
                of_commit.insert(it.run);
            }
            _ => {}
        }
    }
    let twice = seen.into_iter().filter(|(_, times)| *times > 1);
    let mut doubled: Vec<String> = twice
        .map(|(what, times)| format!("{what} {times} times"))
        .collect();
    let two = jars.into_iter().filter(|(_, digests)| digests.len() > 1);
    doubled.extend(two.map(|((module, commit), digests)| {
        format!("{module} at {commit} has {} artifacts", digests.len())
    }));
    // No push here goes back to an old commit, so each commit is one run of a module.
    let two = changes.into_iter().filter(|(_, runs)| runs.len() > 1);
    doubled.extend(
        two.map(|((module, commit), runs)| format!("{module} at {commit} has {} runs", runs.len())),
    );
    doubled
}

#[cfg(test)]
mod tests {
    use ferry_events::artifact::{Biz, Packaged};
    use ferry_events::{Digest, EventId, Scope, Service, Timestamp};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn entry(id: &str, phase: &str, effect: bool) -> Entry {
        serde_json::from_value(json!({
            "sequence": 1, "at_ms": 0, "restarts": 0, "phase": phase, "command": "installBiz",
            "request_id": id, "name": "cart", "version": "1", "effect": effect, "outcome": null,
        }))
        .expect("an entry")
    }

    #[test]
    fn a_request_that_took_effect_twice_is_found() {
        let once = vec![
            entry("a", "asked", false),
            entry("a", "ended", true),
            entry("a", "ended", false),
            entry("b", "ended", true),
        ];
        assert_eq!(on_base("pre-1", once.clone()), Vec::<String>::new());
        let twice = [once, vec![entry("a", "ended", true)]].concat();
        assert_eq!(
            on_base("pre-1", twice),
            ["pre-1: request a took effect 2 times"]
        );
    }

    fn packaged(number: u128, run: u64, jar: &str) -> Event {
        let run = RunId::of("shop", "main", run, "cart");
        Event {
            id: EventId(Uuid::from_u128(number)),
            source: Service::Builder,
            time: Timestamp::from_timestamp_millis(0).expect("a time"),
            scope: Scope::module(None, "cart"),
            cause: None,
            trace: None,
            body: Packaged {
                origin: None,
                own: None,
                rules: Vec::new(),
                run,
                module: "cart".into(),
                digest: Digest::of(jar.as_bytes()),
                size: 1,
                commit: Some("c0".into()),
                biz: Biz {
                    name: "cart".into(),
                    version: "1".into(),
                    web_context_path: None,
                },
            }
            .into(),
        }
    }

    #[test]
    fn a_second_artifact_of_a_commit_and_a_second_event_are_found() {
        let (first, same) = (packaged(1, 1, "jar"), packaged(2, 2, "jar"));
        assert_eq!(in_events(&[&first, &same]), Vec::<String>::new());
        let other = packaged(3, 3, "another jar");
        assert_eq!(in_events(&[&first, &other]), ["cart at c0 has 2 artifacts"]);
        let again = in_events(&[&first, &first]);
        assert_eq!(
            again.len(),
            2,
            "the event and the run's artifact: {again:?}"
        );
    }
}
