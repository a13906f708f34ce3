//! Tells a receiver of a push as GitHub does: its payload, headers and
//! signature.

use anyhow::{Context, Result};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use crate::git::{AUTHOR_EMAIL, AUTHOR_NAME, Commit, NO_COMMIT, Push};

/// The answer to a delivery.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it was no JSON.
    pub body: Value,
}

/// `X-Hub-Signature-256`: `sha256=` and the hex HMAC-SHA256 of the raw body.
pub fn signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// GitHub's id of a delivery; here the same for the same push.
pub fn delivery_id(push: &Push) -> Uuid {
    let name = format!("{}\n{}\n{}", push.clone_url, push.before, push.after);
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
}

/// A repository's name as the forge's payload has it.
pub fn full_name(repository: &str) -> String {
    format!("demo/{repository}")
}

/// The body of GitHub's `push` event, with the fields that receivers read.
pub fn payload(push: &Push) -> Value {
    let full_name = full_name(&push.repository);
    let commits: Vec<Value> = push.commits.iter().map(commit).collect();
    json!({
        "ref": format!("refs/heads/{}", push.branch),
        "before": push.before,
        "after": push.after,
        "created": push.before == NO_COMMIT,
        "deleted": push.after == NO_COMMIT,
        "forced": push.forced,
        "base_ref": null,
        "compare": format!("https://git.example/{full_name}/compare"),
        "head_commit": commits.last(),
        "commits": commits,
        "pusher": { "name": AUTHOR_NAME, "email": AUTHOR_EMAIL },
        "sender": { "login": "ferry-demo", "id": 1, "type": "User" },
        "repository": {
            "id": 1,
            "name": push.repository,
            "full_name": full_name,
            "private": false,
            "owner": { "name": "demo", "login": "demo" },
            "html_url": format!("https://git.example/{full_name}"),
            "clone_url": push.clone_url,
            "default_branch": push.branch,
        },
    })
}

fn commit(commit: &Commit) -> Value {
    let person = json!({ "name": AUTHOR_NAME, "email": AUTHOR_EMAIL });
    json!({
        "id": commit.id,
        "message": commit.message,
        "timestamp": commit.time.to_rfc3339(),
        "author": person,
        "committer": person,
        "distinct": true,
        "added": commit.added,
        "modified": commit.modified,
        "removed": commit.removed,
    })
}

/// Sends the push, signed, to `url` (such as `http://127.0.0.1:8080/hooks/github`).
///
/// # Errors
/// When nobody answers.
pub async fn send(
    client: &reqwest::Client,
    url: &str,
    secret: &[u8],
    push: &Push,
) -> Result<Answer> {
    let body = serde_json::to_vec(&payload(push))?;
    let sign = signature(secret, &body);
    send_raw(client, url, &sign, &delivery_id(push).to_string(), body).await
}

/// Sends any body under any signature, to see what is refused.
///
/// # Errors
/// When nobody answers.
pub async fn send_raw(
    client: &reqwest::Client,
    url: &str,
    signature: &str,
    delivery: &str,
    body: Vec<u8>,
) -> Result<Answer> {
    let response = client
        .post(url)
        .header("Content-Type", "application/json")
        .header("User-Agent", "GitHub-Hookshot/ferry")
        .header("X-GitHub-Event", "push")
        .header("X-GitHub-Delivery", delivery)
        .header("X-Hub-Signature-256", signature)
        .body(body)
        .send()
        .await
        .with_context(|| format!("no answer from {url}"))?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await?;
    Ok(Answer {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}
