//! A real base takes the demo's module, and refuses what the demo breaks.

use anyhow::{Context, Result};
use ferry_rig::base::{Base, Options};
use ferry_rig::maven::hello_jar;
use serde_json::{Value, json};
use std::path::Path;

async fn install(base: &Base, jar: &Path) -> Result<Value> {
    let body = json!({
        "bizName": "hello",
        "bizVersion": "1.0.0",
        "bizUrl": format!("file://{}", jar.display()),
    });
    base.ask("installBiz", &body).await
}

async fn uninstall(base: &Base) -> Result<Value> {
    let body = json!({ "bizName": "hello", "bizVersion": "1.0.0" });
    base.ask("uninstallBiz", &body).await
}

async fn modules(base: &Base) -> Result<usize> {
    let reply = base.ask("queryAllBiz", &json!({})).await?;
    Ok(reply["data"].as_array().context("a list")?.len())
}

// One test: a base costs ten seconds.
#[tokio::test]
async fn the_demo_s_modules_do_on_a_real_base_what_their_names_say() -> Result<()> {
    let thin = hello_jar(&[], false).await?;
    let two = hello_jar(&["version-two"], false).await?;
    let fat = hello_jar(&[], true).await?;
    let fails = hello_jar(&["version-two", "context-fails"], false).await?;
    let answers_500 = hello_jar(&["version-two", "answers-500"], false).await?;
    let broken = hello_jar(&["does-not-compile"], false).await.unwrap_err();
    assert!(
        format!("{broken:#}").contains("COMPILATION ERROR"),
        "{broken:#}"
    );

    let dir = tempfile::tempdir()?;
    let mut base = Base::start(Options::new("pre-1", dir.path())).await?;
    assert_eq!(base.get("/").await?, (200, "base pre-1\n".to_owned()));

    assert_eq!(install(&base, &thin).await?["code"], "SUCCESS");
    let one = (200, "hello, version one\n".to_owned());
    assert_eq!(base.get("/hello/").await?, one);
    assert_eq!(uninstall(&base).await?["code"], "SUCCESS");
    assert_eq!(base.get("/hello/").await?.0, 404);

    assert_eq!(install(&base, &two).await?["code"], "SUCCESS");
    assert_eq!(base.get("/hello/").await?.1, "hello, version two\n");
    uninstall(&base).await?;

    let refused = install(&base, &fat).await?.to_string();
    assert!(refused.contains("is not assignable to"), "{refused}");
    let refused = install(&base, &fails).await?.to_string();
    assert!(refused.contains("the price list is empty"), "{refused}");
    assert_eq!(modules(&base).await?, 0, "a failed start leaves nothing");

    assert_eq!(install(&base, &answers_500).await?["code"], "SUCCESS");
    assert_eq!(base.get("/hello/").await?.0, 500);

    base.restart().await?;
    assert_eq!(modules(&base).await?, 0, "a base forgets when it restarts");
    Ok(())
}
