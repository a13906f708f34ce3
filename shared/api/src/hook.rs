//! What a forge is answered, and what is known of a push.
//!
//! In: serde. Out: [`HookAnswer`], [`PushView`].

use ferry_events::{PushId, Timestamp, push};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RetryView, StopView};

/// Whether a delivery can lead to runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is durable, and git will be asked what it moved.
    Accepted,
    /// There is nothing to run.
    Ignored,
}

/// The answer to a delivery: 202 when accepted, 200 when ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookAnswer {
    /// Accepted when any of its refs is.
    pub status: Verdict,
    /// The first accepted ref's push. The same delivery again has the same one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// The runs of all refs, as far as they are known by now.
    #[serde(default)]
    pub runs: Vec<push::RunOf>,
    /// Why, in words.
    pub why: String,
    /// One answer a ref, where the delivery moves several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refs: Vec<RefAnswer>,
}

/// What became of one ref of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefAnswer {
    /// The full ref, such as `refs/heads/main`, where the event has one.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "ref")]
    pub reference: Option<String>,
    /// Accepted or ignored.
    pub status: Verdict,
    /// The push, when accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushId>,
    /// Its runs, as far as they are known by now.
    #[serde(default)]
    pub runs: Vec<push::RunOf>,
    /// A short name of the reason, for machines: `ping`, `tag`, `skip-asked`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, in words.
    pub why: String,
}

impl HookAnswer {
    /// The answer to a delivery with these refs, of which there is at least one.
    pub fn of(refs: Vec<RefAnswer>) -> Self {
        let accepted = refs.iter().find(|one| one.status == Verdict::Accepted);
        let why = match refs.as_slice() {
            [one] => one.why.clone(),
            several => several
                .iter()
                .map(RefAnswer::sentence)
                .collect::<Vec<_>>()
                .join("; "),
        };
        Self {
            status: accepted.map_or(Verdict::Ignored, |one| one.status),
            push: accepted.and_then(|one| one.push),
            runs: refs.iter().flat_map(|one| one.runs.clone()).collect(),
            why,
            refs: if refs.len() > 1 { refs } else { Vec::new() },
        }
    }
}

impl RefAnswer {
    fn sentence(&self) -> String {
        match &self.reference {
            Some(reference) => format!("{reference}: {}", self.why),
            None => self.why.clone(),
        }
    }
}

/// How far a push has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PushState {
    /// Durable in the gateway's inbox; the bus does not answer yet.
    Inbox,
    /// On the bus; git is being asked.
    Received,
    /// Git was asked: see [`PushView::resolution`].
    Resolved,
}

/// What is known of a push.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PushView {
    /// The push.
    pub id: PushId,
    /// How far it has come.
    pub state: PushState,
    /// The kind of forge, as in its hook's path.
    pub forge: String,
    /// The repository's name in the configuration.
    pub repository: String,
    /// The branch, without `refs/heads/`.
    pub branch: String,
    /// The commit before, where the forge says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The object that the branch points at.
    pub after: String,
    /// Whether the forge says that history was rewritten.
    pub forced: bool,
    /// Who pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The first line of the head commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the gateway took it.
    pub received_at: Timestamp,
    /// What git made of it, once resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<push::Resolution>,
    /// Why, in words, once resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Its runs.
    #[serde(default)]
    pub runs: Vec<push::RunOf>,
    /// Why git could not tell, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopView>,
    /// The fetch that failed and is tried again, until git was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryView>,
}
