//! GitHub's webhooks. Source: "Webhook events and payloads", event `push`.
//!
//! In: the event's name and the JSON. Out: the repository's name, the changes.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::change::Moved;
use super::{Author, Change, Forge, HookError, Ignored, Push, body};

/// GitHub lists at most this many commits of a push, and does not say how many
/// there were.
const COMMITS_LISTED: usize = 2048;

/// GitHub shows at most 3,000 files of a commit; a list that long is not trusted.
const FILES_LISTED: usize = 3000;

#[derive(Deserialize)]
pub(super) struct Named {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    full_name: String,
}

#[derive(Deserialize)]
struct Body {
    r#ref: String,
    before: String,
    after: String,
    forced: Option<bool>,
    #[serde(default)]
    created: bool,
    commits: Option<Vec<Commit>>,
    head_commit: Option<Commit>,
    pusher: Option<Person>,
}

/// A commit in the shape that GitHub, GitLab, Gitea and Forgejo share.
#[derive(Clone, Deserialize)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) message: Option<String>,
    pub(super) timestamp: Option<DateTime<Utc>>,
    pub(super) author: Option<Person>,
    pub(super) added: Option<Vec<String>>,
    pub(super) modified: Option<Vec<String>>,
    pub(super) removed: Option<Vec<String>>,
}

/// A person in the same shape. Gitea's pushers have a `login` and a `full_name`.
#[derive(Clone, Deserialize)]
pub(super) struct Person {
    #[serde(alias = "login")]
    name: Option<String>,
    email: Option<String>,
}

impl From<Person> for Author {
    fn from(person: Person) -> Self {
        Self {
            name: person.name.unwrap_or_default(),
            email: person.email.unwrap_or_default(),
        }
    }
}

/// `repository.full_name`, which GitHub, Gitea and Forgejo share.
pub(super) fn repository(json: &[u8]) -> Result<Option<String>, HookError> {
    let named: Option<Named> = body::peek(json)?;
    Ok(named
        .and_then(|body| body.repository)
        .map(|repository| repository.full_name))
}

pub(super) fn changes(event: &str, json: &[u8]) -> Result<Vec<Change>, HookError> {
    match event {
        "push" => {}
        "ping" => return Ok(Change::ignored(Ignored::Ping)),
        "delete" => return Ok(Change::ignored(Ignored::Deleted)),
        other => return Ok(Change::other_event(other)),
    }
    let push: Body = body::push(Forge::Github, json)?;
    let moved = Moved {
        reference: &push.r#ref,
        before: &push.before,
        after: &push.after,
    };
    let change = Change::moved(Forge::Github, &moved, |change| {
        let commits = push.commits.as_deref().unwrap_or_default();
        let listed_all = !commits.is_empty() && commits.len() < COMMITS_LISTED;
        // What a forced push takes away, and what a new branch differs in, is
        // not in the list.
        let plain = push.forced == Some(false) && !push.created && change.before.is_some();
        let paths = if listed_all && plain {
            paths(commits)
        } else {
            None
        };
        Push {
            forced: push.forced,
            commits_listed_all: listed_all,
            paths,
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

/// Adds what the head commit tells, or who pushed where it is not listed. A
/// commit of another id is not believed to be the head.
pub(super) fn with_head(
    push: Push,
    head: Option<&Commit>,
    commits: &[Commit],
    pusher: Option<&Person>,
) -> Push {
    let head = head
        .into_iter()
        .chain(commits)
        .find(|c| c.id.eq_ignore_ascii_case(&push.after));
    let author = head.and_then(|commit| commit.author.as_ref()).or(pusher);
    Push {
        author: author.cloned().map(Author::from).unwrap_or_default(),
        message: head.and_then(|commit| commit.message.clone()),
        at: head.and_then(|commit| commit.timestamp),
        ..push
    }
}

fn paths(commits: &[Commit]) -> Option<BTreeSet<String>> {
    let mut all = BTreeSet::new();
    for commit in commits {
        let (added, modified, removed) = (
            commit.added.as_ref()?,
            commit.modified.as_ref()?,
            commit.removed.as_ref()?,
        );
        if added.len() + modified.len() + removed.len() >= FILES_LISTED {
            return None;
        }
        all.extend([added, modified, removed].into_iter().flatten().cloned());
    }
    Some(all)
}
