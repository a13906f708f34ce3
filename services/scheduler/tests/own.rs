//! What a module set for itself goes with its artifact: into plans, back with it, and into repairs.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use ferry_events::{
    Body, Reason,
    artifact::{Own, Published, Release},
    rollout::{Direction, Judge, Plan, RolloutOutcome},
    verify::Probe,
};
use world::{World, fails_on, release, run, well};

fn probe(path: &str) -> Probe {
    Probe {
        path: path.to_owned(),
        status: 200,
        contains: None,
        timeout_ms: 100,
        deadline_ms: 200,
        interval_ms: 10,
    }
}

/// The n-th release, with settings of its own.
fn own(n: u64, soak_ms: Option<u64>, path: Option<&str>) -> Release {
    let mut keys = vec!["goals".to_owned()];
    keys.extend(soak_ms.map(|_| "soak".to_owned()));
    keys.extend(path.map(|_| "probe".to_owned()));
    Release {
        origin: None,
        own: Some(Own {
            keys,
            soak_ms,
            slim: None,
            probe: path.map(probe),
        }),
        ..release(n)
    }
}

fn push(world: &mut World, release: Release) {
    let change = World::change(release.version()[6..].parse().expect("a number"));
    world.feed(change);
    world.feed(Published { release }.into());
}

fn plans(world: &World) -> Vec<Plan> {
    let plan = |body: &Body| match body {
        Body::RolloutPlanned(p) if p.plan.environment == "prod" => Some(p.plan.clone()),
        _ => None,
    };
    world.said.iter().filter_map(plan).collect()
}

fn judged(plan: &Plan) -> (Option<&str>, u64, Vec<&str>) {
    let Judge {
        probe,
        soak_ms,
        own,
    } = &plan.judge;
    let path = probe.as_ref().map(|probe| probe.path.as_str());
    (path, *soak_ms, own.iter().map(String::as_str).collect())
}

#[test]
fn what_it_sets_is_in_its_plan_and_the_rest_is_the_configurations() {
    let mut world = World::new(well());
    push(&mut world, own(1, Some(5000), None));
    push(&mut world, own(2, None, Some("/own")));
    push(&mut world, release(3));
    let plans = plans(&world);
    let judged: Vec<_> = plans.iter().map(judged).collect();
    let expected = [
        (Some("/cart/"), 5000, vec!["soak"]),
        (Some("/own"), 1000, vec!["probe"]),
        (Some("/cart/"), 1000, vec![]),
    ];
    assert_eq!(judged, expected);
}

#[test]
fn the_way_back_judges_as_the_version_that_comes_back() {
    let script = fails_on("prod-2", "observation", "1.0.0-2", Reason::ProbeFailed);
    let mut world = World::new(script);
    push(&mut world, own(1, Some(5000), Some("/old")));
    push(&mut world, own(2, Some(6000), Some("/new")));
    let plans = plans(&world);
    let back = plans.last().expect("a plan");
    assert_eq!(back.direction, Direction::Back);
    assert_eq!(judged(back), (Some("/old"), 0, vec!["probe"]));
}

#[test]
fn a_rollback_by_hand_and_a_repair_judge_so_too_whatever_policies_say_now() {
    let mut world = World::new(well());
    push(&mut world, own(1, Some(5000), Some("/old")));
    push(&mut world, own(2, None, Some("/new")));
    let policy = ferry_config::Policy {
        may_set: Vec::new(),
        ..ferry_config::Policy::default()
    };
    world.config.policies.insert("late".into(), policy);
    world.rollback(1, None);
    let all = plans(&world);
    let back = all.last().expect("a plan");
    assert_eq!(judged(back), (Some("/old"), 0, vec!["probe"]));
    world.drifts("prod-2", &[]);
    let all = plans(&world);
    let repair = all.last().expect("a plan");
    assert_eq!(repair.direction, Direction::Repair);
    assert_eq!(judged(repair), (Some("/old"), 0, vec!["probe"]));
}

#[test]
fn policies_that_came_after_the_build_hold_for_what_is_rolled_out_now() {
    let mut world = World::new(well());
    let policy = ferry_config::Policy {
        soak_at_most: std::time::Duration::from_secs(4),
        probe_paths: vec!["/cart/**".into()],
        ..ferry_config::Policy::default()
    };
    world.config.policies.insert("late".into(), policy);
    push(&mut world, own(1, Some(5000), Some("/own")));
    let ended = world.said.iter().find_map(|body| match body {
        Body::RolloutFinished(p) if p.run == run(1) => Some(p.clone()),
        _ => None,
    });
    let ended = ended.expect("an end");
    assert_eq!(ended.outcome, RolloutOutcome::Stopped);
    let stop = ended.stop.expect("a reason");
    assert_eq!(stop.reason, Reason::ModuleFileRefused);
    assert_eq!(
        stop.detail,
        "soak: 5s is longer than the 4s of [policies.late] soak_at_most; probe.path: \"/own\" is no path that [policies.late] allows: /cart/**"
    );
    assert!(plans(&world).is_empty(), "nothing was planned");
}
