//! The manifest through its public face: real shapes, and properties.

use ferry_ark::manifest::{LINE_MAX_BYTES, keys};
use ferry_ark::{Manifest, ManifestError};
use proptest::prelude::*;

const REAL: &str = "Manifest-Version: 1.0\r
Start-Class: demo.Hello\r
Ark-Biz-Name: hello\r
Ark-Biz-Version: 1.0.0\r
web-context-path: hello\r
priority: 100\r
deny-import-packages: \r
declared-libraries: spring-boot-starter-web,spring-boot-starter,spring-b\r
 oot,spring-context,spring-boot-autoconfigure,spring-core,spring-jcl,snak\r
 eyaml\r
X-Unknown: kept\r
\r
Name: demo/\r
Sealed: true\r
\r
";

#[test]
fn a_real_manifest_is_read_as_a_base_reads_it() {
    let ark = Manifest::parse(REAL.as_bytes()).unwrap().ark().unwrap();
    assert_eq!(ark.identity(), "hello:1.0.0");
    assert_eq!(ark.main_class, "demo.Hello");
    assert_eq!(ark.web_context_path.as_deref(), Some("/hello"));
    assert_eq!(ark.priority, Some(100));
    assert_eq!(ark.declared_libraries.len(), 8);
    assert_eq!(ark.declared_libraries[2], "spring-boot");
    assert_eq!(ark.declared_libraries[7], "snakeyaml");
    assert!(ark.deny_import_packages.is_empty());
    assert!(ark.is_declared_mode());
}

#[test]
fn stamping_the_version_touches_nothing_else() {
    for newline in ["\r\n", "\n"] {
        let before = REAL.replace("\r\n", newline);
        let mut manifest = Manifest::parse(before.as_bytes()).unwrap();
        manifest
            .set("ark-biz-version", "1.0.0-0a1b2c3d-0123456789ab")
            .unwrap();
        let after = String::from_utf8(manifest.to_bytes()).unwrap();
        assert_eq!(
            after,
            before.replace("Version: 1.0.0", "Version: 1.0.0-0a1b2c3d-0123456789ab")
        );
        assert_eq!(
            manifest.get("ARK-BIZ-VERSION"),
            Some("1.0.0-0a1b2c3d-0123456789ab")
        );
    }
}

#[test]
fn a_new_key_goes_to_the_end_of_the_main_section() {
    let mut manifest =
        Manifest::parse(b"Manifest-Version: 1.0\n\nName: a/\nSealed: true\n").unwrap();
    manifest.set(keys::NAME, "hello").unwrap();
    assert_eq!(
        String::from_utf8(manifest.to_bytes()).unwrap(),
        "Manifest-Version: 1.0\nArk-Biz-Name: hello\n\nName: a/\nSealed: true\n"
    );
    assert_eq!(manifest.sections(), [[("Name", "a/"), ("Sealed", "true")]]);
}

#[test]
fn a_last_line_without_a_break_is_not_glued_to_a_new_key() {
    let mut manifest = Manifest::parse(b"Manifest-Version: 1.0").unwrap();
    manifest.set(keys::NAME, "hello").unwrap();
    assert_eq!(
        manifest.to_bytes(),
        b"Manifest-Version: 1.0\r\nArk-Biz-Name: hello\r\n"
    );
}

#[test]
fn the_last_of_two_equal_keys_counts_and_is_the_one_that_is_set() {
    let mut manifest = Manifest::parse(b"priority: 1\nPriority: 2\n").unwrap();
    assert_eq!(manifest.get("priority"), Some("2"));
    manifest.set("PRIORITY", "3").unwrap();
    assert_eq!(manifest.to_bytes(), b"priority: 1\nPriority: 3\n");
    assert!(manifest.remove("priority"));
    assert!(manifest.to_bytes().is_empty());
}

#[test]
fn a_key_of_a_later_section_is_not_the_modules() {
    let mut manifest =
        Manifest::parse(b"Manifest-Version: 1.0\n\nName: a/\nArk-Biz-Name: not-me\n").unwrap();
    assert_eq!(manifest.get(keys::NAME), None);
    assert!(!manifest.remove(keys::NAME));
    assert_eq!(manifest.ark(), Err(ManifestError::NoName));
}

