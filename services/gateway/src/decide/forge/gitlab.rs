//! GitLab's webhooks. Source: "Webhook events", push and tag events.
//!
//! In: the event's name and the JSON. Out: the repository's name, the changes,
//! and a delivery id where an old GitLab sends none.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::change::Moved;
use super::github::{Commit, with_head};
use super::{Author, Change, Forge, Headers, HookError, Ignored, Push, body};

pub(super) const PUSH: &str = "Push Hook";
pub(super) const TAG_PUSH: &str = "Tag Push Hook";

#[derive(Deserialize)]
struct Named {
    project: Option<Project>,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
}

#[derive(Deserialize)]
struct Body {
    r#ref: String,
    before: String,
    after: String,
    checkout_sha: Option<String>,
    user_name: Option<String>,
    user_email: Option<String>,
    commits: Option<Vec<Commit>>,
    total_commits_count: Option<usize>,
}

pub(super) fn repository(json: &[u8]) -> Result<Option<String>, HookError> {
    let named: Option<Named> = body::peek(json)?;
    Ok(named
        .and_then(|body| body.project)
        .map(|project| project.path_with_namespace))
}

/// Before 17.4 GitLab sent no `Idempotency-Key`. The event's id alone is shared
/// along a chain of hooks, the body alone comes back when a branch goes to and
/// fro: together they name the delivery.
pub(super) fn delivery_id(headers: &Headers, raw: &[u8]) -> Option<String> {
    if let Some(id) = headers.get("webhook-id") {
        return Some(id.to_owned());
    }
    let event = headers.get("X-Gitlab-Event-UUID")?;
    Some(format!(
        "{event}.{}",
        &hex::encode(Sha256::digest(raw))[..32]
    ))
}

pub(super) fn changes(event: &str, json: &[u8]) -> Result<Vec<Change>, HookError> {
    match event {
        PUSH => {}
        TAG_PUSH => return Ok(Change::ignored(Ignored::Tag)),
        other => return Ok(Change::other_event(other)),
    }
    let push: Body = body::push(Forge::Gitlab, json)?;
    let checkout = push.checkout_sha.as_deref();
    if let Some(checkout) = checkout {
        body::commit_id(Forge::Gitlab, "checkout_sha", checkout)?;
    }
    let moved = Moved {
        reference: &push.r#ref,
        before: &push.before,
        after: &push.after,
    };
    let change = Change::moved(Forge::Gitlab, &moved, |mut change| {
        // `after` may be a tag object; this one is always the commit.
        if let Some(checkout) = checkout {
            change.after = checkout.to_ascii_lowercase();
        }
        let commits = push.commits.as_deref().unwrap_or_default();
        // At most twenty are listed. No word on force: so the paths are never
        // known to be complete.
        let listed_all = change.before.is_some()
            && !commits.is_empty()
            && push.total_commits_count == Some(commits.len());
        let change = with_head(change, None, commits, None);
        let author = if change.author == Author::default() {
            Author {
                name: push.user_name.unwrap_or_default(),
                email: push.user_email.unwrap_or_default(),
            }
        } else {
            change.author.clone()
        };
        Push {
            commits_listed_all: listed_all,
            author,
            ..change
        }
    })?;
    Ok(vec![change])
}
