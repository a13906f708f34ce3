//! Jars in, jars out: what is slimmed, profiled and inspected.

mod common;

use common::{
    Bench, base, class, item, jar, library, module, module_declaring, profile, raw, read,
};
use ferry_ark::Manifest;
use ferry_slim::{BaseProfile, Kind, Limits, Outcome, SlimError, Stamp, inspect};

fn guava(version: &str) -> Vec<u8> {
    library(
        "com.google.guava",
        "guava",
        version,
        &[class("com/google/common/base/Joiner")],
    )
}

#[test]
fn what_the_base_has_goes_and_the_rest_is_copied() {
    let provided = profile(&[("guava-32.1.3-jre.jar", guava("32.1.3-jre"))]);
    let other = library("demo", "other", "1.0", &[class("demo/Other")]);
    let packaged = module(&[
        item("lib/guava-32.1.3-jre.jar", guava("32.1.3-jre")),
        item("lib/other-1.0.jar", &other),
        item("lib/export/guava-32.1.3-jre.jar", guava("32.1.3-jre")),
    ]);
    let (report, slimmed) = Bench::new().slim(&packaged, Some(&provided)).unwrap();

    let names: Vec<String> = raw(&slimmed).into_iter().map(|entry| entry.name).collect();
    assert_eq!(
        names,
        [
            "META-INF/MANIFEST.MF",
            "demo/Hello.class",
            "lib/other-1.0.jar",
            "lib/export/guava-32.1.3-jre.jar",
        ]
    );
    assert_eq!(read(&slimmed, "lib/other-1.0.jar"), other);
    assert_eq!(report.left_out.len(), 1);
    assert_eq!(report.kept[0].entry, "lib/other-1.0.jar");
    assert_eq!(report.bytes_after, slimmed.len() as u64);
    assert_eq!(report.bytes_before, packaged.len() as u64);
    assert_eq!(report.web_context_path.as_deref(), Some("/hello"));
    assert!(report.version.starts_with("1.0.0-0a1b2c3d-"));

    let manifest = Manifest::parse(&read(&slimmed, "META-INF/MANIFEST.MF")).unwrap();
    assert_eq!(
        manifest.get("Ark-Biz-Version"),
        Some(report.version.as_str())
    );
    assert_eq!(manifest.get("declared-libraries"), Some("hello,guava"));
    assert_eq!(manifest.get("Main-Class"), Some("demo.Hello"));
}

#[test]
fn the_report_tells_people_and_machines() {
    let provided = profile(&[("guava-32.1.3-jre.jar", guava("32.1.3-jre"))]);
    let packaged = module(&[item("lib/guava-33.0.0-jre.jar", guava("33.0.0-jre"))]);
    let (report, _) = Bench::new().slim(&packaged, Some(&provided)).unwrap();
    assert_eq!(
        report.kept[0].why.to_string(),
        "the base has another version (32.1.3-jre)"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["kept"][0]["why"], "other-version");
    assert_eq!(json["profile"], provided.digest());
}

#[test]
fn without_a_commit_the_packaged_digest_stands_in() {
    let bench = Bench::new();
    let limits = Limits::default();
    let (first, slimmed) = bench
        .slim_with(&module(&[]), None, &Stamp::packaged(), limits)
        .unwrap();
    let digits = &first.packaged[..8];
    assert!(first.version.starts_with(&format!("1.0.0-{digits}-")));
    let (again, bytes) = bench
        .slim_with(&slimmed, None, &Stamp::packaged(), limits)
        .unwrap();
    assert_eq!((again.version, bytes), (first.version, slimmed));
}

#[test]
fn a_long_declared_list_stays_folded() {
    let ids: Vec<String> = (0..40).map(|n| format!("library-number-{n}")).collect();
    let mut folding = Manifest::parse(b"Manifest-Version: 1.0\r\n").unwrap();
    folding.set("declared-libraries", &ids.join(",")).unwrap();
    let folded = String::from_utf8(folding.to_bytes()).unwrap();
    let attribute = folded.split_once("1.0\r\n").unwrap().1;
    let provided = profile(&[("guava-32.1.3-jre.jar", guava("32.1.3-jre"))]);
    let packaged = module_declaring(
        attribute,
        &[item("lib/guava-32.1.3-jre.jar", guava("32.1.3-jre"))],
    );
    let (report, slimmed) = Bench::new().slim(&packaged, Some(&provided)).unwrap();
    let bytes = read(&slimmed, "META-INF/MANIFEST.MF");
    assert!(
        bytes
            .split(|byte| *byte == b'\n')
            .all(|line| line.len() <= 73)
    );
    assert_eq!(report.declared_libraries.len(), 41);
    assert_eq!(report.declared_libraries[..40], ids[..]);
}

#[test]
fn deflated_libraries_are_read_too() {
    let mut deflated = item("lib/guava-32.1.3-jre.jar", guava("32.1.3-jre"));
    deflated.stored = false;
    let provided = profile(&[("guava-32.1.3-jre.jar", guava("32.1.3-jre"))]);
    let (report, _) = Bench::new()
        .slim(&module(&[deflated]), Some(&provided))
        .unwrap();
    assert_eq!(report.left_out.len(), 1);
}

