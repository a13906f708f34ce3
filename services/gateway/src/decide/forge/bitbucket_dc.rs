//! Bitbucket Data Center's webhooks. Source: "Event payload", `repo:refs_changed`.
//!
//! In: the event's name and the JSON. Out: the repository's name, the changes:
//! one delivery may move several refs. Old servers list no commits.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::change::Moved;
use super::{Author, Change, Forge, HookError, Ignored, Push, body};

pub(super) const PUSH: &str = "repo:refs_changed";

#[derive(Deserialize)]
struct Named {
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    slug: String,
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    actor: Option<Actor>,
    changes: Vec<Moving>,
    to_commit: Option<Commit>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    name: Option<String>,
    email_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moving {
    r#ref: Option<Reference>,
    ref_id: Option<String>,
    from_hash: String,
    to_hash: String,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    id: String,
    message: Option<String>,
    author: Option<Actor>,
    author_timestamp: Option<i64>,
}

impl From<Actor> for Author {
    fn from(actor: Actor) -> Self {
        Self {
            name: actor.name.unwrap_or_default(),
            email: actor.email_address.unwrap_or_default(),
        }
    }
}

/// `<project key>/<slug>`, as in its addresses.
pub(super) fn repository(json: &[u8]) -> Result<Option<String>, HookError> {
    let named: Option<Named> = body::peek(json)?;
    Ok(named
        .and_then(|body| body.repository)
        .map(|repository| format!("{}/{}", repository.project.key, repository.slug)))
}

pub(super) fn changes(event: &str, json: &[u8]) -> Result<Vec<Change>, HookError> {
    match event {
        PUSH => {}
        "diagnostics:ping" => return Ok(Change::ignored(Ignored::Ping)),
        other => return Ok(Change::other_event(other)),
    }
    let body: Body = body::push(Forge::BitbucketDc, json)?;
    if body.changes.is_empty() {
        return Ok(Change::ignored(Ignored::Empty));
    }
    // The commit is that of one ref; with several it is told by its id.
    let (head, actor) = (body.to_commit.as_ref(), body.actor.as_ref());
    body.changes
        .iter()
        .map(|moving| change(moving, head, actor))
        .collect()
}

fn change(
    moving: &Moving,
    head: Option<&Commit>,
    actor: Option<&Actor>,
) -> Result<Change, HookError> {
    let forge = Forge::BitbucketDc;
    let id = moving
        .r#ref
        .as_ref()
        .map(|reference| &reference.id)
        .or(moving.ref_id.as_ref());
    let Some(reference) = id else {
        let reason = "a change has neither ref nor refId".to_owned();
        return Err(HookError::NotAPush { forge, reason });
    };
    let moved = Moved {
        reference,
        before: &moving.from_hash,
        after: &moving.to_hash,
    };
    Change::moved(forge, &moved, |push| {
        let head = head.filter(|commit| commit.id.eq_ignore_ascii_case(&push.after));
        let author = head.and_then(|commit| commit.author.as_ref()).or(actor);
        Push {
            author: author.cloned().map(Author::from).unwrap_or_default(),
            message: head.and_then(|commit| commit.message.clone()),
            at: head
                .and_then(|commit| commit.author_timestamp)
                .and_then(DateTime::<Utc>::from_timestamp_millis),
            ..push
        }
    })
}
