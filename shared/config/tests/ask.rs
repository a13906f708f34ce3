//! Questions to a loaded configuration, secrets, and clone addresses.

use std::path::{Path, PathBuf};

use ferry_config::{
    Amount, CloneUrlError, Config, Percent, Role, Scope, SecretError, SecretRef, check_clone_url,
    hash_token, load, parse,
};

const TEXT: &str = r#"
[teams.core]
[repositories.one]
url = "https://git.example/scm/acme/one.git"
forge = "bitbucket-dc"
secret = "file:secrets/one"
team = "core"
[repositories.two]
url = "ssh://git@git.example:7999/acme/two.git"
forge = "gitlab"
secret = "env:TWO"
[modules.a]
repository = "one"
path = "modules/a[1]"
[modules.b]
repository = "one"
pools = ["prod-x"]
paths = ["b/**", "common/**"]
[modules.c]
repository = "two"
[environments.a-last]
after = "pre"
[environments.pre]
after = "test"
[environments.test]
[pools.pre]
environment = "pre"
bases = [{ name = "pre-1", arklet = "http://127.0.0.1:1", url = "http://127.0.0.1:2" }]
[pools.prod-x]
environment = "a-last"
bases = [
  { name = "z", arklet = "http://127.0.0.1:3", url = "http://127.0.0.1:4", zone = "b" },
  { name = "m", arklet = "http://127.0.0.1:5", url = "http://127.0.0.1:6" },
]
[pools.prod-y]
environment = "a-last"
bases = [{ name = "p", arklet = "http://127.0.0.1:7", url = "http://127.0.0.1:8" }]
"#;

fn config(text: &str) -> Config {
    parse(&[(PathBuf::from("/etc/ferry/ferry.toml"), text.to_owned())])
        .unwrap()
        .config
}

#[test]
fn where_modules_go() {
    let config = config(TEXT);
    assert_eq!(config.environments_in_order(), ["test", "pre", "a-last"]);
    assert_eq!(config.environment_after("pre"), Some("a-last"));
    assert_eq!(config.environment_after("a-last"), None);
    assert_eq!(config.environments_of_module("a"), ["pre", "a-last"]);
    assert_eq!(config.environments_of_module("b"), ["a-last"]);
    assert_eq!(config.environments_of_module("nobody"), [] as [&str; 0]);
    let bases = |module, environment| -> Vec<(String, String)> {
        let all = config.bases_of(module, environment);
        all.iter()
            .map(|(pool, base)| ((*pool).to_owned(), base.name.clone()))
            .collect()
    };
    let pair = |pool: &str, base: &str| (pool.to_owned(), base.to_owned());
    assert_eq!(
        bases("a", "a-last"),
        [
            pair("prod-x", "m"),
            pair("prod-y", "p"),
            pair("prod-x", "z")
        ]
    );
    assert_eq!(
        bases("b", "a-last"),
        [pair("prod-x", "m"), pair("prod-x", "z")]
    );
    assert_eq!(bases("b", "pre"), []);
    let (pool, base) = config.base("z").unwrap();
    assert_eq!((pool, base.zone.as_str()), ("prod-x", "b"));
    assert_eq!(config.bases().len(), 4);
}

#[test]
fn whose_modules_are() {
    let config = config(TEXT);
    assert_eq!(config.team_of_module("a"), Some("core"));
    assert_eq!(config.team_of_module("c"), None);
    let of_one: Vec<_> = config
        .modules_of_repository("one")
        .iter()
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(of_one, ["a", "b"]);
    assert_eq!(config.repositories["one"].full_name(), "acme/one");
    assert_eq!(config.repositories["two"].full_name(), "acme/two");
}

#[test]
fn which_paths_concern_a_module() {
    let config = config(TEXT);
    let globs = config.module("a").unwrap().path_globs();
    let matches = |path: &str| {
        globs
            .iter()
            .any(|glob| ferry_config::glob(glob).unwrap().is_match(path))
    };
    assert!(matches("modules/a[1]/src/Main.java"));
    assert!(!matches("modules/a1/src/Main.java"));
    assert_eq!(
        config.module("b").unwrap().path_globs(),
        ["b/**", "common/**"]
    );
    assert_eq!(config.module("c").unwrap().path_globs(), ["**"]);
}

#[test]
fn the_revision_changes_with_the_meaning_and_only_then() {
    let one = config(TEXT);
    let respelt = config(&format!(
        "# a comment\n{TEXT}[verifier]\npoll = \"1000ms\"\n"
    ));
    let other = config(&format!("{TEXT}[verifier]\npoll = \"900ms\"\n"));
    assert_eq!(one.revision_digest(), respelt.revision_digest());
    assert_ne!(one.revision_digest(), other.revision_digest());
    assert_eq!(one.revision_digest().len(), 64);
    let stored = serde_json::to_string(&one).unwrap();
    let back: Config = serde_json::from_str(&stored).unwrap();
    assert_eq!(back.revision_digest(), one.revision_digest());
}

