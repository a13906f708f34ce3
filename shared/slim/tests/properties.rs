//! What holds for every jar: slimming again changes nothing, the version sees
//! content and nothing else, copies are exact.

mod common;

use common::{Bench, Item, class, item, jar, library, manifest, profile, raw};
use ferry_slim::BaseProfile;
use proptest::prelude::*;

const LIBRARIES: usize = 6;

fn a_library(number: usize) -> (String, Vec<u8>) {
    let artifact = format!("part{number}");
    let bytes = library(
        "demo",
        &artifact,
        "1.0",
        &[class(&format!("part{number}/A"))],
    );
    (format!("{artifact}-1.0.jar"), bytes)
}

/// A base with the libraries whose numbers are even.
fn a_base() -> BaseProfile {
    let libraries: Vec<(String, Vec<u8>)> = (0..LIBRARIES).step_by(2).map(a_library).collect();
    let libraries: Vec<(&str, Vec<u8>)> = libraries
        .iter()
        .map(|(file, bytes)| (file.as_str(), bytes.clone()))
        .collect();
    profile(&libraries)
}

/// Classes, resources, directories and libraries in any order, the manifest
/// among them.
fn entries() -> impl Strategy<Value = Vec<Item>> {
    let content = prop::collection::vec(any::<u8>(), 0..200);
    let plain =
        prop::collection::btree_map("[a-z]{1,6}(/[a-z]{1,6}){0,2}\\.[a-z]{2,5}", content, 1..8);
    let carried = prop::collection::btree_set(0..LIBRARIES, 0..LIBRARIES);
    (plain, carried, any::<bool>(), 1u8..28)
        .prop_map(|(plain, carried, deflated, day)| {
            let mut items = vec![manifest("declared-libraries: hello\r\nbuild-time: 1\r\n")];
            items.push(item("com/", ""));
            for (name, bytes) in plain {
                // The first letter keeps clear of `lib/` and `com/`.
                items.push(item(&format!("x{name}"), bytes));
            }
            for number in carried {
                let (file, bytes) = a_library(number);
                let mut library = item(&format!("lib/{file}"), bytes);
                library.stored = !deflated;
                items.push(library);
            }
            for item in &mut items {
                item.day = day;
            }
            items
        })
        .prop_flat_map(|items| Just(items).prop_shuffle())
}

