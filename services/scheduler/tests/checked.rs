//! The planner against the checker: it accepts every plan of the planner, and refuses each of them broken.

#[allow(dead_code, reason = "each test file uses its part")]
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use ferry_config::Config;
use ferry_events::{
    Body, Digest, Reason,
    rollout::{Direction, Plan, Step},
};
use ferry_plan_check::{Known, check};
use proptest::prelude::*;
use world::{World, release, well};

/// A number of bases, as it is written; what no configuration may say is left out.
fn amount(least: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        (least..8).prop_map(|count| count.to_string()),
        (1u32..100).prop_map(|part| format!("\"{part}%\"")),
    ]
}

/// An environment with bases in zones, and a strategy.
fn environment(name: &'static str) -> impl Strategy<Value = String> {
    let zones = prop::collection::vec((1usize..7, any::<bool>()), 1..5);
    let strategy = (1u32..6, amount(0), prop::option::of(amount(1)), amount(0));
    (zones, strategy).prop_map(move |(zones, (canary, parallel, unavailable, available))| {
        let mut text = format!(
            "canary = {canary}\nparallel = {parallel}\nmin_available = {available}\n"
        );
        if let Some(unavailable) = unavailable {
            writeln!(text, "max_unavailable = {unavailable}").unwrap();
        }
        let mut number = 0;
        for pool in [false, true] {
            let other = if pool { "-other" } else { "" };
            write!(text, "\n[pools.{name}{other}]\nenvironment = \"{name}\"\n").unwrap();
            for (zone, (bases, _)) in zones.iter().enumerate().filter(|(_, zone)| zone.1 == pool) {
                for _ in 0..*bases {
                    number += 1;
                    write!(
                        text,
                        "[[pools.{name}{other}.bases]]\nname = \"{name}-{number}\"\nzone = \"z{zone}\"\narklet = \"http://{name}-{number}:1238\"\nurl = \"http://{name}-{number}:8080\"\n"
                    )
                    .unwrap();
                }
            }
        }
        text
    })
}

fn config(pre: &str, prod: &str) -> Config {
    let modules = world::CONFIG.split("[environments.pre]").next().unwrap();
    let text = format!(
        "{modules}\n[environments.pre]\n{pre}\n[environments.prod]\nafter = \"pre\"\n{prod}"
    );
    let loaded = ferry_config::parse(&[("ferry.toml".into(), text)]);
    loaded.expect("a good configuration").config
}

fn known(config: &Config, plan: &Plan) -> Known {
    let bases = config.bases_of("cart", &plan.environment);
    let first = plan.environment == "pre";
    Known {
        bases: bases
            .into_iter()
            .map(|(pool, base)| Step {
                base: base.name.clone(),
                pool: pool.into(),
                zone: base.zone.clone(),
            })
            .collect(),
        jars: plan
            .wants
            .iter()
            .map(|(pool, want)| (pool.clone(), want.digest.clone()))
            .collect(),
        before: if first {
            Vec::new()
        } else {
            vec!["pre".into()]
        },
        verified: if first {
            BTreeSet::new()
        } else {
            ["pre".to_owned()].into()
        },
        returns: false,
        held: std::collections::BTreeSet::new(),
        rooms: std::collections::BTreeMap::new(),
        growths: std::collections::BTreeMap::new(),
    }
}

/// The same plan, broken in one way each.
fn mutants(plan: &Plan) -> Vec<(&'static str, Plan)> {
    let mut all = Vec::new();
    let mut add = |what, change: &dyn Fn(&mut Plan)| {
        let mut mutant = plan.clone();
        change(&mut mutant);
        all.push((what, mutant));
    };
    add("a base twice", &|plan| {
        let step = plan.waves[0][0].clone();
        plan.waves.push(vec![step]);
    });
    add("a base less", &|plan| {
        plan.waves[0].remove(0);
    });
    add("another zone", &|plan| {
        plan.waves[0][0].zone = "elsewhere".into()
    });
    add("another pool", &|plan| {
        plan.waves[0][0].pool = "elsewhere".into()
    });
    add("another jar", &|plan| {
        let pool = plan.waves[0][0].pool.clone();
        plan.wants.get_mut(&pool).unwrap().digest = Digest::of(b"another");
    });
    add("a wave without work", &|plan| plan.waves.push(Vec::new()));
    if plan.waves.len() > 1 {
        // The planner fills each wave as far as the limits go: one more is one too many.
        add("a base too early", &|plan| {
            let last = plan.waves.len() - 1;
            let step = plan.waves[last].remove(0);
            plan.waves[0].push(step);
            plan.waves.retain(|wave| !wave.is_empty());
        });
        add("two waves at once", &|plan| {
            let second = plan.waves.remove(1);
            plan.waves[0].extend(second);
        });
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_checker_accepts_every_plan_and_refuses_it_broken(pre in environment("pre"), prod in environment("prod")) {
        let mut world = World::new(well());
        world.config = config(&pre, &prod);
        let mut one = release(1);
        let jar = one.pools["pre"].clone();
        for pool in world.config.pools.keys() {
            one.pools.entry(pool.clone()).or_insert_with(|| jar.clone());
        }
        world.feed(World::change(1));
        world.feed(ferry_events::artifact::Published { release: one }.into());
        for body in &world.said {
            match body {
                Body::RolloutPlanned(p) if p.plan.direction == Direction::Forward => {
                    let mut known = known(&world.config, &p.plan);
                    prop_assert_eq!(check(&p.plan, &known), vec![]);
                    for (what, mutant) in mutants(&p.plan) {
                        prop_assert_ne!(check(&mutant, &known), vec![], "{}: {:?}", what, mutant.waves);
                    }
                    if !known.before.is_empty() {
                        known.verified.clear();
                        prop_assert_ne!(check(&p.plan, &known), vec![], "skipped");
                    }
                }
                // Only limits that let no base of a zone go refuse a plan: the planner says so, not the checker.
                Body::RolloutFinished(p) => {
                    if let Some(stop) = &p.stop {
                        prop_assert_eq!(stop.reason, Reason::PlanRefused);
                        prop_assert!(stop.detail.contains("must stay in service"), "{}", stop);
                    }
                }
                _ => {}
            }
        }
    }
}
