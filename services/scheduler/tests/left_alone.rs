//! What becomes of bases that are left alone when word of the line comes late, or again.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use chrono::TimeDelta;
use ferry_events::{
    Body, Reason, Verb,
    command::OnBase,
    line::{Act, Changed, Standing, Stretch},
};
use ferry_scheduler::decide::unit_key;
use world::{World, fails_on, look_into, then_away, well};

/// Version 2 answers badly on prod-3, and then prod-2 cannot be reached.
fn quarantined() -> World {
    let mut world = World::new(well());
    world.push(1);
    world.script = then_away(
        "prod-2",
        fails_on("prod-3", "observation", "2", Reason::ProbeFailed),
    );
    world.push(2);
    assert!(is_quarantined(&world), "{}", world::story(&world));
    world
}

fn unit(world: &World) -> serde_json::Value {
    look_into(&world.states[&unit_key("cart", "prod")])
}

fn is_quarantined(world: &World) -> bool {
    !unit(world)["care"]["prod-2"]["quarantined"].is_null()
}

fn heard(world: &World) -> u64 {
    unit(world)["line"]["number"].as_u64().expect("a number")
}

fn changed(world: &World, act: Act, stretch: Stretch, number: u64, standing: &[Standing]) -> Body {
    Changed {
        act,
        stretch,
        at: world.now,
        number,
        standing: standing.to_vec(),
        actor: "ada".into(),
        why: None,
        command: None,
    }
    .into()
}

fn asked_of_prod_2(world: &World) -> usize {
    let said = world.said.iter();
    said.filter(|body| matches!(body, Body::TaskRequested(p) if p.base == "prod-2"))
        .count()
}

/// A message that is delivered again comes after those that were stored behind it.
#[test]
fn a_release_that_is_heard_after_something_newer_counts_all_the_same() {
    let mut world = quarantined();
    // No repair helps: it is given up.
    for _ in 0..30 {
        world.pass(TimeDelta::minutes(2));
    }
    let given_up = |body: &Body| matches!(body, Body::ModuleGivenUp(_));
    assert!(world.said.iter().any(given_up), "{}", world::story(&world));
    let (before, number) = (asked_of_prod_2(&world), heard(&world));
    world.script = well();
    let module = Stretch::Module("cart".into());
    let pause = Standing {
        stretch: module.clone(),
        since: world.now,
        actor: "ada".into(),
        why: None,
        quarantined: false,
    };
    let newer = changed(&world, Act::Pause, module, number + 2, &[pause]);
    let release = Stretch::of_base("prod-2", "prod");
    let release = changed(&world, Act::Release, release, number + 1, &[]);
    world.feed(newer);
    assert!(is_quarantined(&world));
    world.feed(release);
    assert!(!is_quarantined(&world), "{}", world::story(&world));
    assert_eq!(
        asked_of_prod_2(&world),
        before + 1,
        "a repair begins\n{}",
        world::story(&world)
    );
}

#[test]
fn a_release_that_comes_again_does_not_end_a_later_quarantine() {
    let mut world = quarantined();
    world.script = well();
    let on_base = OnBase {
        base: "prod-2".into(),
        environment: "prod".into(),
    };
    let release = world.command(7, "ada", Some("its disk was full"), Verb::Release(on_base));
    world.order(release);
    assert!(!is_quarantined(&world));
    let said = world.said.iter().rev();
    let mut releases = said
        .filter(|body| matches!(body, Body::LineChanged(changed) if changed.act == Act::Release));
    let release = releases.next().expect("a release").clone();
    world.script = then_away(
        "prod-2",
        fails_on("prod-3", "observation", "3", Reason::ProbeFailed),
    );
    world.push(3);
    assert!(is_quarantined(&world), "{}", world::story(&world));
    world.feed(release);
    assert!(is_quarantined(&world), "{}", world::story(&world));
}
