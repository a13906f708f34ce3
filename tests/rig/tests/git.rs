//! A repository is pushed to as by a person, and a push is told as by GitHub.

use std::fs;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use ferry_rig::git::{NO_COMMIT, Repository};
use ferry_rig::hook;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

fn folder(files: &[(&str, &str)]) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(dir.path()))?;
        fs::write(path, content)?;
    }
    Ok(dir)
}

#[tokio::test]
async fn a_push_says_what_moved_and_which_paths_changed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let first = folder(&[("pom.xml", "<one/>"), ("src/A.java", "class A {}")])?;
    let (repository, push) = Repository::from_folder("hello", first.path(), dir.path()).await?;
    assert_eq!(push.before, NO_COMMIT);
    assert_eq!(push.after, repository.head().await?);
    assert_eq!(push.commits[0].added, ["pom.xml", "src/A.java"]);

    let second = folder(&[("pom.xml", "<two/>"), ("src/Bücher.java", "class B {}")])?;
    let next = repository
        .commit_folder(second.path(), "Add B\n\nFor a reason.")
        .await?;
    assert_eq!(next.before, push.after);
    assert_eq!(next.commits.len(), 1);
    assert_eq!(next.commits[0].message, "Add B\n\nFor a reason.");
    assert_eq!(next.commits[0].added, ["src/Bücher.java"]);
    assert_eq!(next.commits[0].modified, ["pom.xml"]);

    let undone = repository.revert_last().await?;
    assert_eq!(undone.commits[0].removed, ["src/Bücher.java"]);
    assert_eq!(
        fs::read_to_string(repository.work().join("pom.xml"))?,
        "<one/>"
    );

    let back = repository.force_to(&push.after).await?;
    assert!(back.forced);
    assert_eq!(back.after, push.after);
    assert_eq!(repository.head().await?, push.after);
    assert_eq!(back.commits, [], "nothing new came with it");
    Ok(())
}

#[tokio::test]
async fn nothing_changed_is_no_push() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let files = folder(&[("pom.xml", "<one/>")])?;
    let (repository, _) = Repository::from_folder("hello", files.path(), dir.path()).await?;
    let error = repository
        .commit_folder(files.path(), "Again")
        .await
        .unwrap_err();
    assert!(
        format!("{error:#}").contains("nothing to commit"),
        "{error:#}"
    );
    Ok(())
}

#[test]
fn the_signature_is_github_s_own_example() {
    assert_eq!(
        hook::signature(b"It's a Secret to Everybody", b"Hello, World!"),
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
}

#[tokio::test]
async fn a_delivery_arrives_signed_over_the_bytes_that_were_sent() -> Result<()> {
    let (sender, mut received) = mpsc::channel(1);
    let app = Router::new()
        .route("/hooks/github", post(take))
        .with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hooks/github", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let dir = tempfile::tempdir()?;
    let files = folder(&[("pom.xml", "<one/>")])?;
    let (_, push) = Repository::from_folder("hello", files.path(), dir.path()).await?;
    let answer = hook::send(&reqwest::Client::new(), &url, b"secret", &push).await?;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body["push"], "p1");

    let (headers, body) = received.recv().await.expect("one delivery");
    assert_eq!(headers["x-github-event"], "push");
    assert_eq!(
        headers["x-github-delivery"],
        hook::delivery_id(&push).to_string()
    );
    assert_eq!(
        headers["x-hub-signature-256"],
        hook::signature(b"secret", &body)
    );
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    assert_eq!(body["ref"], "refs/heads/main");
    assert_eq!(body["after"], push.after);
    assert_eq!(body["created"], true);
    assert_eq!(body["head_commit"]["id"], push.after);
    assert_eq!(body["repository"]["clone_url"], push.clone_url);
    Ok(())
}

async fn take(
    State(sender): State<mpsc::Sender<(HeaderMap, Bytes)>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    sender.send((headers, body)).await.ok();
    (StatusCode::ACCEPTED, r#"{"push":"p1"}"#)
}
