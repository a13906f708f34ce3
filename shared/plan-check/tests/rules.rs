//! Each rule, broken alone: the checker says which, and of a good plan nothing.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Digest, RunId,
    rollout::{Direction, Judge, Limits, Plan, Step, WayBack, Zone},
    task::Want,
};
use ferry_plan_check::{Broken, Known, check};

fn step(base: &str, zone: &str) -> Step {
    Step {
        base: base.into(),
        pool: "prod".into(),
        zone: zone.into(),
    }
}

fn zone(bases: u32, max_unavailable: u32, min_available: u32) -> Zone {
    Zone {
        bases,
        max_unavailable,
        min_available,
    }
}

/// Two zones with three bases each: a canary, then waves of two, one of a zone at a time.
fn good() -> (Plan, Known) {
    let waves = vec![
        vec![step("a-1", "a")],
        vec![step("a-2", "a"), step("b-1", "b")],
        vec![step("a-3", "a"), step("b-2", "b")],
        vec![step("b-3", "b")],
    ];
    let want = Want {
        digest: Digest::of(b"jar"),
        size: 3,
        version: "1-x".into(),
        web_context_path: None,
    };
    let known = Known {
        bases: waves.iter().flatten().cloned().collect(),
        jars: BTreeMap::from([("prod".to_owned(), Digest::of(b"jar"))]),
        before: vec!["pre".into()],
        verified: BTreeSet::from(["pre".to_owned()]),
        returns: false,
        held: BTreeSet::new(),
        rooms: BTreeMap::new(),
        growths: BTreeMap::new(),
    };
    let plan = Plan {
        run: RunId::of("shop", "main", 1, "cart"),
        module: "cart".into(),
        environment: "prod".into(),
        direction: Direction::Forward,
        generation: 1,
        configuration: Digest::of(b"configuration"),
        wants: BTreeMap::from([("prod".to_owned(), want)]),
        restores: BTreeMap::new(),
        judge: Judge::default(),
        limits: Limits {
            zones: BTreeMap::from([
                ("a".to_owned(), zone(3, 1, 2)),
                ("b".to_owned(), zone(3, 1, 2)),
            ]),
            canary: 1,
            parallel: 2,
            ..Limits::default()
        },
        gates: Vec::new(),
        waves,
        left_out: Vec::new(),
    };
    (plan, known)
}

#[track_caller]
fn breaks(change: impl FnOnce(&mut Plan, &mut Known), with: &[Broken]) {
    let (mut plan, mut known) = good();
    change(&mut plan, &mut known);
    assert_eq!(check(&plan, &known), with);
}

#[test]
fn a_good_plan_breaks_nothing() {
    breaks(|_, _| {}, &[]);
}

#[test]
fn nothing_to_do_is_no_plan() {
    breaks(
        |plan, known| (plan.waves, known.bases) = (Vec::new(), Vec::new()),
        &[Broken::Empty],
    );
    breaks(|plan, _| plan.waves.push(Vec::new()), &[Broken::Empty]);
}

/// Ten thousand bases with names of a common length fit; with much longer ones they cannot be told.
#[test]
fn a_plan_fits_in_its_event() {
    let fleet = |name: fn(usize) -> String| {
        let (mut plan, mut known) = good();
        let steps: Vec<Step> = (0..10_000).map(|number| step(&name(number), "a")).collect();
        plan.waves = vec![steps[..1].to_vec(), steps[1..].to_vec()];
        plan.limits.parallel = 0;
        plan.limits.zones = BTreeMap::from([("a".to_owned(), zone(10_000, 9_999, 1))]);
        known.bases = steps;
        check(&plan, &known)
    };
    assert_eq!(fleet(|number| format!("prod-eu-west-{number:05}")), []);
    let told = fleet(|number| format!("{number:064}"));
    assert!(matches!(told[..], [Broken::TooLarge { .. }]), "{told:?}");
    assert!(told[0].to_string().contains("shorter names"), "{}", told[0]);
}

#[test]
fn no_base_is_changed_twice() {
    breaks(
        |plan, _| plan.waves.push(vec![step("a-1", "a")]),
        &[Broken::Twice("a-1".into())],
    );
}

#[test]
fn only_bases_of_the_module_are_changed_and_all_of_them() {
    breaks(
        |plan, _| plan.waves[0][0].base = "c-9".into(),
        &[
            Broken::Stranger("c-9".into()),
            Broken::LeftOut("a-1".into()),
        ],
    );
    breaks(
        |_, known| known.bases[0].pool = "other".into(),
        &[Broken::Stranger("a-1".into())],
    );
}

#[test]
fn a_wave_keeps_to_its_size() {
    breaks(
        |plan, _| {
            let more = plan.waves.pop().unwrap();
            plan.waves[0].extend(more);
        },
        &[Broken::WaveTooLarge {
            wave: 1,
            bases: 2,
            most: 1,
        }],
    );
}

