//! Stories of bases that lose a module or run something else, and of how they are brought back.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use chrono::TimeDelta;
use ferry_events::{Body, Reason, rollout::Direction};
use insta::assert_snapshot;
use world::{World, fails_on, silent_on, story, then_away, well};

/// A world in which the n-th version is live everywhere.
fn live(script: world::Script, n: u64) -> World {
    let mut world = World::new(script);
    for n in 1..=n {
        world.push(n);
    }
    world.story.clear();
    world
}

fn no_repair(world: &World) -> bool {
    !world.said.iter().any(
        |body| matches!(body, Body::RolloutPlanned(p) if p.plan.direction == Direction::Repair),
    )
}

#[test]
fn bases_that_lost_the_module_get_it_back_and_only_they() {
    let mut world = live(well(), 1);
    world.drifts("prod-2", &[]);
    world.drifts("prod-3", &["0.9"]);
    assert_snapshot!(story(&world));
    assert!(world.wanted("prod").owed.is_empty());
    assert_eq!(world.wanted("prod").versions["prod"], "1.0.0-1");
    assert_eq!(world.wakes_at(), None, "nothing waits");
}

#[test]
fn what_is_repeated_late_or_stale_says_nothing() {
    let mut world = live(well(), 1);
    let stale = world.drift("prod-2", &[]);
    world.push(2);
    let before = world.said.len();
    world.feed(stale);
    assert_eq!(world.said.len(), before, "seen before the base was changed");
    let drift = world.drift("prod-2", &[]);
    let older = world.join("prod-2", None);
    world.feed(older);
    let repaired = world.said.len();
    assert!(repaired > before);
    world.feed(drift);
    assert_eq!(world.said.len(), repaired, "seen before what is known");
}

#[test]
fn a_base_that_was_lost_is_waited_for() {
    let mut world = live(well(), 1);
    world.loses("prod-1");
    world.pass(TimeDelta::minutes(30));
    world.joins("prod-1", None);
    assert_snapshot!(story(&world));
}

#[test]
fn a_base_that_is_new_in_a_pool_gets_what_is_live() {
    let mut world = live(well(), 1);
    let mut pool = world.config.pools["prod"].clone();
    let mut base = pool.bases[0].clone();
    base.name = "prod-4".into();
    pool.bases.push(base);
    world.config.pools.insert("prod".into(), pool);
    world.joins("prod-4", None);
    assert_snapshot!(story(&world));
}

#[test]
fn no_repair_begins_while_a_rollout_is_in_hand() {
    // The second rollout stays in hand: prod-1 says nothing.
    let mut world = live(silent_on("prod-1", "1.0.0-2"), 2);
    world.drifts("prod-3", &[]);
    let held = world.wanted("prod");
    assert!(held.rollout.is_some() && held.owed.contains_key("prod-3"));
    // It is overdue and goes back; prod-3 was not touched, and is repaired after it.
    world.pass(TimeDelta::minutes(10));
    assert_snapshot!(story(&world));
    assert!(world.wanted("prod").owed.is_empty());
}

#[test]
fn what_a_rollout_set_right_is_not_repaired() {
    // The base is looked at while its own task is not over.
    let mut silent = true;
    let mut world = live(
        Box::new(move |body| match body {
            Body::TaskRequested(p) if p.base == "prod-1" && silent => {
                silent = p.want.as_ref().is_some_and(|w| w.version == "1.0.0-1");
                silent.then_some(Ok(()))
            }
            _ => Some(Ok(())),
        }),
        2,
    );
    world.drifts("prod-1", &[]);
    let Some(Body::TaskRequested(task)) = world
        .said
        .iter()
        .rev()
        .find(|body| matches!(body, Body::TaskRequested(p) if p.base == "prod-1"))
        .cloned()
    else {
        panic!("its task is in hand");
    };
    world.feed(world::task_finished(&task, 9, Ok(())));
    assert!(no_repair(&world), "{}", story(&world));
    assert_eq!(world.wanted("prod").versions["prod"], "1.0.0-2");
}

#[test]
fn a_repair_gives_way_to_a_rollout() {
    let mut world = live(well(), 1);
    world.script = silent_on("prod-2", "1.0.0-1");
    world.story.clear();
    world.drifts("prod-2", &[]);
    world.push(2);
    assert_snapshot!(story(&world));
}