#[test]
fn a_library_that_is_no_zip_is_kept_as_it_is_and_told() {
    let odd = item("lib/odd-1.0.jar", "not a zip at all");
    let provided = profile(&[("guava-32.1.3-jre.jar", guava("32.1.3-jre"))]);
    let (report, slimmed) = Bench::new().slim(&module(&[odd]), Some(&provided)).unwrap();
    assert_eq!(report.kept.len(), 1);
    assert_eq!(read(&slimmed, "lib/odd-1.0.jar"), b"not a zip at all");
    let proof = report.proof.unwrap();
    assert_eq!(proof.outcome, Outcome::LinksWithGaps);
    assert_eq!(
        proof.gaps[0].to_string(),
        "ClassFormatError: lib/odd-1.0.jar is no jar that can be read, needed by lib.odd-1.0.jar (lib/odd-1.0.jar)"
    );
}

#[test]
fn a_profile_is_the_same_however_it_is_loaded() {
    let bytes = base(&[
        ("b-1.0.jar", library("demo", "b", "1.0", &[class("demo/B")])),
        (
            "a-1.0.jar",
            library("demo", "a", "1.0", &[item("META-INF/services/x.Y", "z")]),
        ),
    ]);
    let bench = Bench::new();
    let limits = Limits::default();
    let made = BaseProfile::load(&bench.put("base.jar", &bytes), limits).unwrap();
    let json = bench.put("profile.json", &made.to_json());
    let stored = BaseProfile::load(&json, limits).unwrap();
    assert_eq!(made, stored);
    assert_eq!(made.digest(), stored.digest());
    assert_eq!(made.libraries[0].file, "a-1.0.jar");
    assert_eq!(made.libraries[0].group.as_deref(), Some("demo"));
    assert!(
        made.libraries[0]
            .resources
            .contains("META-INF/services/x.Y")
    );
}

#[test]
fn a_shaded_jar_is_named_by_the_coordinates_that_fit_its_file() {
    let shaded = library(
        "demo",
        "shaded",
        "2.0",
        &[item(
            "META-INF/maven/a/inner/pom.properties",
            "groupId=a\nartifactId=inner\nversion=9\n",
        )],
    );
    let made = profile(&[("shaded-2.0.jar", shaded)]);
    let one = &made.libraries[0];
    assert_eq!(one.artifact.as_deref(), Some("shaded"));
    assert_eq!(one.version.as_deref(), Some("2.0"));
}

#[test]
fn what_is_no_profile_is_told() {
    let bench = Bench::new();
    let limits = Limits::default();
    let plain = bench.put("plain.jar", &jar(&[class("a/B")]));
    let error = BaseProfile::load(&plain, limits).unwrap_err();
    assert!(matches!(error, SlimError::NotABase), "{error}");
    for text in ["hello", "{}", r#"{"format":1,"libraries":[{}]}"#] {
        let path = bench.put("x.json", text.as_bytes());
        let error = BaseProfile::load(&path, limits).unwrap_err();
        assert!(matches!(error, SlimError::BadProfile { .. }), "{error}");
    }
    let newer = bench.put("n.json", br#"{"format":9,"libraries":[]}"#);
    let error = BaseProfile::load(&newer, limits).unwrap_err();
    assert!(error.to_string().contains("format 9"), "{error}");
    let missing = BaseProfile::load(&bench.put("m", b"").join("x"), limits).unwrap_err();
    assert_eq!(missing.kind(), Kind::Io);
}

#[test]
fn inspecting_tells_what_a_jar_is() {
    let bench = Bench::new();
    let other = library("demo", "other", "1.0", &[]);
    let biz = inspect(&bench.put("m.jar", &module(&[item("lib/other-1.0.jar", other)]))).unwrap();
    assert_eq!(
        (biz.name.as_str(), biz.version.as_str()),
        ("hello", "1.0.0")
    );
    assert_eq!(biz.main_class, "demo.Hello");
    assert_eq!(biz.web_context_path.as_deref(), Some("/hello"));
    assert_eq!(biz.libraries, 1);

    let boot = base(&[("a-1.0.jar", library("demo", "a", "1.0", &[]))]);
    let error = inspect(&bench.put("boot.jar", &boot)).unwrap_err();
    assert!(matches!(error, SlimError::PlainSpringBoot), "{error}");
    assert!(error.to_string().contains("repackage"));
}

#[test]
fn names_with_dots_that_stay_inside_are_taken() {
    let packaged = module(&[
        item("a..b/..c", "x"),
        item(".hidden", "y"),
        item("ünï.txt", "z"),
    ]);
    let (_, slimmed) = Bench::new().slim(&packaged, None).unwrap();
    assert_eq!(read(&slimmed, "a..b/..c"), b"x");
    assert_eq!(read(&slimmed, "ünï.txt"), b"z");
}
