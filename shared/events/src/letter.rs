//! Dead letters and what becomes of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, LetterId, Reason, RunId, Service};

/// Which dead letter somebody means, as it stands in a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Letter {
    /// Its id.
    pub letter: LetterId,
    /// The service whose letter it is: it alone carries the command out.
    pub service: Service,
    /// Its sequence in `FERRY_DEAD`.
    pub sequence: u64,
    /// The module that the message is about; none: it is about none, or cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// A dead letter came to its end: `letter.replayed` or `letter.dropped`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// The letter.
    pub letter: LetterId,
    /// Whose it was.
    pub service: Service,
    /// The subject of the message that it stood for.
    pub subject: String,
    /// Why the message was set aside.
    pub reason: Reason,
    /// The command.
    pub command: CommandId,
    /// Who asked.
    pub actor: String,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The run that the message belonged to, where it belonged to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}
