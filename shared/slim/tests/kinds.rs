//! Each kind of jar that people hand in: what becomes of it, or how to make a biz of it.

mod common;

use common::{Bench, Item, class, class_file, item, jar, library, module, profile, raw, read};
use ferry_ark::Manifest;
use ferry_slim::{
    BaseProfile, Converted, Identity, Kind, Limits, Outcome, PROFILE_FORMAT, SlimError, convert,
};

fn spring() -> Item {
    item(
        "lib/spring-core-6.1.8.jar",
        library(
            "org.springframework",
            "spring-core",
            "6.1.8",
            &[class("org/springframework/core/Ordered")],
        ),
    )
}

#[test]
fn a_fat_jar_for_a_base_of_which_nothing_is_known_is_left_whole() {
    let fat = module(&[spring()]);
    let (report, bytes) = Bench::new().slim(&fat, None).unwrap();
    assert_eq!((report.left_out.len(), report.kept.len()), (0, 1));
    assert_eq!(report.proof, None);
    assert!(
        report.notes[0].contains("lib/spring-core-6.1.8.jar"),
        "{:?}",
        report.notes
    );
    assert_eq!(read(&bytes, "lib/spring-core-6.1.8.jar"), spring().bytes);
    let (thin, _) = Bench::new().slim(&module(&[]), None).unwrap();
    assert!(thin.notes.is_empty());
}