#[test]
fn addresses_made_from_listen() {
    let config = config(&format!(
        "{TEXT}[gateway]\nlisten = \"0.0.0.0:9000\"\n[installer]\nurl = \"http://ferry.example:1\"\n"
    ));
    assert_eq!(
        config.gateway.public_url().as_str(),
        "http://127.0.0.1:9000/"
    );
    assert_eq!(
        config.installer.artifact_url().as_str(),
        "http://ferry.example:1/"
    );
}

#[test]
fn what_a_token_may_do() {
    let hash = hash_token("open sesame");
    let text = format!(
        "{TEXT}[tokens.ci]\nhash = \"{hash}\"\n\
         grants = [{{ role = \"operate\", modules = [\"a*\"], environments = [\"pre\"] }}, {{ role = \"view\" }}]\n"
    );
    let config = config(&text);
    let (name, token) = config.token("open sesame").unwrap();
    assert_eq!(name, "ci");
    assert!(config.token("open sesam").is_none());
    assert!(token.allows(Role::Operate, Scope::One("a"), Scope::One("pre")));
    assert!(!token.allows(Role::Operate, Scope::One("b"), Scope::One("pre")));
    assert!(!token.allows(Role::Operate, Scope::One("a"), Scope::One("a-last")));
    assert!(!token.allows(Role::Approve, Scope::One("a"), Scope::One("pre")));
    assert!(token.allows(Role::View, Scope::One("b"), Scope::One("a-last")));
    // An act that is about every module needs a grant on every module.
    assert!(!token.allows(Role::Operate, Scope::All, Scope::One("pre")));
    assert!(token.allows(Role::Operate, Scope::Any, Scope::One("pre")));
    assert!(!token.allows(Role::Operate, Scope::Any, Scope::One("a-last")));
    assert!(token.allows(Role::View, Scope::All, Scope::All));
}

#[test]
fn paths_are_absolute_against_their_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ferry.toml");
    std::fs::write(&file, TEXT).unwrap();
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    let more = "[builder]\nmaven_settings = \"./settings.xml\"\n[builder.jdks]\n17 = \"../jdk\"\n";
    std::fs::write(folder.path().join("conf.d/builder.toml"), more).unwrap();
    let loaded = load(&file).unwrap();
    let config = loaded.config;
    assert_eq!(
        config.repositories["one"].secret,
        SecretRef::File(folder.path().join("secrets/one"))
    );
    let settings = folder.path().join("conf.d/settings.xml");
    assert_eq!(
        config.builder.maven_settings.as_deref(),
        Some(settings.as_path())
    );
    assert_eq!(
        config.builder.jdks["17"],
        folder.path().join("conf.d/../jdk")
    );
    assert_eq!(
        loaded.files,
        [file, folder.path().join("conf.d/builder.toml")]
    );
    assert_eq!(loaded.folder, folder.path().join("conf.d"));
}

#[test]
fn secrets_are_references() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one"), "s3cret\r\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    let reference: SecretRef = "file:one".parse().unwrap();
    let secret = reference.resolve(folder.path()).unwrap();
    assert_eq!(secret.bytes(), b"s3cret");
    assert_eq!(format!("{secret:?} {reference}"), "Secret(hidden) file:one");
    let of = |text: &str| {
        text.parse::<SecretRef>()
            .and_then(|reference| reference.resolve(folder.path()))
    };
    assert!(matches!(of("file:empty"), Err(SecretError::Empty(_))));
    assert!(matches!(
        of("file:none"),
        Err(SecretError::Unreadable { .. })
    ));
    assert!(matches!(
        of("env:FERRY_TEST_NOT_SET"),
        Err(SecretError::NoVariable(_))
    ));
    for literal in ["hunter2", "file:", "env:", "env:a b", "FILE:one", ""] {
        assert!(
            matches!(of(literal), Err(SecretError::NotAReference)),
            "{literal}"
        );
    }
    let variable: SecretRef = "env:CARGO_PKG_NAME".parse().unwrap();
    assert_eq!(
        variable.resolve(Path::new("/")).unwrap().text(),
        Some("ferry-config")
    );
}

