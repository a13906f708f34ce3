//! The demo as a newcomer runs it, on real parts: three Koupleless bases, git, Maven, nats-server,
//! six processes. Then every event that it caused is judged by the schemas in the tree.

use std::{collections::BTreeSet, fs, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use ferry_rig::{schemas::EventSchemas, tools};
use serde_json::Value;

/// Two minutes warm; cold it fills a Maven repository first.
const LIMIT: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_holds_what_it_promises_and_its_events_keep_their_schemas() -> Result<()> {
    let mut command = tokio::process::Command::new(tools::program("ferry-demo")?);
    command
        .arg("--once")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .context("the demo goes on and on")??;
    let screen = String::from_utf8_lossy(&output.stdout);
    println!("{screen}");
    if !output.status.success() {
        bail!(
            "the demo failed:\n{screen}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    let folder = tools::target_dir().join("demo");
    let recorded = fs::read_to_string(folder.join("events.jsonl")).context("the demo's events")?;
    let schemas = EventSchemas::of_folder(&tools::workspace_root().join("schemas"))?;
    let (mut kinds, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for line in recorded.lines() {
        let event: Value = serde_json::from_str(line)?;
        schemas.check(&event).with_context(|| line.to_owned())?;
        kinds.insert(event["type"].as_str().unwrap_or_default().to_owned());
        assert!(ids.insert(event["id"].to_string()), "an id twice: {line}");
    }
    for expected in [
        "push.received",
        "build.finished",
        "taskrun.finished",
        "service.upgraded",
        "service.rolledback",
    ] {
        assert!(
            kinds.iter().any(|kind| kind.contains(expected)),
            "no {expected} among {kinds:?}"
        );
    }
    for secret in secrets(&folder.join("run"))? {
        assert!(!recorded.contains(&secret), "a secret in an event");
        assert!(!screen.contains(&secret), "a secret on the screen");
    }
    Ok(())
}

/// What the demo's services keep to themselves: the webhook's secret, the API's token, the seeds.
fn secrets(folder: &std::path::Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)
            .with_context(|| folder.display().to_string())?
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let inside = |name: &str| path.parent().is_some_and(|parent| parent.ends_with(name));
            if inside("secrets") || inside("keys") || path.ends_with("token") {
                let text = fs::read_to_string(&path)
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                if text.len() >= 16 {
                    found.push(text);
                }
            }
        }
    }
    assert!(found.len() >= 3, "the secrets were found");
    Ok(found)
}
