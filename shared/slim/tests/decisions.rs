//! What goes and what stays, as goldens: one scenario each, named for what it
//! shows. Each was also seen on a real base, where it can go wrong there.

mod common;

use common::known;
use ferry_slim::decide::decide;
use ferry_slim::{BaseProfile, Library, PROFILE_FORMAT, Wanted};

const LOGGER: &[&str] = &["org/slf4j/Logger"];
const LOGBACK: &[&str] = &["ch/qos/logback/classic/Logger"];
const JACKSON: &[&str] = &["com/fasterxml/jackson/core/JsonFactory"];
const DATABIND: &[&str] = &["com/fasterxml/jackson/databind/ObjectMapper"];
const GUAVA: &[&str] = &["com/google/common/base/Joiner"];

fn with(mut library: Library, resource: &str) -> Library {
    library.resources.insert(resource.to_owned());
    library
}

fn core(version: &str) -> Library {
    let file = format!("spring-core-{version}.jar");
    known(&file, version, &["org/springframework/core/Ordered"])
}

fn boot(version: &str) -> Library {
    let file = format!("spring-boot-{version}.jar");
    let boot = known(
        &file,
        version,
        &["org/springframework/boot/SpringApplication"],
    );
    with(boot, "META-INF/spring.factories")
}

fn tomcat(version: &str) -> Library {
    let names: Vec<String> = (0..20).map(|n| format!("jakarta/servlet/S{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    known(&format!("tomcat-embed-core-{version}.jar"), version, &names)
}

fn jackson(version: &str) -> [Library; 2] {
    [
        with(
            known(&format!("jackson-core-{version}.jar"), version, JACKSON),
            "META-INF/services/com.fasterxml.jackson.core.JsonFactory",
        ),
        known(
            &format!("jackson-databind-{version}.jar"),
            version,
            DATABIND,
        ),
    ]
}

fn logging(version: &str) -> [Library; 2] {
    [
        known("slf4j-api-2.0.13.jar", "2.0.13", LOGGER),
        with(
            known(&format!("logback-classic-{version}.jar"), version, LOGBACK),
            "META-INF/services/jakarta.servlet.ServletContainerInitializer",
        ),
    ]
}

fn a_base() -> BaseProfile {
    let mut libraries = vec![core("6.1.8"), boot("3.2.6"), tomcat("10.1.24")];
    libraries.extend(jackson("2.15.4"));
    libraries.extend(logging("1.4.14"));
    libraries.push(known("guava-32.1.3-jre.jar", "32.1.3-jre", GUAVA));
    libraries.push(facade());
    libraries.push(known(
        "koupleless-app-starter-2.1.6.jar",
        "2.1.6",
        &["com/alipay/sofa/koupleless/plugin/App"],
    ));
    BaseProfile {
        format: PROFILE_FORMAT,
        libraries,
        own: String::new(),
        plugins: Default::default(),
        classes: Default::default(),
        java: None,
    }
}

fn facade() -> Library {
    known("facade-1.0-SNAPSHOT.jar", "1.0-SNAPSHOT", &["demo/Facade"])
}

/// The same coordinates and version, built again.
fn rebuilt(mut library: Library) -> Library {
    library.sha256 = format!("ff{}", library.sha256);
    library
}

fn show(libraries: &[Library], declared: &[&str]) -> serde_json::Value {
    let declared: Vec<String> = declared.iter().map(ToString::to_string).collect();
    match decide(libraries, &declared, Some(&a_base()), &Wanted::default()) {
        Ok(decision) => serde_json::to_value(decision).unwrap(),
        Err(conflicts) => serde_json::json!({ "conflicts": conflicts }),
    }
}

macro_rules! golden {
    ($name:ident, $libraries:expr, $declared:expr) => {
        #[test]
        fn $name() {
            insta::assert_json_snapshot!(show(&$libraries, &$declared));
        }
    };
}

golden!(
    fat_module_leaves_all_that_the_base_has,
    [
        vec![core("6.1.8"), boot("3.2.6"), tomcat("10.1.24")],
        jackson("2.15.4").to_vec(),
        logging("1.4.14").to_vec(),
        vec![known("spring-boot-starter-web-3.2.6.jar", "3.2.6", &[])],
    ]
    .concat(),
    ["spring-core", "hello"]
);
golden!(thin_module_is_left_alone, [], ["spring-core", "hello"]);
golden!(
    same_version_in_other_bytes_goes_and_is_told,
    [rebuilt(known("guava-32.1.3-jre.jar", "32.1.3-jre", GUAVA))],
    ["hello"]
);
golden!(
    another_version_and_the_unknown_stay,
    [
        known("guava-33.0.0-jre.jar", "33.0.0-jre", GUAVA),
        known(
            "commons-lang3-3.13.0.jar",
            "3.13.0",
            &["org/apache/commons/lang3/StringUtils"]
        ),
    ],
    ["hello"]
);
golden!(a_snapshot_built_again_stays, [rebuilt(facade())], ["hello"]);
golden!(a_snapshot_with_the_same_bytes_goes, [facade()], ["hello"]);
golden!(
    spring_of_an_older_patch_goes_whole,
    [core("6.1.6"), boot("3.2.5"), tomcat("10.1.20")],
    ["hello"]
);
golden!(
    spring_of_a_newer_line_is_refused,
    [core("6.2.0"), boot("3.4.0"), tomcat("10.1.24")],
    ["hello"]
);
golden!(
    spring_library_that_the_base_lacks_stays_alone,
    [
        core("6.1.8"),
        known(
            "spring-tx-6.1.8.jar",
            "6.1.8",
            &["org/springframework/transaction/Status"]
        ),
    ],
    ["spring-core", "spring-tx"]
);
golden!(
    jackson_of_a_newer_line_stays_whole_and_is_told,
    [
        vec![core("6.1.8")],
        vec![jackson("2.17.0")[1].clone(), jackson("2.15.4")[0].clone()],
    ]
    .concat(),
    ["spring-core"]
);
golden!(
    servlet_api_by_another_name_goes,
    [core("6.1.8"), {
        let names: Vec<String> = (0..20).map(|n| format!("jakarta/servlet/S{n}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push("jakarta/servlet/Helper");
        known("jakarta.servlet-api-6.0.0.jar", "6.0.0", &names)
    }],
    ["spring-core"]
);
golden!(
    spring_without_declared_mode_switches_it_on,
    [core("6.1.8"), boot("3.2.6")],
    []
);
golden!(
    without_declared_mode_and_spring_resources_keep_their_family,
    [
        jackson("2.15.4").to_vec(),
        vec![known("guava-32.1.3-jre.jar", "32.1.3-jre", GUAVA)],
    ]
    .concat(),
    []
);
golden!(
    without_spring_a_family_with_another_version_stays_whole,
    logging("1.5.6"),
    ["hello"]
);

#[test]
fn without_a_profile_all_stays() {
    let decision = decide(
        &[core("6.1.8")],
        &["x".to_owned()],
        None,
        &Wanted::default(),
    )
    .unwrap();
    assert!(decision.left_out.is_empty());
    assert_eq!(decision.kept.len(), 1);
    assert_eq!(decision.declared, ["x"]);
}

#[test]
fn nothing_declared_is_ever_dropped() {
    let declared: Vec<String> = ["b", "hello", "a", "guava"].map(str::to_owned).to_vec();
    let libraries = [
        core("6.1.8"),
        known("guava-32.1.3-jre.jar", "32.1.3-jre", GUAVA),
    ];
    let decision = decide(&libraries, &declared, Some(&a_base()), &Wanted::default()).unwrap();
    assert_eq!(
        decision.declared,
        ["b", "hello", "a", "guava", "spring-core"]
    );
}

#[test]
fn two_classifiers_of_one_version_are_two_libraries() {
    let mut base = a_base();
    let mut native = known("netty-4.1.jar", "4.1", &["io/netty/Epoll"]);
    native.classifier = Some("linux-x86_64".to_owned());
    base.libraries.push(native.clone());
    native.classifier = Some("linux-aarch_64".to_owned());
    let decision = decide(
        &[rebuilt(native)],
        &["hello".to_owned()],
        Some(&base),
        &Wanted::default(),
    )
    .unwrap();
    assert_eq!(decision.kept.len(), 1);
}

#[test]
fn one_artifact_of_two_groups_is_two_libraries() {
    let mut base = a_base();
    let mut theirs = known("core-1.0.jar", "1.0", &["their/Core"]);
    theirs.group = Some("their".to_owned());
    base.libraries.push(theirs);
    let mut ours = rebuilt(known("core-1.0.jar", "1.0", &["our/Core"]));
    ours.group = Some("our".to_owned());
    let decision = decide(
        &[ours],
        &["hello".to_owned()],
        Some(&base),
        &Wanted::default(),
    )
    .unwrap();
    assert_eq!(decision.kept.len(), 1);
}
