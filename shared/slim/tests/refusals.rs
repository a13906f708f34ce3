//! Every refusal: the jar is not slimmed, nothing is written, the error names
//! the entry.

mod common;

use std::io::Cursor;

use common::{Bench, Item, class, item, jar, library, manifest, module, profile};
use ferry_slim::{BaseProfile, Fault, Kind, Limits, Outcome, SlimError, Stamp, inspect};

fn refused(bytes: &[u8]) -> SlimError {
    let bench = Bench::new();
    let error = bench.slim(bytes, None).expect_err("must be refused");
    assert_eq!(bench.files(), ["in.jar"], "nothing may be written");
    error
}

#[test]
fn what_is_no_biz_is_refused() {
    assert!(matches!(refused(b"hello"), SlimError::NotAZip { .. }));
    assert!(matches!(refused(b""), SlimError::NotAZip { .. }));
    let cut = module(&[]);
    assert!(matches!(
        refused(&cut[..cut.len() / 2]),
        SlimError::NotAZip { .. }
    ));
    assert!(matches!(
        refused(&jar(&[class("a/B")])),
        SlimError::NoManifest
    ));
    let nameless = jar(&[item(
        "META-INF/MANIFEST.MF",
        "Manifest-Version: 1.0\r\nMain-Class: a.B\r\n\r\n",
    )]);
    let error = refused(&nameless);
    assert_eq!(error.kind(), Kind::NotABiz);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("Ark-Biz-Name"), "{source}");
    let huge = jar(&[Item {
        bytes: vec![b'a'; (1 << 20) + 1],
        ..manifest("")
    }]);
    assert!(matches!(refused(&huge), SlimError::HugeManifest { .. }));
}

/// Replaces every occurrence, both in the local headers and in the directory.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut hits = 0;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from {
            bytes[at..at + to.len()].copy_from_slice(to);
            hits += 1;
        }
    }
    assert!(hits >= 2, "local header and directory");
    bytes
}

