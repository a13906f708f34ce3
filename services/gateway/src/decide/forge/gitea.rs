//! Gitea's webhooks, which Forgejo's equal but for the headers. Source:
//! `modules/structs/hook.go` (`PushPayload`, `DeletePayload`).
//!
//! In: the event's name and the JSON. Out: the repository's name, the changes.

use serde::Deserialize;

use super::change::Moved;
use super::github::{Commit, Person, with_head};
use super::{Change, Forge, HookError, Ignored, Push, body};

pub(super) use super::github::repository;

#[derive(Deserialize)]
struct Body {
    r#ref: String,
    before: String,
    after: String,
    commits: Option<Vec<Commit>>,
    total_commits: Option<usize>,
    head_commit: Option<Commit>,
    pusher: Option<Person>,
}

pub(super) fn changes(forge: Forge, event: &str, json: &[u8]) -> Result<Vec<Change>, HookError> {
    match event {
        "push" => {}
        "ping" => return Ok(Change::ignored(Ignored::Ping)),
        // A deleted branch is no push here: it has a short ref and no ids.
        "delete" => return Ok(Change::ignored(Ignored::Deleted)),
        other => return Ok(Change::other_event(other)),
    }
    let push: Body = body::push(forge, json)?;
    let moved = Moved {
        reference: &push.r#ref,
        before: &push.before,
        after: &push.after,
    };
    let change = Change::moved(forge, &moved, |change| {
        let commits = push.commits.as_deref().unwrap_or_default();
        // At most five are listed. For a new branch they may be old ones. No
        // word on force: so the paths are never known to be complete.
        let listed_all = change.before.is_some()
            && !commits.is_empty()
            && push.total_commits == Some(commits.len());
        Push {
            commits_listed_all: listed_all,
            ..with_head(
                change,
                push.head_commit.as_ref(),
                commits,
                push.pusher.as_ref(),
            )
        }
    })?;
    Ok(vec![change])
}
