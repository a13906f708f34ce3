//! What CI runs of the simulation: seeds, every boundary of one run, and that a replay is the same.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use ferry_sim::{Script, exhaustive, run, script::Wrong};

/// The seeds of every CI run. Others are run by `cargo xtask sim --from S`.
const SEEDS: u64 = 2_000;

/// Every fifth of them is drawn from here on, where modules are a release of several.
const RELEASES: u64 = 500_000;

/// The seed of a number from 0 on.
fn seed_of(number: u64) -> u64 {
    match number % 5 {
        4 => RELEASES + number,
        _ => number + 1,
    }
}

/// Does it for each number, on every processor; what each has to say.
fn each(all: u64, one: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
    let (next, said) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        return;
                    }
                    if let Some(what) = one(number) {
                        said.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    said.into_inner().unwrap()
}

#[test]
fn what_always_holds_holds_whatever_goes_wrong() {
    let failed = each(SEEDS, |number| {
        let seed = seed_of(number);
        let outcome = run(Script::of_seed(seed));
        (!outcome.broken.is_empty()).then(|| {
            format!(
                "seed {seed}: {}\n  cargo xtask sim --seeds 1 --from {seed}",
                outcome.broken.join("; ")
            )
        })
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_seed_replays_the_same() {
    for seed in [3, 12, 44, 215] {
        let first = run(Script::of_seed(seed));
        let again = run(Script::of_seed(seed));
        assert_eq!(first.story, again.story, "seed {seed}");
        assert_eq!(first.boundaries, again.boundaries, "seed {seed}");
    }
}

/// One whole run, each message twice, crashed once at every boundary: all end the same.
#[test]
fn a_crash_at_any_boundary_changes_nothing() {
    let script = exhaustive::whole(true);
    let plain = run(script.clone());
    assert!(plain.broken.is_empty(), "{:?}", plain.broken);
    let failed = each(plain.boundaries, |boundary| {
        let crashed = exhaustive::with(&script, boundary, Wrong::Crash(0));
        exhaustive::differs(&plain, &run(crashed)).map(|why| format!("boundary {boundary}: {why}"))
    });
    println!("{} boundaries", plain.boundaries);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