#[test]
fn a_zone_keeps_what_it_must() {
    let too_many = Broken::ZoneTooMany {
        wave: 1,
        zone: "a".into(),
        bases: 2,
        most: 1,
    };
    let too_few = Broken::ZoneTooFew {
        wave: 1,
        zone: "a".into(),
        stay: 1,
        least: 2,
    };
    breaks(
        |plan, _| {
            plan.limits.canary = 2;
            let moved = plan.waves[1].remove(0);
            plan.waves[0].push(moved);
        },
        &[too_many, too_few],
    );
}

#[test]
fn a_zone_is_never_emptied_whatever_the_limits_say() {
    breaks(
        |plan, known| {
            plan.limits.zones = BTreeMap::from([("a".to_owned(), zone(2, 2, 0))]);
            plan.limits.canary = 2;
            plan.waves = vec![vec![step("a-1", "a"), step("a-2", "a")]];
            known.bases = plan.waves[0].clone();
        },
        &[Broken::ZoneTooFew {
            wave: 1,
            zone: "a".into(),
            stay: 0,
            least: 1,
        }],
    );
}

#[test]
fn a_jar_is_one_made_for_the_pools_profile() {
    let other = |base: &str| Broken::OtherProfile {
        base: base.into(),
        pool: "prod".into(),
    };
    let all = ["a-1", "a-2", "a-3", "b-1", "b-2", "b-3"].map(other);
    breaks(
        |_, known| known.jars = BTreeMap::from([("prod".to_owned(), Digest::of(b"another"))]),
        &all,
    );
    breaks(|plan, _| plan.wants.clear(), &all);
}

#[test]
fn no_environment_is_skipped_except_on_the_way_back() {
    breaks(
        |_, known| known.verified.clear(),
        &[Broken::Skipped("pre".into())],
    );
    breaks(
        |_, known| {
            known.verified.clear();
            known.returns = true;
        },
        &[],
    );
}

#[test]
fn going_back_at_once_spares_no_zone_and_in_waves_it_does() {
    let back = |plan: &mut Plan, way_back| {
        plan.direction = Direction::Back;
        plan.limits.way_back = way_back;
        plan.waves = vec![vec![step("a-1", "a"), step("a-2", "a")]];
    };
    breaks(|plan, _| back(plan, WayBack::AtOnce), &[]);
    breaks(
        |plan, _| back(plan, WayBack::ReverseWaves),
        &[Broken::ZoneTooMany {
            wave: 1,
            zone: "a".into(),
            bases: 2,
            most: 1,
        }],
    );
    breaks(
        |plan, _| {
            back(plan, WayBack::AtOnce);
            plan.waves.push(vec![step("a-1", "a")]);
        },
        &[Broken::Twice("a-1".into())],
    );
}

#[test]
fn a_base_that_is_held_is_left_out_and_counts_as_out_of_service() {
    let hold = |known: &mut Known| known.held = BTreeSet::from(["a-1".to_owned()]);
    let leave_out = |plan: &mut Plan| {
        for wave in &mut plan.waves {
            wave.retain(|step| step.base != "a-1");
        }
        plan.waves.retain(|wave| !wave.is_empty());
        plan.limits.canary = 2;
    };
    breaks(|plan, _| leave_out(plan), &[Broken::LeftOut("a-1".into())]);
    let (mut plan, mut known) = good();
    hold(&mut known);
    let broken = check(&plan, &known);
    assert!(broken.contains(&Broken::Held("a-1".into())), "{broken:?}");
    // Two of three must stay, and one is held: no other can go, but where a person goes back.
    leave_out(&mut plan);
    let broken = check(&plan, &known);
    let too_few =
        |it: &Broken| matches!(it, Broken::ZoneTooFew { zone, stay: 1, .. } if zone == "a");
    assert!(broken.iter().any(too_few), "{broken:?}");
    let zone = plan.limits.zones.get_mut("a").expect("a zone");
    (zone.max_unavailable, zone.min_available) = (2, 1);
    assert_eq!(check(&plan, &known), []);
}

#[test]
fn a_base_gets_nothing_that_it_has_no_room_for() {
    let know = |known: &mut Known, left, takes| {
        known.rooms = BTreeMap::from([("a-1".to_owned(), left)]);
        known.growths = BTreeMap::from([("prod".to_owned(), takes)]);
    };
    let no_room = [Broken::NoRoom("a-1".into())];
    breaks(|_, known| know(known, 7, 8), &no_room);
    breaks(|_, known| know(known, 8, 8), &[]);
    // Nobody said what it takes, or goes back whatever it takes.
    breaks(
        |_, known| {
            know(known, 7, 8);
            known.growths.clear();
        },
        &[],
    );
    breaks(
        |_, known| {
            know(known, 7, 8);
            known.returns = true;
        },
        &[],
    );
}