#[test]
fn a_base_that_keeps_losing_the_module_is_given_up_until_the_next_rollout() {
    let mut world = live(well(), 1);
    world.config.reconcile.attempts = 3;
    for _ in 0..4 {
        world.drifts("prod-1", &[]);
        while let Some(at) = world.wakes_at() {
            world.pass(at - world.now);
        }
    }
    world.drifts("prod-1", &[]);
    assert_snapshot!(story(&world));
    let owed = &world.wanted("prod").owed["prod-1"];
    assert_eq!(
        owed.stop.as_ref().map(|stop| stop.reason),
        Some(Reason::RepairGivenUp)
    );
    assert_eq!((owed.next, owed.repairs), (None, 3));
    world.push(2);
    assert!(world.wanted("prod").owed.is_empty());
    world.story.clear();
    world.drifts("prod-1", &[]);
    assert!(story(&world).contains("Repair through prod"));
}

#[test]
fn a_base_that_was_given_up_is_tried_again_when_it_joins_after_the_window() {
    let mut world = live(well(), 1);
    world.config.reconcile.attempts = 1;
    world.drifts("prod-1", &[]);
    world.drifts("prod-1", &[]);
    world.pass(TimeDelta::minutes(2));
    let given_up = |world: &World| world.wanted("prod").owed["prod-1"].next.is_none();
    assert!(given_up(&world));
    world.loses("prod-1");
    world.joins("prod-1", None);
    world.pass(TimeDelta::minutes(2));
    assert!(given_up(&world), "within the window");
    let said = |world: &World| {
        let given_up = |body: &&Body| matches!(body, Body::ModuleGivenUp(_));
        world.said.iter().filter(given_up).count()
    };
    assert_eq!(said(&world), 1, "it is said once");
    world.pass(TimeDelta::hours(1));
    assert!(given_up(&world), "time alone changes nothing");
    world.loses("prod-1");
    world.joins("prod-1", None);
    assert!(world.wanted("prod").owed.is_empty());
}

#[test]
fn a_repair_that_fails_is_tried_again_after_a_growing_pause() {
    let mut world = live(well(), 1);
    world.config.reconcile.attempts = 3;
    world.script = fails_on("prod-1", "task", "-1", Reason::InstallFailed);
    world.drifts("prod-1", &[]);
    while let Some(at) = world.wakes_at() {
        world.pass(at - world.now);
    }
    assert_snapshot!(story(&world));
}

#[test]
fn a_base_that_could_not_be_brought_back_is_repaired_once_it_answers() {
    let fails = fails_on("prod-2", "task", "-2", Reason::InstallFailed);
    let mut world = World::new(then_away("prod-1", fails));
    world.push(1);
    world.push(2);
    world.story.clear();
    world.loses("prod-1");
    world.pass(TimeDelta::minutes(5));
    world.script = well();
    world.joins("prod-1", Some("1.0.0-2"));
    assert_snapshot!(story(&world));
}

#[test]
fn a_version_that_was_decided_against_is_taken_out_and_others_are_left_alone() {
    // The first release fails; prod has none before.
    let mut world = World::new(fails_on("pre-1", "observation", "-1", Reason::ProbeFailed));
    world.push(1);
    world.story.clear();
    world.drifts("pre-1", &["by-hand"]);
    assert!(no_repair(&world), "nobody decided against it");
    world.drifts("pre-1", &["1.0.0-1"]);
    assert_snapshot!(story(&world));
}

#[test]
fn repairs_that_are_switched_off_are_only_shown() {
    let mut world = live(well(), 1);
    world.config.reconcile.enabled = false;
    world.drifts("prod-1", &[]);
    assert!(no_repair(&world));
    assert!(world.wanted("prod").owed.contains_key("prod-1"));
    world.config.reconcile.enabled = true;
    world.pass(TimeDelta::minutes(6));
    assert!(!no_repair(&world));
}

#[test]
fn a_repair_keeps_to_the_bases_at_a_time() {
    let mut world = live(silent_on("prod-1", "1.0.0-2"), 2);
    world.config.environments.get_mut("prod").unwrap().parallel = ferry_config::Amount::Count(1);
    // Both wait for the rollout's end, so that one repair takes them.
    world.drifts("prod-2", &[]);
    world.drifts("prod-3", &[]);
    world.pass(TimeDelta::minutes(10));
    let waves = world.said.iter().find_map(|body| match body {
        Body::RolloutPlanned(p) if p.plan.direction == Direction::Repair => {
            Some(p.plan.waves.len())
        }
        _ => None,
    });
    assert_eq!(waves, Some(2));
    assert!(world.wanted("prod").owed.is_empty(), "{}", story(&world));
}