/// The same content, built at another time in another place.
fn built_again(items: &[Item], day: u8) -> Vec<Item> {
    items
        .iter()
        .map(|one| match one.name.as_str() {
            "META-INF/MANIFEST.MF" => Item {
                day,
                ..manifest(
                    "declared-libraries: hello\r\nBuild-Time: 2\r\ncommit-branch: x\r\ncommit-id: 99\r\nBuilt-By: y\r\n",
                )
            },
            _ => Item { day, ..one.clone() },
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn slimming_is_a_fixpoint_and_deterministic(items in entries()) {
        let (bench, base) = (Bench::new(), a_base());
        let packaged = jar(&items);
        let (first, slimmed) = bench.slim(&packaged, Some(&base)).unwrap();
        let (once_more, same) = bench.slim(&packaged, Some(&base)).unwrap();
        prop_assert_eq!(&once_more, &first);
        prop_assert_eq!(&same, &slimmed);
        let (again, bytes) = bench.slim(&slimmed, Some(&base)).unwrap();
        prop_assert_eq!(&again.version, &first.version);
        prop_assert_eq!(&again.digest, &first.digest);
        prop_assert!(again.left_out.is_empty());
        prop_assert_eq!(bytes, slimmed);
    }

    #[test]
    fn what_stays_is_copied_to_the_bit(items in entries()) {
        let base = a_base();
        let packaged = jar(&items);
        let (report, slimmed) = Bench::new().slim(&packaged, Some(&base)).unwrap();
        let gone: Vec<&str> = report.left_out.iter().map(|one| one.entry.as_str()).collect();
        let told = |name: &str| gone.contains(&name) || name == "META-INF/MANIFEST.MF";
        let before: Vec<_> = raw(&packaged).into_iter().filter(|one| !told(&one.name)).collect();
        let after: Vec<_> = raw(&slimmed).into_iter().filter(|one| !told(&one.name)).collect();
        prop_assert_eq!(before, after);
        // The manifest keeps its place among what stays.
        let place = |bytes: &[u8]| raw(bytes)
            .iter()
            .filter(|one| !gone.contains(&one.name.as_str()))
            .position(|one| one.name == "META-INF/MANIFEST.MF");
        prop_assert_eq!(place(&packaged), place(&slimmed));
        let even = gone.iter().all(|entry| {
            (0..LIBRARIES).step_by(2).any(|n| *entry == format!("lib/part{n}-1.0.jar"))
        });
        prop_assert!(even, "left out what the base lacks: {:?}", gone);
    }

    #[test]
    fn the_version_does_not_see_time_place_or_order(items in entries(), day in 1u8..28) {
        let (bench, base) = (Bench::new(), a_base());
        let (one, _) = bench.slim(&jar(&items), Some(&base)).unwrap();
        let mut again = built_again(&items, day);
        again.reverse();
        let (other, _) = bench.slim(&jar(&again), Some(&base)).unwrap();
        prop_assert_eq!(one.version, other.version);
    }

    #[test]
    fn the_version_sees_every_byte(items in entries(), pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let (bench, base) = (Bench::new(), a_base());
        let (one, _) = bench.slim(&jar(&items), Some(&base)).unwrap();
        let mut changed = items.clone();
        let plain: Vec<usize> = (0..changed.len()).filter(|&n| changed[n].name.starts_with('x')).collect();
        let target = &mut changed[plain[pick.index(plain.len())]];
        if target.bytes.is_empty() {
            target.bytes.push(7);
        } else {
            let at = at.index(target.bytes.len());
            target.bytes[at] ^= 1;
        }
        let (other, _) = bench.slim(&jar(&changed), Some(&base)).unwrap();
        prop_assert_ne!(one.version, other.version);
    }
}

fn nested(text: &str, day: u8, manifest: &str) -> Vec<u8> {
    let mut items = vec![
        item(
            "META-INF/MANIFEST.MF",
            format!("Manifest-Version: 1.0\r\n{manifest}\r\n"),
        ),
        item(
            "META-INF/maven/demo/own/pom.properties",
            format!("#day {day}\nversion=1.0\ngroupId=demo\nartifactId=own\n"),
        ),
        item("demo/Own.class", text),
    ];
    for item in &mut items {
        item.day = day;
    }
    jar(&items)
}

#[test]
fn nested_jars_count_by_their_content() {
    let (bench, base) = (Bench::new(), a_base());
    let version = |inner: Vec<u8>| {
        let items = [
            manifest("declared-libraries: hello\r\n"),
            item("lib/own-1.0.jar", inner),
        ];
        bench.slim(&jar(&items), Some(&base)).unwrap().0.version
    };
    let one = version(nested("a", 1, "Built-By: me\r\n"));
    assert_eq!(
        one,
        version(nested("a", 2, "Built-By: you\r\n")),
        "times, people"
    );
    assert_ne!(one, version(nested("b", 1, "Built-By: me\r\n")), "a class");
    assert_ne!(
        one,
        version(nested("a", 1, "Sealed: true\r\n")),
        "a manifest key that acts"
    );
}

#[test]
fn what_a_manifest_says_that_acts_is_content() {
    let (bench, base) = (Bench::new(), a_base());
    let version = |more: &str| {
        let items = [manifest(more), class("demo/A")];
        bench.slim(&jar(&items), Some(&base)).unwrap().0.version
    };
    let one = version("");
    assert_ne!(one, version("deny-import-packages: demo\r\n"));
    assert_ne!(one, version("priority: 5\r\n"));
    assert_eq!(one, version("build-time: now\r\n"));
}
