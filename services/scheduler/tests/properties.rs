//! What holds of the scheduler whatever comes, in whatever order, however often.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{Body, Reason, Stop, rollout::RolloutOutcome};
use proptest::prelude::*;
use world::{World, observed, task_finished};

/// A choice among what can happen next.
#[derive(Clone, Debug)]
enum Next {
    /// Push the next commit.
    Push,
    /// Answer the n-th open task or observation, well or not.
    Answer { which: usize, well: bool },
    /// Say again something that was said before.
    Repeat { which: usize },
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        1 => Just(Next::Push),
        6 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(which, well)| Next::Answer { which, well }),
        2 => any::<usize>().prop_map(|which| Next::Repeat { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_run_ends_once_and_every_base_ends_as_decided(steps in prop::collection::vec(next(), 1..120)) {
        let mut world = World::new(Box::new(|_| None));
        let mut pushed = 0;
        let mut answered = BTreeSet::new();
        let mut fed: Vec<Body> = Vec::new();
        // What a well-behaved installer leaves: the last task of the plan in force wins.
        let mut bases: BTreeMap<(String, String), Option<String>> = BTreeMap::new();

        for step in steps {
            match step {
                Next::Push => {
                    pushed += 1;
                    world.push(pushed);
                }
                Next::Answer { which, well } => {
                    answer(&mut world, &mut answered, &mut fed, &mut bases, which, well);
                }
                Next::Repeat { which } if !fed.is_empty() => {
                    let body = fed[which % fed.len()].clone();
                    let before = world.said.len();
                    world.feed(body);
                    prop_assert_eq!(world.said.len(), before, "a repeat says nothing");
                }
                Next::Repeat { .. } => {}
            }
        }
        // Everything that is still open ends well.
        while answer(&mut world, &mut answered, &mut fed, &mut bases, 0, true) {}

        let mut ended = BTreeMap::new();
        let mut live: BTreeMap<String, Option<String>> = BTreeMap::new();
        for body in &world.said {
            match body {
                Body::RunFinished(p) => *ended.entry(p.run).or_insert(0) += 1,
                Body::RolloutFinished(p) => {
                    prop_assert!(p.stop.is_some() != (p.outcome == RolloutOutcome::Verified), "every end has its reason");
                    live.insert(p.environment.clone(), p.live.clone());
                }
                _ => {}
            }
        }
        prop_assert_eq!(ended.len() as u64, pushed, "every run ends");
        prop_assert!(ended.values().all(|n| *n == 1), "and once");
        for ((environment, base), version) in bases {
            prop_assert_eq!(&version, &live[&environment], "{} runs what is live", base);
        }
    }

    #[test]
    fn a_wave_never_begins_before_the_last_one_is_verified(failing in 0usize..4, kind in any::<bool>()) {
        let base = ["pre-1", "prod-1", "prod-2", "prod-3"][failing];
        let kind = if kind { "task" } else { "observation" };
        let mut world = World::new(world::fails_on(base, kind, "-1", Reason::InstallFailed));
        world.push(1);
        let mut verified = BTreeSet::new();
        let mut open: BTreeSet<String> = BTreeSet::new();
        for body in &world.said {
            match body {
                Body::WaveStarted(p) => {
                    prop_assert!(open.is_empty(), "{:?} are still open", open);
                    open.extend(p.bases.iter().cloned());
                }
                Body::WaveFinished(p) => {
                    if p.stop.is_none() {
                        verified.extend(p.bases.iter().cloned());
                    }
                    open.clear();
                }
                _ => {}
            }
        }
        prop_assert!(!verified.contains(base) || world.said.iter().any(|b| matches!(b, Body::RolloutPlanned(p) if p.plan.direction == ferry_events::rollout::Direction::Back)));
    }
}

fn answer(
    world: &mut World,
    answered: &mut BTreeSet<String>,
    fed: &mut Vec<Body>,
    bases: &mut BTreeMap<(String, String), Option<String>>,
    which: usize,
    well: bool,
) -> bool {
    let open: Vec<Body> = world
        .said
        .iter()
        .filter(|body| matches!(body, Body::TaskRequested(_) | Body::ObservationRequested(_)))
        .filter(|body| !answered.contains(&body.subject_id()))
        .cloned()
        .collect();
    if open.is_empty() {
        return false;
    }
    let body = &open[which % open.len()];
    answered.insert(body.subject_id());
    let result = if well {
        Ok(())
    } else {
        Err(Stop::new(Reason::InstallFailed, "by chance"))
    };
    let reply = match body {
        Body::TaskRequested(p) => {
            // The fence: a task of an older plan changes nothing.
            let newest = world.said.iter().rev().find_map(|b| match b {
                Body::RolloutPlanned(n) if n.plan.environment == p.environment => {
                    Some(n.id.clone())
                }
                _ => None,
            });
            let finished = |n: &Body| matches!(n, Body::RolloutFinished(f) if f.run == p.run && f.environment == p.environment);
            let in_force = newest.as_ref() == Some(&p.plan) && !world.said.iter().any(finished);
            // Going back does not fail here: bases that cannot go back have a story of their own.
            let back = world.said.iter().any(|n| matches!(n, Body::RolloutPlanned(n) if n.id == p.plan && n.plan.direction == ferry_events::rollout::Direction::Back));
            let result = if back { Ok(()) } else { result };
            if in_force {
                let after = if result.is_ok() { &p.want } else { &p.restore };
                bases.insert(
                    (p.environment.clone(), p.base.clone()),
                    after.as_ref().map(|want| want.version.clone()),
                );
            }
            task_finished(p, result)
        }
        Body::ObservationRequested(p) => {
            let back = world.said.iter().any(|n| matches!(n, Body::RolloutPlanned(n) if n.id == p.plan && n.plan.direction == ferry_events::rollout::Direction::Back));
            observed(p, if back { Ok(()) } else { result })
        }
        _ => unreachable!("filtered above"),
    };
    fed.push(reply.clone());
    world.feed(reply);
    true
}
