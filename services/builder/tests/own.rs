//! The module's own `.ferry.toml`, read from git at the commit that is built.

mod support;

use std::time::Duration;

use ferry_events::{Reason, Stop};
use support::shop::Shop;

/// Commits `.ferry.toml` and builds that commit.
async fn built(
    shop: &Shop,
    text: &str,
) -> (
    Result<ferry_builder::decide::build::Built, Stop>,
    Vec<String>,
) {
    let push = shop
        .repository
        .commit_file(".ferry.toml", text, "Say it ourselves")
        .await
        .expect("a commit");
    shop.build(&push.after).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_module_sets_at_the_commit_is_built_and_carried() {
    let shop = Shop::new(|config| {
        config.modules.get_mut("hello").expect("hello").jar = "target/nothing.jar".into();
    })
    .await;
    let text = "jar = \"target/*-ark-biz.jar\"\nsoak = \"7s\"\n[probe]\npath = \"/hello/\"\n";
    let (result, log) = built(&shop, text).await;
    let own = result.expect("its own jar is found").own.expect("a file");
    assert_eq!(own.keys, ["jar", "soak", "probe"]);
    assert_eq!(own.soak_ms, Some(7_000));
    assert_eq!(own.probe.expect("a probe").path, "/hello/");
    let said = "[ferry] .ferry.toml sets jar, soak, probe";
    assert!(log.iter().any(|line| line == said), "{log:?}");

    // So are the rules by which its project slims, beside it.
    let rules = shop
        .repository
        .commit_file("conf/ark/rules.txt", "excludes=acme:money", "Leave it out")
        .await
        .expect("a commit");
    let (result, _) = shop.build(&rules.after).await;
    let rules = result.expect("it builds").rules;
    assert_eq!(rules.len(), 1);
    assert_eq!(rules[0].name, "conf/ark/rules.txt");
    assert_eq!(rules[0].text.as_deref(), Some("excludes=acme:money"));

    // The commit before has no such file, whatever the branch has now.
    let (result, _) = shop.build(&shop.first.after).await;
    assert_eq!(result.expect_err("nothing.jar").reason, Reason::NoArkBiz);

    // Its limit is its own, and at most the builder's.
    let (result, _) = built(&shop, "timeout = \"1s\"\ngoals = [\"package\", \"-X\"]\n").await;
    let stop = result.expect_err("no build is that quick");
    assert_eq!(stop.reason, Reason::BuildTimeout, "{stop}");
    assert!(stop.detail.contains("not done after 1s"), "{stop}");
    shop.nothing_is_left();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_may_not_set_and_what_is_no_such_file_stops_the_build() {
    let shop = Shop::new(|config| config.builder.timeout = Duration::from_secs(60)).await;
    let (result, _) = built(&shop, "soka = \"5s\"\n[probe]\npath = 3\n").await;
    let stop = result.expect_err("two errors");
    assert_eq!(stop.reason, Reason::ModuleFileInvalid);
    assert_eq!(
        stop.detail,
        ".ferry.toml:1:1: soka: unknown key, did you mean \"soak\"?\n\
         .ferry.toml:3:8: probe.path: must be a text, is a whole number"
    );

    let (result, log) = built(&shop, "timeout = \"2m\"\nmax_unavailable = 5\n").await;
    let stop = result.expect_err("more than it may");
    assert_eq!(stop.reason, Reason::ModuleFileRefused);
    assert!(
        stop.detail
            .contains(".ferry.toml:1:1: timeout: 2m is longer than [builder] timeout, which is 1m"),
        "{stop}"
    );
    assert!(
        stop.detail
            .contains(".ferry.toml:2:1: max_unavailable: is set in ferry.toml"),
        "{stop}"
    );
    assert!(!log.iter().any(|line| line.contains("Building")), "{log:?}");

    let (result, _) = built(&shop, &"#".repeat(9000)).await;
    let stop = result.expect_err("too large");
    assert_eq!(stop.reason, Reason::ModuleFileInvalid);
    assert_eq!(
        stop.detail,
        ".ferry.toml: it has 9000 bytes, and 8192 are the most"
    );

    // A link leads nowhere: what it would lead to is not read.
    let file = shop.repository.work().join(".ferry.toml");
    std::fs::remove_file(&file).expect("a file");
    std::os::unix::fs::symlink("/etc/passwd", &file).expect("a link");
    let push = shop
        .repository
        .commit_all("Link it")
        .await
        .expect("a commit");
    let (result, _) = shop.build(&push.after).await;
    let stop = result.expect_err("a link");
    assert_eq!(stop.reason, Reason::ModuleFileInvalid);
    assert_eq!(stop.detail, ".ferry.toml: it is no plain file");
}
