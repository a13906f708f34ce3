//! `ferry plan`: what would be done is what is done next, and what would stop it is said before.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::{collections::BTreeMap, sync::Arc};

use ferry_events::{
    Body, Digest, Reason, RunId, Stop,
    gate::Point,
    question::{Answer, Preview, Question},
    rollout::{Direction, Plan},
};
use ferry_runtime::{Context, Decide, Reply};
use ferry_scheduler::Scheduler;
use world::{World, fails_on, run, well};

fn ask(world: &World, run: Option<RunId>, environment: Option<&str>) -> Answer {
    let question = Question::Plan {
        module: "cart".into(),
        run,
        environment: environment.map(Into::into),
    };
    let keys = Scheduler.route_question(&question, &world.config);
    let states: BTreeMap<_, _> = keys
        .into_iter()
        .filter_map(|key| Some((key.clone(), world.states.get(&key)?.clone())))
        .collect();
    let context = Context {
        now: world.now,
        config: Arc::new(world.config.clone()),
        revision: Digest::of(b"configuration"),
    };
    match Scheduler.answer(&question, &states, &context) {
        Reply::Say(answer) => answer,
        Reply::Fetch(digest) => panic!("the scheduler has nothing in the store: {digest}"),
    }
}

fn previews(world: &World, run: Option<RunId>, environment: Option<&str>) -> Vec<Preview> {
    match ask(world, run, environment) {
        Answer::Plan(previews) => previews,
        other => panic!("{other:?}"),
    }
}

fn refused(world: &World, run: Option<RunId>, environment: Option<&str>) -> Stop {
    match ask(world, run, environment) {
        Answer::Refused(stop) => stop,
        other => panic!("{other:?}"),
    }
}

/// The plans forward of a run, by environment.
fn planned(world: &World, run: RunId) -> BTreeMap<String, Plan> {
    let plans = world.said.iter().filter_map(|body| match body {
        Body::RolloutPlanned(p) if p.plan.run == run && p.plan.direction == Direction::Forward => {
            Some((p.plan.environment.clone(), p.plan.clone()))
        }
        _ => None,
    });
    plans.collect()
}

#[test]
fn the_plan_that_is_shown_is_the_plan_that_runs() {
    let mut world = World::new(well());
    world.push(1);
    // The run has its artifact and waits; so long as nothing else happens, the plan does not change.
    let mut shown = World::new(Box::new(|_| None));
    shown.states.clone_from(&world.states);
    shown.push(2);
    let preview = &previews(&shown, Some(run(2)), Some("prod"))[0];
    world.push(2);
    let plan = preview.plan.as_ref().expect("a plan");
    assert_eq!(*plan, planned(&world, run(2))["prod"]);
    assert_eq!(preview.live.as_deref(), Some("1.0.0-1"));
    assert_eq!(preview.version, "1.0.0-2");
    // Asking changes nothing: it is in no environment but pre.
    assert_eq!(previews(&shown, Some(run(2)), None).len(), 2);
}

#[test]
fn what_failed_before_and_what_is_skipped_is_said() {
    let mut world = World::new(fails_on("pre-1", "observation", "-2", Reason::ProbeFailed));
    world.push(1);
    world.push(2);
    let all = previews(&world, Some(run(2)), None);
    let stops = |preview: &Preview| preview.stops.iter().map(|s| s.reason).collect::<Vec<_>>();
    assert_eq!(stops(&all[0]), [Reason::FailedBefore]);
    assert_eq!(stops(&all[1]), [], "prod comes once it is verified in pre");
    let alone = previews(&world, Some(run(2)), Some("prod"));
    assert_eq!(stops(&alone[0]), [Reason::PlanRefused]);
    assert!(
        alone[0].stops[0].detail.contains("pre"),
        "{}",
        alone[0].stops[0]
    );
}

#[test]
fn bases_that_differ_and_waits_are_told() {
    let mut world = World::new(well());
    world.push(1);
    world.config.environments.get_mut("prod").unwrap().approval =
        Some(serde_json::from_value(serde_json::json!({ "by": ["bob"] })).expect("an approval"));
    world.loses("prod-2");
    let preview = &previews(&world, None, Some("prod"))[0];
    let lost: Vec<_> = preview.differing.iter().filter(|one| one.lost).collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].base, "prod-2");
    let waits: Vec<_> = preview
        .waits
        .iter()
        .map(|one| (one.point, one.name.as_str()))
        .collect();
    assert_eq!(waits, [(Point::Start, "approval")]);
}

#[test]
fn what_cannot_be_answered_has_a_reason() {
    let mut world = World::new(well());
    assert_eq!(refused(&world, None, None).reason, Reason::NothingVerified);
    assert_eq!(
        refused(&world, Some(run(9)), None).reason,
        Reason::NothingVerified
    );
    world.push(1);
    assert_eq!(refused(&world, None, Some("mars")).reason, Reason::NoBases);
    world.config.modules.clear();
    assert_eq!(refused(&world, None, None).reason, Reason::UnknownModule);
}
