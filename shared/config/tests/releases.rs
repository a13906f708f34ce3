//! Releases of several modules: what is wrong with one is said at once.

use std::path::PathBuf;
use std::time::Duration;

use ferry_config::parse;

const GOOD: &str = r#"
[repositories.shop]
url = "https://git.example/acme/shop.git"
forge = "github"
secret = "env:SHOP"
[repositories.desk]
url = "https://git.example/acme/desk.git"
forge = "github"
secret = "env:DESK"
[modules.cart]
repository = "shop"
[modules.prices]
repository = "shop"
[modules.web]
repository = "shop"
[modules.desk]
repository = "desk"
[environments.prod]
[pools.prod]
environment = "prod"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1238"
url = "http://127.0.0.1:8080"
"#;

fn said(releases: &str) -> String {
    let text = format!("{GOOD}{releases}");
    let found = parse(&[(PathBuf::from("ferry.toml"), text)]).expect_err("errors");
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    found.join("\n")
}

#[test]
fn a_release_names_its_modules_and_their_order() {
    let text = format!(
        "{GOOD}[releases.shop]\nmodules = {{ cart = {{ after = [\"prices\"] }}, prices = {{}} }}\n"
    );
    let loaded = parse(&[(PathBuf::from("ferry.toml"), text)]).expect("a good one");
    let release = &loaded.config.releases["shop"];
    assert_eq!(release.wait, Duration::from_secs(24 * 3600));
    assert_eq!(release.modules["cart"].after, ["prices"]);
}

#[test]
fn what_is_wrong_with_releases_is_said_at_once() {
    insta::assert_snapshot!(said(
        r#"
[releases.one.modules.cart]
[releases.circle.modules.cart]
after = ["web"]
[releases.circle.modules.prices]
after = ["cart"]
[releases.circle.modules.web]
after = ["prices", "desk", "carts"]
[releases.far]
wait = "0s"
[releases.far.modules.desk]
[releases.far.modules.prices]
befor = []
[releases.unknown.modules.car]
[releases.unknown.modules.web]
[releases.empty]
"#
    ));
}

#[test]
fn a_module_does_not_come_after_itself() {
    insta::assert_snapshot!(said(
        "[releases.shop.modules.cart]\nafter = [\"cart\"]\n[releases.shop.modules.web]\n"
    ));
}
