//! What holds of the scheduler whatever comes, in whatever order, however often.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, Reason, Stop,
    fact::ActivePlan,
    rollout::{Direction, RolloutOutcome},
    run::RunKind,
    subject,
};
use proptest::prelude::*;
use world::{World, observed, task_finished};

/// A choice among what can happen next.
#[derive(Clone, Debug)]
enum Next {
    /// Push the next commit.
    Push,
    /// Answer the n-th open task or observation, well or not.
    Answer { which: usize, well: bool },
    /// A base loses its module. That is told at once, or later.
    Lose { which: usize, at_once: bool },
    /// Something that was held back is told.
    Tell { which: usize },
    /// The next deadline comes, when nothing is in hand.
    Wake,
    /// Say again something that was said before.
    Repeat { which: usize },
}

fn next() -> impl Strategy<Value = Next> {
    prop_oneof![
        1 => Just(Next::Push),
        6 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(which, well)| Next::Answer { which, well }),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(which, at_once)| Next::Lose { which, at_once }),
        1 => any::<usize>().prop_map(|which| Next::Tell { which }),
        1 => Just(Next::Wake),
        2 => any::<usize>().prop_map(|which| Next::Repeat { which }),
    ]
}

/// One push, and then bases that lose their module again and again.
fn restless() -> impl Strategy<Value = Next> {
    prop_oneof![
        6 => prop::bool::weighted(0.95).prop_map(|well| Next::Answer { which: 0, well }),
        2 => (0usize..2).prop_map(|which| Next::Lose { which, at_once: true }),
        2 => Just(Next::Wake),
    ]
}

/// Repairs of one base within the window.
const ATTEMPTS: u32 = 3;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_run_ends_once_and_every_base_ends_as_decided(steps in prop_oneof![
        3 => prop::collection::vec(next(), 1..120),
        1 => prop::collection::vec(restless(), 1..160).prop_map(|steps| std::iter::once(Next::Push).chain(steps).collect()),
    ]) {
        let mut world = World::new(Box::new(|_| None));
        world.config.reconcile.attempts = ATTEMPTS;
        let mut held: Vec<Body> = Vec::new();
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
                Next::Lose { which, at_once } => {
                    let carrying: Vec<_> = bases.iter().filter(|(_, version)| version.is_some()).map(|(key, _)| key.clone()).collect();
                    if carrying.is_empty() {
                        continue;
                    }
                    let key = carrying[which % carrying.len()].clone();
                    let drift = world.drift(&key.1, &[]);
                    bases.insert(key, None);
                    if at_once {
                        fed.push(drift.clone());
                        world.feed(drift);
                    } else {
                        held.push(drift);
                    }
                }
                Next::Tell { which } if !held.is_empty() => {
                    let drift = held.remove(which % held.len());
                    fed.push(drift.clone());
                    world.feed(drift);
                }
                Next::Tell { .. } => {}
                Next::Wake if open(&world, &answered).is_empty() => {
                    if let Some(at) = world.wakes_at() {
                        world.pass(at - world.now);
                    }
                }
                Next::Wake => {}
                Next::Repeat { which } if !fed.is_empty() => {
                    let body = fed[which % fed.len()].clone();
                    let before = (world.said.len(), world.states.clone());
                    world.feed(body);
                    prop_assert_eq!(world.said.len(), before.0, "a repeat says nothing");
                    prop_assert!(world.states == before.1, "and changes nothing");
                }
                Next::Repeat { .. } => {}
            }
        }
        // Everything is told, everything that is still open ends well, and every deadline comes.
        for drift in held {
            world.feed(drift);
        }
        for round in 0.. {
            prop_assert!(round < 100, "it comes to rest");
            while answer(&mut world, &mut answered, &mut fed, &mut bases, 0, true) {}
            match world.wakes_at() {
                Some(at) => world.pass(at - world.now),
                None => break,
            }
        }

        let mut ended = BTreeMap::new();
        let mut live: BTreeMap<String, Option<String>> = BTreeMap::new();
        let mut repairs = 0;
        let mut in_force: BTreeMap<String, ferry_events::RunId> = BTreeMap::new();
        let mut planned = BTreeMap::new();
        let mut begun: BTreeMap<String, u32> = BTreeMap::new();
        for body in &world.said {
            match body {
                Body::RunQueued(p) if p.kind == RunKind::Repair => repairs += 1,
                Body::RunFinished(p) => *ended.entry(p.run).or_insert(0) += 1,
                Body::RolloutPlanned(p) => {
                    planned.insert(p.id.clone(), p.plan.clone());
                }
                Body::WaveStarted(p) if p.number == 1 => {
                    let plan = &planned[&p.plan];
                    let before = in_force.insert(plan.environment.clone(), plan.run);
                    let goes_on = plan.direction == Direction::Back && before == Some(plan.run);
                    prop_assert!(before.is_none() || goes_on, "one plan at a time");
                    for base in plan.bases() {
                        let repairs = begun.entry(base.to_owned()).or_insert(0);
                        *repairs = if plan.direction == Direction::Repair { *repairs + 1 } else { 0 };
                        prop_assert!(*repairs <= ATTEMPTS, "{} is repaired too often", base);
                    }
                }
                Body::RolloutFinished(p) => {
                    if in_force.get(&p.environment) == Some(&p.run) {
                        in_force.remove(&p.environment);
                    }
                    prop_assert!(p.stop.is_some() != (p.outcome == RolloutOutcome::Verified), "every end has its reason");
                    live.insert(p.environment.clone(), p.live.clone());
                }
                _ => {}
            }
        }
        prop_assert_eq!(ended.len() as u64, pushed + repairs, "every run ends");
        prop_assert!(ended.values().all(|n| *n == 1), "and once");
        for ((environment, base), version) in bases {
            let wanted = world.wanted(&environment);
            if let Some(owed) = wanted.owed.get(&base) {
                let given_up = owed.stop.as_ref().map(|stop| stop.reason);
                prop_assert_eq!(given_up, Some(Reason::RepairGivenUp), "{} is owed something at rest", base);
                continue;
            }
            prop_assert_eq!(&version, &live[&environment], "{} runs what is live\n{}", base, world.story.join("\n"));
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

fn open(world: &World, answered: &BTreeSet<String>) -> Vec<Body> {
    world
        .said
        .iter()
        .filter(|body| matches!(body, Body::TaskRequested(_) | Body::ObservationRequested(_)))
        .filter(|body| !answered.contains(&body.subject_id()))
        .cloned()
        .collect()
}

fn answer(
    world: &mut World,
    answered: &mut BTreeSet<String>,
    fed: &mut Vec<Body>,
    bases: &mut BTreeMap<(String, String), Option<String>>,
    which: usize,
    well: bool,
) -> bool {
    let open = open(world, answered);
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
            let fact = world
                .facts
                .get(&subject::plan_fact(&p.module, &p.environment));
            let fact = fact.map(|fact| serde_json::from_value::<ActivePlan>(fact.clone()));
            let in_force = fact.is_some_and(|fact| fact.unwrap().plan.as_ref() == Some(&p.plan));
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
            // One that meets its fence leaves the record as it is.
            let revision = world.revisions.entry(p.base.clone()).or_default();
            *revision += u64::from(in_force);
            task_finished(p, *revision, result)
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
