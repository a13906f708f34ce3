//! A module's own `.ferry.toml`: what it sets, what is wrong with it, and what it may not set.

use std::path::{Path, PathBuf};

use ferry_config::{
    Config, MODULE_FILE_MAX, ModuleFile, ModuleFileError, Versions, module_file, parse,
};

const CENTRAL: &str = r#"
[builder]
timeout = "10m"
[builder.jdks]
17 = "/usr/lib/jvm/java-17"
21 = "/usr/lib/jvm/java-21"
[repositories.shop]
url = "https://git.example/acme/shop.git"
forge = "github"
secret = "env:SHOP"
[modules.cart]
repository = "shop"
[modules.prices]
repository = "shop"
[environments.prod]
[pools.prod]
environment = "prod"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1238"
url = "http://127.0.0.1:8080"
"#;

fn config(more: &str) -> Config {
    let text = format!("{CENTRAL}{more}");
    let loaded = parse(&[(PathBuf::from("ferry.toml"), text)]);
    loaded.expect("a good configuration").config
}

fn read(text: &str, config: &Config) -> Result<ModuleFile, ModuleFileError> {
    module_file(Path::new(".ferry.toml"), text, Some((config, "cart")))
}

fn invalid(text: &str) -> String {
    match read(text, &config("")) {
        Err(error @ ModuleFileError::Invalid(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

fn refused(text: &str, policies: &str) -> String {
    match read(text, &config(policies)) {
        Err(error @ ModuleFileError::Refused(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

const WHOLE: &str = r#"
goals = ["clean", "package"]
jar = "target/*.jar"
jdk = "21"
timeout = "5m"
soak = "10s"
[slim]
versions = "compatible"
[probe]
path = "/cart/health"
contains = "UP"
"#;

#[test]
fn all_that_a_module_may_set() {
    let file = read(WHOLE, &config("")).expect("a good file");
    assert_eq!(file.keys(), ferry_config::OwnKey::ALL);
    let slim = file.slim.clone().expect("a slim table");
    assert_eq!((slim.versions, slim.shake), (Versions::Compatible, false));
    let probe = file.probe.expect("a probe");
    assert_eq!((probe.path.as_str(), probe.status), ("/cart/health", 200));
    let empty = read("# nothing\n", &config("")).expect("an empty file");
    assert_eq!((empty.keys(), empty), (vec![], ModuleFile::default()));
    assert!(
        module_file(Path::new("x"), "jdk = \"9\"", None).is_ok(),
        "its form alone"
    );
}

#[test]
fn what_is_wrong_is_said_at_once_with_line_and_key() {
    insta::assert_snapshot!(invalid(
        "soka = \"5s\"\nsoak = 5\ntimeout = \"5 parsecs\"\ngoals = []\nmax_unavailable = 3\njdk = \"22\"\n[probe]\npath = \"health\"\nstatus = 99\npools = [\"prod\"]\n"
    ));
}

#[test]
fn what_is_no_toml_is_said_where_it_is() {
    insta::assert_snapshot!(invalid("soak = \"5s\"\ngoals = [\"package\"\n[probe]\n"));
    let large = "#".repeat(MODULE_FILE_MAX + 1);
    assert_eq!(
        invalid(&large),
        ".ferry.toml: it has 8193 bytes, and 8192 are the most"
    );
    let long = format!("[probe]\npath = \"/{}\"\n", "a".repeat(600));
    assert_eq!(
        invalid(&long),
        ".ferry.toml:2:8: probe.path: is longer than 512 bytes"
    );
}

#[test]
fn what_is_the_configurations_own_is_refused() {
    insta::assert_snapshot!(refused(
        "repository = \"other\"\npools = [\"prod\"]\nmax_unavailable = 3\nafter = \"pre\"\n[environments.prod]\n[[grants]]\nrole = \"admin\"\n[freezes.x]\n[approval]\ncount = 0\n",
        ""
    ));
}

#[test]
fn policies_bound_what_is_set() {
    let policies = r#"
[policies.all]
soak_at_least = "5s"
soak_at_most = "1m"
probe_paths = ["/cart/**", "/health"]
goals = ["package", "verify"]
[policies.cart]
modules = ["car*"]
may_set = ["goals", "timeout", "soak", "probe", "jdk"]
soak_at_least = "8s"
[policies.prices]
modules = ["prices"]
may_set = []
"#;
    insta::assert_snapshot!(refused(
        "goals = [\"package\", \"deploy\"]\njar = \"x.jar\"\njdk = \"27\"\ntimeout = \"11m\"\nsoak = \"6s\"\n[slim]\nshake = true\n[probe]\npath = \"/other\"\n",
        policies
    ));
    let good = "soak = \"8s\"\ngoals = [\"verify\"]\n[probe]\npath = \"/cart/deep/health\"\n";
    assert!(read(good, &config(policies)).is_ok());
    let of = |module| {
        module_file(
            Path::new("f"),
            "soak = \"8s\"",
            Some((&config(policies), module)),
        )
    };
    assert!(of("prices").is_err());
    assert!(of("cart").is_ok());
}

#[test]
fn a_policy_that_no_soak_keeps_is_no_configuration() {
    let text = format!(
        "{CENTRAL}[policies.x]\nsoak_at_least = \"5s\"\nsoak_at_most = \"1s\"\nmay_sett = []\n"
    );
    let found = parse(&[(PathBuf::from("ferry.toml"), text)]).expect_err("two errors");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn a_snippets_file_sets_nothing_of_mavens() {
    let snippet = config("[modules.tip]\nrepository = \"shop\"\nbuild = \"snippet\"\n");
    let text = "goals = [\"verify\"]\njar = \"a.jar\"\ntimeout = \"11s\"\nsoak = \"1s\"\n";
    let read = module_file(Path::new(".ferry.toml"), text, Some((&snippet, "tip")));
    let Err(error @ ModuleFileError::Refused(_)) = read else {
        panic!("{read:?}");
    };
    let said = error.to_string();
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(
        said,
        [
            ".ferry.toml:1:1: goals: is Maven's, and this module is a snippet",
            ".ferry.toml:2:1: jar: is Maven's, and this module is a snippet",
            ".ferry.toml:3:1: timeout: 11s is longer than [builder.snippets] timeout, which is 10s",
        ]
    );
}
