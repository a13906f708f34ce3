//! Forgejo's webhooks: Gitea's bodies under headers of its own.
//!
//! In: the event's name and the JSON. Out: the repository's name, the changes.

use super::{Change, Forge, HookError, gitea};

pub(super) use super::gitea::repository;

pub(super) fn changes(event: &str, json: &[u8]) -> Result<Vec<Change>, HookError> {
    gitea::changes(Forge::Forgejo, event, json)
}