#[test]
fn names_that_lie_are_refused_and_named() {
    let pair = module(&[item("one.txt", "1"), item("two.txt", "2")]);
    match refused(&patched(pair, b"two.txt", b"one.txt")) {
        SlimError::Duplicate { entry } => assert_eq!(entry, "one.txt"),
        other => panic!("{other}"),
    }
    assert_eq!(
        SlimError::Duplicate {
            entry: String::new()
        }
        .kind(),
        Kind::Duplicate
    );
    for name in [
        "../evil",
        "a/../../b",
        "/etc/passwd",
        "a\\..\\b",
        "\\x",
        "C:/x",
        "a/..",
    ] {
        let plain = module(&[item(&"n".repeat(name.len()), "x")]);
        let bytes = patched(plain, "n".repeat(name.len()).as_bytes(), name.as_bytes());
        match refused(&bytes) {
            error @ SlimError::UnsafeName { .. } => {
                assert_eq!(error.kind(), Kind::UnsafeName);
                assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    let odd = patched(module(&[item("nnnn", "x")]), b"nnnn", b"n\xff\xfen");
    assert!(matches!(refused(&odd), SlimError::BadName { .. }));
}

/// Where an entry's record in the central directory begins.
fn directory_record(bytes: &[u8], name: &str) -> usize {
    (0..bytes.len() - 46)
        .find(|&at| {
            bytes[at..].starts_with(b"PK\x01\x02") && bytes[at + 46..].starts_with(name.as_bytes())
        })
        .unwrap()
}

#[test]
fn bytes_that_lie_are_refused_and_named() {
    let mut secret = module(&[item("secret.txt", "x")]);
    let at = directory_record(&secret, "secret.txt");
    secret[at + 8] |= 1;
    match refused(&secret) {
        error @ SlimError::Encrypted { .. } => {
            assert_eq!(error.kind(), Kind::Encrypted);
            assert!(error.to_string().contains("secret.txt"), "{error}");
        }
        other => panic!("{other}"),
    }

    let text = "a text that can be found again";
    let mut stored = item("plain.txt", text);
    stored.stored = true;
    let damaged = module(&[stored]);
    let at = damaged
        .windows(text.len())
        .position(|window| window == text.as_bytes())
        .unwrap();
    let mut flipped = damaged.clone();
    flipped[at] ^= 1;
    match refused(&flipped) {
        SlimError::Corrupt { entry, .. } => assert_eq!(entry, "plain.txt"),
        other => panic!("{other}"),
    }

    // One more than there is, one less, and none.
    for stored in [false, true] {
        for said in [text.len() + 1, text.len() - 1, 0] {
            let mut long = item("long.txt", text);
            long.stored = stored;
            let mut lying = module(&[long]);
            let at = directory_record(&lying, "long.txt");
            lying[at + 24] = u8::try_from(said).unwrap();
            let error = refused(&lying);
            assert!(error.to_string().contains("long.txt"), "{error}");
            assert_eq!(error.kind(), Kind::SizeLies, "{stored} {said}: {error}");
        }
    }
}

#[test]
fn split_archives_are_refused() {
    let whole = module(&[item("a.txt", "x")]);
    // The end of the directory: this file's number, and that of the directory's first.
    let end = whole.len() - 22;
    assert!(whole[end..].starts_with(b"PK\x05\x06"));
    for at in [4, 6] {
        let mut split = whole.clone();
        split[end + at] = 1;
        assert_eq!(refused(&split).kind(), Kind::MultiDisk, "{at}");
    }
    let mut elsewhere = whole.clone();
    let at = directory_record(&whole, "a.txt");
    elsewhere[at + 34] = 1;
    match refused(&elsewhere) {
        error @ SlimError::MultiDisk { .. } => assert!(error.to_string().contains("a.txt")),
        other => panic!("{other}"),
    }
}

/// Many entries that are the same few bytes, as in zip bombs.
#[test]
fn entries_that_overlap_are_refused() {
    let mut bomb = module(&[item("one.txt", "1111"), item("two.txt", "2222")]);
    let (one, two) = (
        directory_record(&bomb, "one.txt"),
        directory_record(&bomb, "two.txt"),
    );
    let place = bomb[one + 42..one + 46].to_vec();
    bomb[two + 42..two + 46].copy_from_slice(&place);
    let error = refused(&bomb);
    assert!(matches!(error, SlimError::Overlaps { .. }), "{error}");
    assert_eq!(error.kind(), Kind::TooLarge);
}

/// A library of these entries, the last given the name of the one before it.
fn doubled(name: &str, one: &str, other: &str) -> Vec<u8> {
    let last = "n".repeat(name.len());
    let inner = library("demo", "a", "1.0", &[item(name, one), item(&last, other)]);
    patched(inner, last.as_bytes(), name.as_bytes())
}

#[test]
fn a_library_s_refusal_names_the_library() {
    let carrying = |inner: Vec<u8>| module(&[item("lib/a-1.0.jar", inner)]);
    let plain = || library("demo", "a", "1.0", &[item("nnnnnnn", "x")]);
    let evil = patched(plain(), b"nnnnnnn", b"../evil");
    let mut secret = plain();
    let at = directory_record(&secret, "nnnnnnn");
    secret[at + 8] |= 1;
    for (inner, kind) in [
        (evil, Kind::UnsafeName),
        (secret, Kind::Encrypted),
        (doubled("demo/A.class", "x", "y"), Kind::Duplicate),
    ] {
        let error = refused(&carrying(inner));
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("lib/a-1.0.jar!/"), "{error}");
    }
    // Shading leaves licences twice, and every class loader takes such a jar.
    for inner in [
        doubled("LICENSE", "x", "y"),
        doubled("demo/A.class", "x", "x"),
    ] {
        Bench::new()
            .slim(&carrying(inner), None)
            .expect("it is taken");
    }
}

#[test]
fn a_broken_class_is_named_with_its_jar() {
    let provided = profile(&[("b-1.0.jar", library("demo", "b", "1.0", &[class("demo/B")]))]);
    let proof = |packaged: &[u8]| {
        let (report, _) = Bench::new().slim(packaged, Some(&provided)).unwrap();
        report.proof.unwrap()
    };
    let own = proof(&module(&[item("demo/Bad.class", "no class")]));
    assert_eq!(own.outcome, Outcome::Refused);
    assert!(matches!(&own.faults[0].fault, Fault::Broken { entry } if entry == "demo/Bad.class"));
    assert_eq!(own.faults[0].needed_by, "demo/Bad");

    let inner = library("acme", "a", "1.0", &[item("acme/Bad.class", "no class")]);
    let unreached = proof(&module(&[item("lib/a-1.0.jar", inner)]));
    assert_eq!(unreached.outcome, Outcome::LinksWithGaps);
    let told = unreached.gaps[0].to_string();
    assert!(
        told.contains("lib/a-1.0.jar!/acme/Bad.class is no class file"),
        "{told}"
    );
}

#[test]
fn a_library_damaged_inside_is_refused_and_named() {
    let text = "a class that can be found again";
    let mut stored = item("demo/A.class", text);
    stored.stored = true;
    let mut inner = library("demo", "a", "1.0", &[stored]);
    let at = inner
        .windows(text.len())
        .position(|window| window == text.as_bytes())
        .unwrap();
    inner[at] ^= 1;
    match refused(&module(&[item("lib/a-1.0.jar", inner)])) {
        SlimError::Corrupt { entry, .. } => assert_eq!(entry, "lib/a-1.0.jar!/demo/A.class"),
        other => panic!("{other}"),
    }
}

#[test]
fn limits_hold_for_nested_jars_too() {
    let bench = Bench::new();
    let stamp = Stamp::packaged();
    let many: Vec<Item> = (0..50).map(|n| class(&format!("demo/C{n}"))).collect();
    let packaged = module(&[item(
        "lib/many-1.0.jar",
        library("demo", "many", "1.0", &many),
    )]);
    let few = Limits {
        max_entries: 20,
        ..Limits::default()
    };
    match bench.slim_with(&packaged, None, &stamp, few).unwrap_err() {
        SlimError::TooManyEntries { entry, limit } => {
            assert_eq!((entry.as_str(), limit), ("lib/many-1.0.jar", 20));
        }
        other => panic!("{other}"),
    }

    let bomb = library("demo", "bomb", "1.0", &[item("zeros", vec![0; 3_000_000])]);
    assert!(bomb.len() < 20_000);
    let small = Limits {
        max_unpacked: 1_000_000,
        ..Limits::default()
    };
    let error = bench
        .slim_with(
            &module(&[item("lib/bomb-1.0.jar", bomb)]),
            None,
            &stamp,
            small,
        )
        .unwrap_err();
    assert_eq!(error.kind(), Kind::TooLarge);
    assert!(
        error.to_string().contains("lib/bomb-1.0.jar!/zeros"),
        "{error}"
    );
}

#[test]
fn a_module_for_a_newer_base_is_refused_before_any_base_sees_it() {
    let spring = |version| {
        library(
            "org.springframework",
            "spring-core",
            version,
            &[class("org/springframework/core/Ordered")],
        )
    };
    let provided = profile(&[("spring-core-6.1.8.jar", spring("6.1.8"))]);
    let packaged = module(&[item("lib/spring-core-6.2.0.jar", spring("6.2.0"))]);
    let error = Bench::new().slim(&packaged, Some(&provided)).unwrap_err();
    assert_eq!(error.kind(), Kind::Mismatch);
    let text = error.to_string();
    assert!(
        text.contains("lib/spring-core-6.2.0.jar (6.2.0: the base has 6.1.8)"),
        "{text}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let bench = Bench::new();
    let path = bench.put("x", b"").with_file_name("missing.jar");
    let error = inspect(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.to_string().contains("missing.jar"));
    let unread = Cursor::new(Vec::new());
    assert!(BaseProfile::from_jar(unread, Limits::default()).is_err());
}
