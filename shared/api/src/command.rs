//! What a person asks for, and what became of it.
//!
//! In: serde. Out: requests, [`CommandAnswer`], [`CommandView`].

use ferry_events::{CommandId, RunId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::StopView;

/// The answer to a request that is durable now (202).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandAnswer {
    /// The command. `GET /commands/{id}` tells what became of it.
    pub id: CommandId,
    /// What was understood, in words.
    pub what: String,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CommandState {
    /// Its service has not looked at it yet.
    Waiting,
    /// It was taken: see [`CommandView::run`].
    Taken,
    /// It was refused: see [`CommandView::stop`].
    Refused,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandView {
    /// The command.
    pub id: CommandId,
    /// How far it has come.
    pub state: CommandState,
    /// The name of the token that asked.
    pub actor: String,
    /// The module.
    pub module: String,
    /// When it was taken or refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// The run that it causes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
}

/// `POST /modules/{module}/run`: run a commit whose hook was missed, or again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The commit, or anything that git resolves to one.
    pub commit: String,
    /// The branch. Default: the repository's first without a wildcard, or `main`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Let it go where the same artifact failed before; then `why` is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Why, in your words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `POST /modules/{module}/rollback`: go back to a verified version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The environment. Default: the module's last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The version. Default: the verified one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why, in your words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What stands beside an uploaded jar, in the query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployQuery {
    /// The commit that it was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Let it go where the same artifact failed before; then `why` is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Why, in your words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