#[test]
fn a_fat_jar_for_a_base_that_provides_nothing_is_left_whole_and_proven() {
    let json = format!(r#"{{"format":{PROFILE_FORMAT},"libraries":[]}}"#);
    let mut provided = profile(&[("a-1.0.jar", library("demo", "a", "1.0", &[]))]);
    provided.libraries.clear();
    provided.classes = Default::default();
    assert!(
        BaseProfile::from_json(&provided.to_json()).is_ok(),
        "{json}"
    );
    let (report, _) = Bench::new()
        .slim(&module(&[spring()]), Some(&provided))
        .unwrap();
    assert_eq!((report.left_out.len(), report.kept.len()), (0, 1));
    assert_eq!(report.proof.unwrap().outcome, Outcome::Links);
}

#[test]
fn a_thin_jar_and_one_without_libraries_only_get_their_version() {
    let provided = profile(&[("a-1.0.jar", library("demo", "a", "1.0", &[class("a/A")]))]);
    for packaged in [module(&[]), module(&[item("lib/", "")])] {
        let (report, bytes) = Bench::new().slim(&packaged, Some(&provided)).unwrap();
        assert_eq!((report.left_out.len(), report.kept.len()), (0, 0));
        assert_eq!(report.proof.unwrap().outcome, Outcome::Links);
        assert_eq!(raw(&bytes).len(), raw(&packaged).len());
    }
}

fn pom(artifact: &str) -> Item {
    item(
        &format!("META-INF/maven/acme/{artifact}/pom.properties"),
        format!("groupId=acme\nartifactId={artifact}\nversion=1.2.3\n"),
    )
}

/// As spring-boot-maven-plugin leaves one.
fn spring_boot(more: &[Item]) -> Vec<u8> {
    let web = library(
        "org.springframework",
        "spring-webmvc",
        "6.1.8",
        &[class("org/springframework/web/servlet/View")],
    );
    let mut items = vec![
        item("META-INF/", ""),
        item(
            "META-INF/MANIFEST.MF",
            "Manifest-Version: 1.0\r\nMain-Class: org.springframework.boot.loader.launch.JarLauncher\r\nStart-Class: acme.shop.Shop\r\nSpring-Boot-Version: 3.2.6\r\nSpring-Boot-Classes: BOOT-INF/classes/\r\nSpring-Boot-Lib: BOOT-INF/lib/\r\nBuild-Jdk-Spec: 17\r\n\r\n",
        ),
        item(
            "META-INF/services/java.nio.file.spi.FileSystemProvider",
            "org.springframework.boot.loader.nio.file.NestedFileSystemProvider",
        ),
        item("org/", ""),
        class("org/springframework/boot/loader/launch/JarLauncher"),
        item("BOOT-INF/", ""),
        item("BOOT-INF/classes/", ""),
        class("BOOT-INF/classes/acme/shop/Shop"),
        item("BOOT-INF/classes/application.properties", "a=b"),
        item("BOOT-INF/classes/META-INF/more.txt", "the application's"),
        item("META-INF/more.txt", "the plugin's"),
        pom("shop"),
        item("BOOT-INF/lib/", ""),
        item("BOOT-INF/lib/spring-webmvc-6.1.8.jar", web),
        item("BOOT-INF/classpath.idx", "- x"),
        item("BOOT-INF/layers.idx", "- y"),
    ];
    // As it is under that name when it was compiled.
    items[7].bytes = class_file("acme/shop/Shop");
    items.extend_from_slice(more);
    jar(&items)
}

fn converted(bytes: &[u8], identity: &Identity) -> Result<(Option<Converted>, Vec<u8>), SlimError> {
    let bench = Bench::new();
    let input = bench.put("plain.jar", bytes);
    let output = input.with_file_name("biz.jar");
    let made = convert(&input, identity, &output, Limits::default());
    if !matches!(made, Ok(Some(_))) {
        assert_eq!(bench.files(), ["plain.jar"], "nothing may be written");
        return made.map(|made| (made, Vec::new()));
    }
    Ok((made?, std::fs::read(output).unwrap()))
}

#[test]
fn a_spring_boot_jar_is_told_and_converted() {
    let plain = spring_boot(&[]);
    let error = Bench::new().slim(&plain, None).unwrap_err();
    assert!(matches!(error, SlimError::PlainSpringBoot));
    for next in ["repackage", "ferry slim --convert"] {
        assert!(error.to_string().contains(next), "{error}");
    }

    let (made, biz) = converted(&plain, &Identity::default()).unwrap();
    let made = made.unwrap();
    assert_eq!(made.name, "shop");
    assert_eq!(made.version, "1.2.3");
    assert_eq!(made.main_class, "acme.shop.Shop");
    assert_eq!(made.web_context_path.as_deref(), Some("shop"));
    assert!(made.spring_boot);
    let names: Vec<String> = raw(&biz).into_iter().map(|it| it.name).collect();
    assert_eq!(
        names,
        [
            "META-INF/",
            "META-INF/MANIFEST.MF",
            "acme/shop/Shop.class",
            "application.properties",
            "META-INF/more.txt",
            "META-INF/maven/acme/shop/pom.properties",
            "lib/",
            "lib/spring-webmvc-6.1.8.jar",
        ]
    );
    assert_eq!(read(&biz, "META-INF/more.txt"), b"the application's");
    let manifest = Manifest::parse(&read(&biz, "META-INF/MANIFEST.MF")).unwrap();
    assert_eq!(manifest.get("Main-Class"), Some("acme.shop.Shop"));
    assert_eq!(manifest.get("Spring-Boot-Lib"), None);
    assert_eq!(manifest.get("Build-Jdk-Spec"), Some("17"));

    let copied = |bytes: &[u8], name: &str| {
        let mut one = raw(bytes).into_iter().find(|it| it.name == name).unwrap();
        one.name.clear();
        one
    };
    for (before, after) in [
        (
            "BOOT-INF/classes/acme/shop/Shop.class",
            "acme/shop/Shop.class",
        ),
        (
            "BOOT-INF/lib/spring-webmvc-6.1.8.jar",
            "lib/spring-webmvc-6.1.8.jar",
        ),
    ] {
        assert_eq!(copied(&plain, before), copied(&biz, after));
    }
    assert_eq!(
        converted(&plain, &Identity::default()).unwrap().1,
        biz,
        "the same bytes"
    );
    assert_eq!(
        converted(&biz, &Identity::default()).unwrap().0,
        None,
        "it is one"
    );
    let (report, _) = Bench::new().slim(&biz, None).unwrap();
    assert_eq!(report.kept[0].entry, "lib/spring-webmvc-6.1.8.jar");
}

#[test]
fn a_plain_jar_is_told_and_converted() {
    let plain = jar(&[class("acme/cart/Cart"), pom("cart")]);
    let error = Bench::new().slim(&plain, None).unwrap_err();
    assert!(
        error.to_string().contains("ferry slim --convert"),
        "{error}"
    );
    let with_manifest = jar(&[
        item(
            "META-INF/MANIFEST.MF",
            "Manifest-Version: 1.0\r\nCreated-By: x\r\n\r\n",
        ),
        class("acme/cart/Cart"),
    ]);
    let error = Bench::new().slim(&with_manifest, None).unwrap_err();
    assert!(matches!(error, SlimError::PlainJar(_)), "{error}");
    assert!(
        error.to_string().contains("ferry slim --convert"),
        "{error}"
    );

    let identity = Identity {
        main_class: Some("acme.cart.Cart".to_owned()),
        ..Identity::default()
    };
    let (made, biz) = converted(&plain, &identity).unwrap();
    let made = made.unwrap();
    assert_eq!(
        (made.name.as_str(), made.version.as_str()),
        ("cart", "1.2.3")
    );
    assert_eq!(made.web_context_path, None);
    let (report, _) = Bench::new().slim(&biz, None).unwrap();
    assert_eq!(report.name, "cart");
}

#[test]
fn what_a_jar_does_not_tell_is_asked_for() {
    let asked = |bytes: &[u8], identity: &Identity| {
        let error = converted(bytes, identity).unwrap_err();
        assert_eq!(error.kind(), Kind::NotABiz);
        error.to_string()
    };
    let bare = jar(&[class("acme/cart/Cart")]);
    let mut identity = Identity::default();
    assert!(asked(&bare, &identity).contains("--biz-name"));
    identity.name = Some("cart".to_owned());
    assert!(asked(&bare, &identity).contains("--biz-version"));
    identity.version = Some("1.0".to_owned());
    assert!(asked(&bare, &identity).contains("--main-class"));
    let shaded = jar(&[class("acme/cart/Cart"), pom("cart"), pom("other")]);
    assert!(asked(&shaded, &Identity::default()).contains("--biz-name"));
    let war = jar(&[class("WEB-INF/classes/acme/Cart")]);
    assert!(asked(&war, &identity).contains("<packaging>jar</packaging>"));
}
