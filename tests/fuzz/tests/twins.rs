//! The targets of `fuzz/` on the stable toolchain: the same functions, the same seeds.
//!
//! In: each seed as it is, seeds cut, joined and changed, and bytes of no sense. Out: nothing panics
//! and what must hold holds. `FERRY_FUZZ_CASES` sets how many inputs each target gets.

use std::{cell::RefCell, fs};

use ferry_fuzz::{TARGETS, seeds as seeds_of};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{
        Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestRng, TestRunner,
    },
};

/// Inputs of each target: a few seconds for all in a debug build.
const CASES: u32 = 2_000;

/// One step away from a seed.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
    /// A part of another seed.
    Graft(Index, Index, Index, Index),
    /// A number becomes one at the edge.
    Number(Index, &'static str),
}

/// What readers trip over: the edges of numbers, texts and nestings.
const EDGES: [&str; 16] = [
    "0",
    "-1",
    "18446744073709551616",
    "1e999",
    "NaN",
    "null",
    "\"\"",
    "[]",
    "{}",
    "\u{0}",
    "\u{feff}",
    "\\ud800",
    "[[[[[[[[[[[[[[[[",
    "\"\\u0000\"",
    "ä",
    "2026-02-30T25:61:61Z",
];

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    prop_oneof![
        3 => (index(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (index(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (index(), index()).prop_map(|(from, to)| Change::Cut(from, to)),
        1 => (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
        2 => (index(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        2 => (index(), index(), index(), index()).prop_map(|(a, b, c, d)| Change::Graft(a, b, c, d)),
        3 => (index(), prop::sample::select(EDGES.to_vec())).prop_map(|(at, text)| Change::Number(at, text)),
    ]
}

fn span(bytes: &[u8], from: &Index, to: &Index) -> std::ops::Range<usize> {
    let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
    from.min(to)..from.max(to)
}

fn apply(mut bytes: Vec<u8>, change: &Change, seeds: &[Vec<u8>]) -> Vec<u8> {
    match change {
        Change::Flip(at, bit) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Change::Set(at, byte) if !bytes.is_empty() => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        Change::Flip(..) | Change::Set(..) => {}
        Change::Cut(from, to) => drop(bytes.drain(span(&bytes, from, to))),
        Change::Repeat(from, to) => {
            let part = bytes[span(&bytes, from, to)].to_vec();
            let at = from.index(bytes.len() + 1);
            bytes.splice(at..at, part);
        }
        Change::Insert(at, more) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, more.iter().copied());
        }
        Change::Graft(which, from, to, at) => {
            let other = &seeds[which.index(seeds.len())];
            let part = other[span(other, from, to)].to_vec();
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, part);
        }
        Change::Number(at, text) => {
            // The value that stands next, up to where a value may end.
            let at = at.index(bytes.len() + 1);
            let start = bytes[at..].iter().position(|b| b":=, [".contains(b));
            let start = at + start.map_or(0, |found| found + 1);
            let end = bytes[start..].iter().position(|b| b",}]\n".contains(b));
            let end = start + end.unwrap_or(0);
            bytes.splice(start..end, text.bytes());
        }
    }
    bytes
}

fn read_seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = seeds_of(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    files.sort();
    assert!(files.len() >= 3, "{target} has seeds");
    files
        .iter()
        .map(|file| fs::read(file).expect("a seed can be read"))
        .collect()
}

fn twin(target: &str) {
    let (_, enter) = TARGETS
        .into_iter()
        .find(|(name, _)| *name == target)
        .expect("a target of that name");
    let seeds = read_seeds(target);
    for seed in &seeds {
        enter(seed);
    }
    let asked = std::env::var("FERRY_FUZZ_CASES").ok();
    let cases = asked.as_ref().map_or(CASES, |text| {
        text.parse().expect("FERRY_FUZZ_CASES is a number")
    });
    let input = prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| (None, bytes, Vec::new())),
        9 => (any::<Index>(), prop::collection::vec(change(), 1..8))
            .prop_map(|(seed, changes)| (Some(seed), Vec::new(), changes)),
    ];
    let made = |(seed, bytes, changes): &(Option<Index>, Vec<u8>, Vec<Change>)| {
        let start = seed.map_or_else(
            || bytes.clone(),
            |seed| seeds[seed.index(seeds.len())].clone(),
        );
        changes
            .iter()
            .fold(start, |bytes, change| apply(bytes, change, &seeds))
    };
    let last = RefCell::new(Vec::new());
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    };
    // Among the other tests always the same inputs; asked for more, others each time.
    let mut runner = match asked {
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
        Some(_) => TestRunner::new(config),
    };
    let result = runner.run(&input, |input| {
        let bytes = made(&input);
        std::panic::catch_unwind(|| enter(&bytes)).map_err(|_| {
            last.replace(bytes);
            TestCaseError::fail("it panicked, see above")
        })
    });
    if let Err(error) = result {
        let file =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-found"));
        fs::write(&file, last.into_inner()).expect("a finding can be kept");
        panic!(
            "{error}\nthe smallest input is {}; put it into {} once it is mended",
            file.display(),
            seeds_of(target).display()
        );
    }
}

macro_rules! twins {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            twin(stringify!($name));
        })*

        #[test]
        fn every_target_has_its_twin_and_its_fuzz_target() {
            let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/Cargo.toml");
            let manifest = fs::read_to_string(manifest).expect("fuzz/Cargo.toml");
            for name in names {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            }
        }
    };
}

twins!(webhook event command config manifest jar reply);
