//! What comes early, late or for nobody, event by event, as golden text. Stories that people tell are in
//! `stories.rs`.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use ferry_config::ModuleKind;
use ferry_events::{
    Body, Reason, Stop, Verb,
    artifact::{Profiled, Published, Refused},
    build,
    line::Stretch,
};
use insta::assert_snapshot;
use world::{World, release, run, story, well};

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
            pool: None,
            report: None,
        }
        .into(),
    );
    world.feed(World::change(1));
    assert_snapshot!(story(&world));
}

/// The jar of a base is not rolled out: its run ends well with its profile, before its change is known too.
#[test]
fn the_run_of_a_base_ends_with_its_profile() {
    let profiled = || -> Body {
        Profiled {
            run: run(1),
            module: "cart".into(),
            commit: None,
            packaged: release(1).packaged,
            profile: release(1).packaged,
            stored: release(1).packaged,
            libraries: 3,
            classes: 9,
            report: None,
            classes_gone: 0,
            members_gone: 0,
        }
        .into()
    };
    let mut stories = Vec::new();
    for early in [false, true] {
        let mut world = World::new(well());
        world.config.modules.get_mut("cart").expect("a module").kind = ModuleKind::Base;
        if early {
            world.feed(profiled());
        }
        world.feed(World::change(1));
        if !early {
            world.feed(profiled());
            world.feed(profiled());
        }
        stories.push(story(&world));
    }
    assert_snapshot!(stories.join("\n\nits profile first\n"));
}

/// What was a base's when its run began, and a module's when its jar was slimmed, has nowhere to go.
#[test]
fn a_base_that_became_a_module_on_its_way_ends_with_a_reason() {
    let mut world = World::new(well());
    world.config.modules.get_mut("cart").expect("a module").kind = ModuleKind::Base;
    world.feed(World::change(1));
    world.config.modules.get_mut("cart").expect("a module").kind = ModuleKind::Module;
    world.feed(
        Published {
            release: release(1),
        }
        .into(),
    );
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

#[test]
fn an_abort_that_comes_again_aborts_nothing_more() {
    let mut world = World::new(Box::new(|_| None));
    world.push(1);
    let command = world.command(1, "ops", None, Verb::Abort(Stretch::Everything));
    world.order(command);
    let mut said = world.said.iter();
    let abort = said.find(|body| matches!(body, Body::LineChanged(_)));
    let abort = abort.cloned().expect("the line changed");
    world.script = well();
    for body in world.said.clone() {
        if let Body::TaskRequested(task) = body {
            world.feed(world::task_finished(&task, 1, Ok(())));
        }
    }
    world.script = Box::new(|_| None);
    world.push(2);
    let before = (world.said.len(), world.states.clone());
    world.feed(abort);
    assert_eq!(world.said.len(), before.0, "{}", story(&world));
    assert!(world.states == before.1);
}
