//! A base's jar as a class path: what is unpacked, in which order, and what it refuses.

mod common;

use std::{fs, path::Path};

use common::{base, class, class_file, item, jar, library};
use ferry_slim::{ClassPath, Limits, SlimError};

/// A public interface for a release of Java.
fn interface(name: &str, release: u8) -> Vec<u8> {
    let mut bytes = class_file(name);
    bytes[7] = release + 44;
    // Its access flags, before the seven numbers that end it here.
    let flags = bytes.len() - 14;
    bytes[flags..flags + 2].copy_from_slice(&0x0601_u16.to_be_bytes());
    bytes
}

fn unpack(bytes: &[u8], limits: Limits) -> Result<(tempfile::TempDir, ClassPath), SlimError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("base.jar");
    fs::write(&file, bytes).unwrap();
    let to = folder.path().join("to");
    fs::create_dir(&to).unwrap();
    ClassPath::unpack(&file, &to, limits).map(|path| (folder, path))
}

#[test]
fn a_base_is_its_own_classes_and_its_libraries_in_their_order() {
    let greeter = interface("base/Greeter", 21);
    let nested = interface("base/Desk$Bell", 17);
    let library = library("demo", "b", "1.0", &[class("b/B")]);
    let made = jar(&[
        item("BOOT-INF/lib/b-1.0.jar", &library),
        item("BOOT-INF/lib/a-1.0.jar", &library),
        item("BOOT-INF/lib/deep/c-1.0.jar", &library),
        item("BOOT-INF/classes/base/Greeter.class", &greeter),
        item("BOOT-INF/classes/base/Desk$Bell.class", &nested),
        class("BOOT-INF/classes/base/Desk"),
        item("BOOT-INF/classes/application.properties", "a=b"),
        item("org/springframework/boot/loader/Launcher.class", "x"),
    ]);
    let (folder, path) = unpack(&made, Limits::default()).unwrap();
    let names = ["classes", "lib/b-1.0.jar", "lib/a-1.0.jar"];
    assert_eq!(path.entries, names.map(|name| Path::new(name).to_owned()));
    assert_eq!(path.release, 21);
    assert_eq!(path.interfaces, ["base.Desk.Bell", "base.Greeter"]);
    let to = folder.path().join("to");
    assert_eq!(
        fs::read(to.join("classes/base/Greeter.class")).unwrap(),
        greeter
    );
    assert_eq!(fs::read(to.join("lib/a-1.0.jar")).unwrap(), library);
    assert!(!to.join("classes/application.properties").exists());
}

#[test]
fn what_is_no_base_or_too_large_is_refused() {
    let plain = jar(&[class("demo/Hello")]);
    let refused = unpack(&plain, Limits::default()).unwrap_err();
    assert!(matches!(refused, SlimError::NotABase), "{refused}");
    let library = library("demo", "a", "1.0", &[]);
    let large = base(&[("a-1.0.jar", library)]);
    let limits = Limits {
        max_unpacked: 100,
        ..Limits::default()
    };
    let refused = unpack(&large, limits).unwrap_err();
    assert!(matches!(refused, SlimError::TooLarge { .. }), "{refused}");
    let escapes = jar(&[item("BOOT-INF/lib/../../a.jar", "x")]);
    let refused = unpack(&escapes, Limits::default()).unwrap_err();
    assert!(matches!(refused, SlimError::UnsafeName { .. }), "{refused}");
}
