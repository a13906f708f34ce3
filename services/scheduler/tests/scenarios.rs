//! Stories of the scheduler: what it is told, and all that it says, as golden text.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use ferry_events::{Body, Reason, Stop, artifact::Refused, build};
use insta::assert_snapshot;
use world::{World, fails_on, release, run, story, then_away, well};

#[test]
fn a_first_push_goes_through_both_environments() {
    let mut world = World::new(well());
    world.push(1);
    assert_snapshot!(story(&world));
}

#[test]
fn a_second_push_replaces_the_first() {
    let mut world = World::new(well());
    world.push(1);
    world.story.clear();
    world.push(2);
    assert_snapshot!(story(&world));
}

#[test]
fn a_build_that_fails_ends_the_run_before_any_base() {
    let mut world = World::new(well());
    world.feed(World::change(1));
    world.feed(
        build::Finished {
            run: run(1),
            module: "cart".into(),
            build: uuid::Uuid::nil(),
            stop: Some(Stop::new(
                Reason::DoesNotCompile,
                "Cart.java:[3,1] ';' expected",
            )),
            millis: 4000,
            reused: false,
        }
        .into(),
    );
    assert_snapshot!(story(&world));
}

#[test]
fn a_refusal_that_comes_before_its_change_is_not_lost() {
    let mut world = World::new(well());
    world.feed(
        Refused {
            run: run(1),
            module: "cart".into(),
            packaged: release(1).packaged,
            stop: Stop::new(Reason::NotABiz, "no Ark-Biz-Name"),
        }
        .into(),
    );
    world.feed(World::change(1));
    assert_snapshot!(story(&world));
}

#[test]
fn a_first_version_that_does_not_start_leaves_the_base_without() {
    let mut world = World::new(fails_on("pre-1", "task", "-1", Reason::InstallFailed));
    world.push(1);
    assert_snapshot!(story(&world));
}

#[test]
fn a_second_version_that_does_not_start_on_the_canary_goes_back() {
    let mut world = World::new(fails_on("prod-1", "task", "-2", Reason::InstallFailed));
    world.push(1);
    world.story.clear();
    world.push(2);
    assert_snapshot!(story(&world));
}

#[test]
fn a_version_that_answers_badly_in_the_second_wave_goes_back_everywhere() {
    let mut world = World::new(fails_on("prod-3", "observation", "-2", Reason::ProbeFailed));
    world.push(1);
    world.story.clear();
    world.push(2);
    assert_snapshot!(story(&world));
}

#[test]
fn a_base_that_cannot_go_back_is_named() {
    let fails = fails_on("prod-2", "task", "-2", Reason::InstallFailed);
    let mut world = World::new(then_away("prod-1", fails));
    world.push(1);
    world.story.clear();
    world.push(2);
    assert_snapshot!(story(&world));
}

#[test]
fn a_newer_push_takes_the_place_of_one_that_waits() {
    // The first rollout never ends by itself: the second waits, the third takes its place.
    let mut world = World::new(Box::new(|_| None));
    world.push(1);
    world.push(2);
    world.push(3);
    assert_snapshot!(story(&world));
}

#[test]
fn an_older_push_that_comes_late_is_superseded() {
    let mut world = World::new(well());
    world.push(2);
    world.story.clear();
    world.push(1);
    assert_snapshot!(story(&world));
}

#[test]
fn a_base_that_says_nothing_is_overdue_and_the_others_go_back() {
    let mut world = World::new(Box::new(|body| match body {
        Body::TaskRequested(p) if p.base == "prod-2" => None,
        _ => Some(Ok(())),
    }));
    world.push(1);
    world.pass(chrono::TimeDelta::minutes(10));
    world.pass(chrono::TimeDelta::minutes(10));
    assert_snapshot!(story(&world));
}

#[test]
fn a_person_goes_back_and_back_again() {
    let mut world = World::new(well());
    world.push(1);
    world.push(2);
    world.push(3);
    world.story.clear();
    world.rollback(1, None);
    world.rollback(2, Some("1.0.0-1"));
    world.rollback(3, None);
    assert_snapshot!(story(&world));
}

#[test]
fn a_module_that_nobody_knows_is_refused_with_a_reason() {
    let mut world = World::new(well());
    world.config.modules.clear();
    world.rollback(1, None);
    world.feed(World::change(1));
    assert_snapshot!(story(&world));
}
