//! Dead letters: messages that could not be handled, and what became of them.
//!
//! In: serde. Out: [`LetterSummary`], [`LetterView`], their query, the request to close one.

use ferry_events::{CommandId, LetterId, Reason, RunId, Service, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LetterState {
    /// Nothing yet: somebody has to decide.
    Open,
    /// Its message was handled after all.
    Replayed,
    /// Its message will not be handled.
    Dropped,
}

/// Who closed a letter, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LetterEnd {
    /// The name of the token that asked.
    pub actor: String,
    /// Why, in that person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The command.
    pub command: CommandId,
    /// When it was closed.
    pub at: Timestamp,
}

/// One dead letter in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LetterSummary {
    /// The letter.
    pub id: LetterId,
    /// What became of it.
    pub state: LetterState,
    /// Who could not handle its message.
    pub service: Service,
    /// Why not.
    pub reason: Reason,
    /// The first error, where the service left a word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The module, where the message is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The environment, where the message is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The run, where the message belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The message's subject; empty where it has to be looked up.
    pub subject: String,
    /// The message's stream.
    pub stream: String,
    /// The message's sequence there.
    pub sequence: u64,
    /// How often it was delivered.
    pub tries: u64,
    /// When the stream took the message.
    pub first_at: Timestamp,
    /// When it was given up.
    pub at: Timestamp,
    /// Who closed it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<LetterEnd>,
}

/// One dead letter, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LetterView {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: LetterSummary,
    /// What its reason means, in a sentence.
    pub text: String,
    /// What to do next, in a sentence.
    pub next: String,
    /// The chain of errors, outermost first.
    pub errors: Vec<String>,
    /// The message, as text; nothing: it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
}

/// `GET /dead`: which letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LettersQuery {
    /// Only of this service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Only with this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Only about this module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Those that were closed too.
    #[serde(default)]
    pub all: bool,
}

/// `POST /dead/{id}/replay` or `/drop`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// Why, in your words.
    pub why: String,
}
