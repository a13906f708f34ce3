//! A branch moved: what the forge said, and what git made of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, PushId, RunId, Stop, Timestamp, joint::Joint};

/// `push.received`: a verified delivery that moves a branch, durable on the bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// The push's id; a redelivery has the same one.
    pub push: PushId,
    /// The kind of forge, as its hook's path names it: `github`, `gitlab`, …
    pub forge: String,
    /// The repository's name in Ferry's configuration.
    pub repository: String,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The commit before, where the forge says it and it is not all zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The object that the branch points at now. Usually a commit: git has the last word.
    pub after: String,
    /// Whether the forge says that history was rewritten. Git has the last word.
    #[serde(default)]
    pub forced: bool,
    /// Who pushed, as the forge names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of the head commit's message, where the forge sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the gateway took the delivery.
    pub received_at: Timestamp,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// The head moved and runs began.
    Started,
    /// The head was there already: the runs are those of the first time.
    AlreadyThere,
    /// The head is past this commit, or history was rewritten without it.
    Outdated,
    /// No module's paths were touched.
    NothingTouched,
    /// Git could not tell.
    Failed,
}

/// A run and the module that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunOf {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
}

/// `push.resolved`: git was asked what a push moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resolved {
    /// The push.
    pub push: PushId,
    /// The repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The commit that the push is about, peeled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What became of it.
    pub resolution: Resolution,
    /// Its runs, also those of the first time.
    pub runs: Vec<RunOf>,
    /// Why, in a sentence.
    pub why: String,
    /// Why git could not tell, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// `change.merged`: a commit concerns a module; its run begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeMerged {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The repository.
    pub repository: String,
    /// The branch; for a command without one, the repository's first.
    pub branch: String,
    /// The head's sequence in that branch. A newer head supersedes by it, never by time.
    pub order: u64,
    /// The commit, all its digits.
    pub commit: String,
    /// The push that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// The command that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    /// Who pushed or asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of the commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether a jar built elsewhere came with the command, so that there is nothing to build.
    #[serde(default)]
    pub uploaded: bool,
    /// Whether a person lets it go where the same artifact failed before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// The release of several modules that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joint: Option<Joint>,
}

impl ChangeMerged {
    /// The push or command that it came of.
    pub fn origin(&self) -> Option<uuid::Uuid> {
        let command = self.command.map(|command| command.0);
        self.push.map(|push| push.0).or(command)
    }
}
