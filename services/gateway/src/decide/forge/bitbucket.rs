//! Bitbucket Cloud's webhooks. Source: "Event payloads", `repo:push`.
//!
//! In: the event's name and the JSON. Out: the repository's name, the changes:
//! one delivery may move several refs.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::change::Moved;
use super::{Author, Change, Forge, HookError, Ignored, Push, body, github};

pub(super) const PUSH: &str = "repo:push";

const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

#[derive(Deserialize)]
struct Body {
    push: Changes,
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    nickname: Option<String>,
    display_name: Option<String>,
}

#[derive(Deserialize)]
struct Changes {
    changes: Vec<Moving>,
}

#[derive(Deserialize)]
struct Moving {
    old: Option<State>,
    new: Option<State>,
    forced: Option<bool>,
    #[serde(default)]
    truncated: bool,
    commits: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
struct State {
    r#type: String,
    name: String,
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    hash: String,
    author: Option<RawAuthor>,
    message: Option<String>,
    date: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct RawAuthor {
    raw: Option<String>,
}

pub(super) fn repository(json: &[u8]) -> Result<Option<String>, HookError> {
    github::repository(json)
}

pub(super) fn changes(event: &str, json: &[u8]) -> Result<Vec<Change>, HookError> {
    match event {
        PUSH => {}
        "diagnostics:ping" => return Ok(Change::ignored(Ignored::Ping)),
        other => return Ok(Change::other_event(other)),
    }
    let body: Body = body::push(Forge::Bitbucket, json)?;
    if body.push.changes.is_empty() {
        return Ok(Change::ignored(Ignored::Empty));
    }
    let actor = body.actor.as_ref();
    body.push
        .changes
        .into_iter()
        .map(|moving| change(moving, actor))
        .collect()
}

fn change(moving: Moving, actor: Option<&Actor>) -> Result<Change, HookError> {
    let forge = Forge::Bitbucket;
    let Some(named) = moving.new.as_ref().or(moving.old.as_ref()) else {
        return Ok(Change::Ignored {
            reference: None,
            why: Ignored::Empty,
        });
    };
    let reference = match named.r#type.as_str() {
        "branch" | "named_branch" => format!("refs/heads/{}", named.name),
        // An annotated tag of today, or an unknown kind of tomorrow.
        "tag" | "annotated_tag" => format!("refs/tags/{}", named.name),
        other => format!("refs/{other}/{}", named.name),
    };
    let hash = |state: &Option<State>| {
        state
            .as_ref()
            .map_or(NO_COMMIT.to_owned(), |state| state.target.hash.clone())
    };
    let (before, after) = (hash(&moving.old), hash(&moving.new));
    let moved = Moved {
        reference: &reference,
        before: &before,
        after: &after,
    };
    Change::moved(forge, &moved, |push| {
        let target = moving.new.map(|state| state.target);
        let raw = target
            .as_ref()
            .and_then(|t| t.author.as_ref())
            .and_then(|a| a.raw.as_deref());
        Push {
            forced: moving.forced,
            commits_listed_all: !moving.truncated
                && moving.commits.is_some_and(|commits| !commits.is_empty()),
            author: raw.map_or_else(|| pusher(actor), raw_author),
            message: target.as_ref().and_then(|t| t.message.clone()),
            at: target.as_ref().and_then(|t| t.date),
            ..push
        }
    })
}

fn pusher(actor: Option<&Actor>) -> Author {
    let name = actor.and_then(|a| a.nickname.clone().or_else(|| a.display_name.clone()));
    Author {
        name: name.unwrap_or_default(),
        email: String::new(),
    }
}

/// `Name <mail>`, as git writes it.
fn raw_author(raw: &str) -> Author {
    match raw.rsplit_once('<') {
        Some((name, email)) => Author {
            name: name.trim().to_owned(),
            email: email.trim_end_matches('>').trim().to_owned(),
        },
        None => Author {
            name: raw.trim().to_owned(),
            email: String::new(),
        },
    }
}