#[test]
fn clone_addresses() {
    let default = ["https".to_owned(), "ssh".to_owned()];
    for good in [
        "https://git.example/acme/hello.git",
        "https://git.example:8443/acme/hello",
        "ssh://git@git.example:7999/acme/hello.git",
        "git@git.example:acme/hello.git",
    ] {
        assert_eq!(check_clone_url(good, &default), Ok(()), "{good}");
    }
    for bad in [
        "",
        "-uupload-pack=date",
        "--upload-pack=date",
        "ext::sh -c date",
        "ext::date",
        "fd::17",
        "https::https://git.example/x",
        "transport::address",
        "ssh://-oProxyCommand=date/x",
        "ssh://-o@git.example/x",
        "ssh://git@-oProxyCommand=date/x",
        "-oProxyCommand=date@git.example:x",
        "git@-oProxyCommand:x",
        "git@git.example:-x",
        "git.example:acme/hello.git",
        "/srv/git/hello.git",
        "../hello.git",
        "C:\\git",
        "HTTPS://git.example/x",
        "https:///x",
        "https://git.example/a b",
        "https://git.example/a\n",
        "ftp://git.example/x",
    ] {
        assert!(
            matches!(
                check_clone_url(bad, &default),
                Err(CloneUrlError::NotAnAddress(_))
            ),
            "{bad}"
        );
    }
    assert_eq!(
        check_clone_url("https://token@git.example/x", &default),
        Err(CloneUrlError::Password)
    );
    assert_eq!(
        check_clone_url("ssh://git:word@git.example/x", &default),
        Err(CloneUrlError::Password)
    );
    let folder = ["file:///srv/git/".to_owned()];
    assert_eq!(
        check_clone_url("file:///srv/git/hello.git", &folder),
        Ok(())
    );
    for up in [
        "file:///srv/git/../../etc/x",
        "file:///srv/git/%2e%2E/x",
        "file:///srv/git/.%2e",
    ] {
        assert!(
            matches!(
                check_clone_url(up, &folder),
                Err(CloneUrlError::PointsUp(_))
            ),
            "{up}"
        );
    }
    for denied in [
        "file:///srv/gitx/hello.git",
        "https://git.example/x",
        "git@git.example:x",
    ] {
        assert!(
            matches!(
                check_clone_url(denied, &folder),
                Err(CloneUrlError::NotAllowed { .. })
            ),
            "{denied}"
        );
    }
    assert!(matches!(
        check_clone_url("http://git.example/x", &default),
        Err(CloneUrlError::NotAllowed { .. })
    ));
}

const DRAIN: &str = r#"
[environments.prod]
[repositories.shop]
url = "https://git.example/acme/shop.git"
forge = "github"
secret = "env:SHOP"
[modules.cart]
repository = "shop"
[pools.prod]
environment = "prod"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1238"
url = "http://127.0.0.1:8080"
[pools.prod.drain.drain]
url = "http://lb.{zone}.example/{base}?of={module}"
body = '{"server":"{base}","weight":0}'
[pools.prod.drain.drain.check]
url = "http://lb.example/{base}"
contains = "{base},"
matches = "(?m)^{base},[0]{1,2}$"
[pools.prod.drain.undrain]
url = "http://lb.example/{base}"
status = 303
"#;

#[test]
fn a_drain_names_its_base() {
    let loaded = ferry_config::parse(&[("ferry.toml".into(), DRAIN.to_owned())]).unwrap();
    let drain = loaded.config.pools["prod"].drain.clone().unwrap();
    let names = ferry_config::Names {
        base: "prod-1",
        zone: "east",
        module: "cart",
    };
    let url = drain.drain.url_for(&names).unwrap();
    assert_eq!(url.as_str(), "http://lb.east.example/prod-1?of=cart");
    let body = names.fill(drain.drain.body.as_deref().unwrap());
    assert_eq!(body, r#"{"server":"prod-1","weight":0}"#);
    assert!(drain.drain.is_done(204) && !drain.drain.is_done(303));
    assert!(drain.undrain.is_done(303) && !drain.undrain.is_done(200));

    let check = drain.drain.check.unwrap();
    let met = |status, body| check.is_met(&names, status, body);
    assert!(met(200, "prod-2,4\nprod-1,0\n"));
    assert!(!met(503, "prod-1,0"), "another status");
    assert!(!met(200, "prod-1,4"), "another number");
    assert!(!met(200, "prod-12,0"), "another base");

    let config = loaded.config;
    let minute = std::time::Duration::from_secs(60);
    assert_eq!(config.drain_time("cart", "prod"), minute);
    assert!(config.drain_time("cart", "pre").is_zero());
}

#[test]
fn parts_of_all_are_rounded_to_the_careful_side() {
    let part = |part| Amount::Percent(Percent(part));
    for (amount, all, at_most, at_least) in [
        (part(25), 3, 0, 1),
        (part(25), 4, 1, 1),
        (part(25), 5, 1, 2),
        (part(100), 7, 7, 7),
        (part(0), 7, 0, 0),
        (part(50), 0, 0, 0),
        (Amount::Count(2), 3, 2, 2),
        // No more can be lost than there are; what must stay may be more.
        (Amount::Count(5), 3, 3, 5),
    ] {
        assert_eq!(amount.at_most_of(all), at_most, "at most {amount} of {all}");
        assert_eq!(
            amount.at_least_of(all),
            at_least,
            "at least {amount} of {all}"
        );
    }
}