#[test]
fn each_missing_part_has_an_error_of_its_own() {
    let ark = |text: &str| Manifest::parse(text.as_bytes()).and_then(|manifest| manifest.ark());
    assert_eq!(ark("Manifest-Version: 1.0\n"), Err(ManifestError::NoName));
    assert_eq!(ark("Ark-Biz-Name: a\n"), Err(ManifestError::NoVersion));
    assert_eq!(
        ark("Ark-Biz-Name: a\nArk-Biz-Version: 1\n"),
        Err(ManifestError::NoMainClass)
    );
    assert_eq!(
        ark("Ark-Biz-Name: a\nArk-Biz-Version: 1\nMain-Class: A\npriority: soon\n"),
        Err(ManifestError::BadPriority {
            found: "soon".to_owned()
        })
    );
    assert_eq!(ark(""), Err(ManifestError::Empty));
    assert_eq!(
        ark("Manifest-Version: 1.0\n{\"a\":1}\n"),
        Err(ManifestError::NotAManifest {
            line: 2,
            found: "{\"a\":1}".to_owned()
        })
    );
    assert_eq!(
        ark(" starts with a blank\n"),
        Err(ManifestError::NotAManifest {
            line: 1,
            found: " starts with a blank".to_owned()
        })
    );
}

#[test]
fn a_character_that_another_tool_cut_in_two_is_whole_again() {
    let mut bytes = b"Ark-Biz-Name: a\nX-Note: caf\xc3\n \xa9\n".to_vec();
    let manifest = Manifest::parse(&bytes).unwrap();
    assert_eq!(manifest.get("x-note"), Some("café"));
    assert_eq!(manifest.to_bytes(), std::mem::take(&mut bytes));
}

#[test]
fn what_a_manifest_cannot_hold_is_refused() {
    let mut manifest = Manifest::new();
    let key = "k".repeat(71);
    assert_eq!(manifest.set(&key, "v"), Err(ManifestError::BadKey { key }));
    assert!(matches!(
        manifest.set("a b", "v"),
        Err(ManifestError::BadKey { .. })
    ));
    assert!(matches!(
        manifest.set("a", "v\nEvil: yes"),
        Err(ManifestError::BadValue { .. })
    ));
    assert_eq!(manifest, Manifest::new());
}

fn key() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9_-]{0,69}"
}

fn value() -> impl Strategy<Value = String> {
    // Every character that a manifest can hold, many of them wider than a byte.
    "([a-z ,.]|[^\u{0}\r\n]){0,260}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn folding_and_unfolding_come_back_to_the_same(pairs in prop::collection::vec((key(), value()), 1..6)) {
        let mut manifest = Manifest::new();
        for (key, value) in &pairs {
            manifest.set(key, value).unwrap();
        }
        let bytes = manifest.to_bytes();
        for line in bytes.split(|byte| *byte == b'\n') {
            prop_assert!(line.strip_suffix(b"\r").unwrap_or(line).len() <= LINE_MAX_BYTES);
            prop_assert!(std::str::from_utf8(line).is_ok(), "cut inside a character");
        }
        let again = Manifest::parse(&bytes).unwrap();
        prop_assert_eq!(again.to_bytes(), bytes);
        prop_assert!(again.entries().eq(manifest.entries()));
    }

    #[test]
    fn setting_twice_is_setting_once(key in key(), value in value()) {
        let mut once = Manifest::parse(REAL.as_bytes()).unwrap();
        once.set(&key, &value).unwrap();
        let mut twice = once.clone();
        twice.set(&key, &value).unwrap();
        prop_assert_eq!(once.get(&key), Some(value.as_str()));
        prop_assert_eq!(once.to_bytes(), twice.to_bytes());
    }

    #[test]
    fn what_was_read_is_written_back_byte_for_byte(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(manifest) = Manifest::parse(&bytes) {
            prop_assert_eq!(manifest.to_bytes(), bytes);
        }
    }

    #[test]
    fn manifest_like_text_never_panics(text in "([A-Za-z-]{1,9}: [a-zé ]{0,9}|[ a-z]{0,5}|)(\r\n|\n|\r){0,2}([A-Za-z-]{1,9}: [a-z]{0,9}(\n [a-zé]{0,5})?(\r\n|\n|\r)){0,5}") {
        if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
            prop_assert_eq!(manifest.to_bytes(), text.as_bytes());
            let _ = manifest.ark();
            let _ = manifest.sections();
        }
    }
}
