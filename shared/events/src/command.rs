//! Commands: what a person asks for, durable, with who and why.
//!
//! On the bus: `ferry.commands.<service>.<verb>`, the JSON of [`Command`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CommandId, Digest, RunId, Service, Timestamp, artifact::Biz, letter::Letter, line::Stretch,
};

/// A durable request by a person or a machine with a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Its id, which the API answers with.
    pub id: CommandId,
    /// When it was taken.
    pub at: Timestamp,
    /// The name of the token that asked.
    pub actor: String,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The stream sequence that the person's view was based on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u64>,
    /// What to do.
    pub verb: Verb,
}

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Run a commit whose hook was missed, or again.
    Run {
        /// The module.
        module: String,
        /// The commit, or anything that git resolves to one.
        commit: String,
        /// The branch; none: the first of the repository's branches without a wildcard, or `main`.
        branch: Option<String>,
        /// Whether it may go where it failed before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Roll out a jar that was built elsewhere; it is in the store already.
    Deploy {
        /// The module.
        module: String,
        /// The jar's name in the store.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// What its manifest says.
        biz: Biz,
        /// The commit that it was built from, where that is known.
        commit: Option<String>,
        /// Whether it may go where it failed before.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Go back to a verified version.
    Rollback {
        /// The module.
        module: String,
        /// The environment.
        environment: String,
        /// The version; none: the verified one before.
        to: Option<String>,
    },
    /// Say yes to a rollout that waits for approval.
    Approve(Rollout),
    /// Let a rollout go on without what it waits for.
    Promote(Rollout),
    /// Let no wave begin.
    Pause(Stretch),
    /// Lift a pause.
    Resume(Stretch),
    /// Stop what is being rolled out, and take it back.
    Abort(Stretch),
    /// Leave a base alone.
    Hold(OnBase),
    /// Do not leave it alone any more.
    Release(OnBase),
    /// Restart a base when its turn comes.
    Restart(OnBase),
    /// Handle a dead letter's message after all.
    Replay(Letter),
    /// Close a dead letter; its message will not be handled.
    Drop(Letter),
}

/// A base in its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnBase {
    /// The base.
    pub base: String,
    /// Its environment.
    pub environment: String,
}

/// A run in an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// The run.
    pub run: RunId,
    /// Its module.
    pub module: String,
    /// The environment.
    pub environment: String,
}

impl Verb {
    /// The verb's token in the subject.
    pub fn token(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Deploy { .. } => "deploy",
            Self::Rollback { .. } => "rollback",
            Self::Approve(_) => "approve",
            Self::Promote(_) => "promote",
            Self::Pause(_) => "pause",
            Self::Resume(_) => "resume",
            Self::Abort(_) => "abort",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Restart(_) => "restart",
            Self::Replay(_) => "replay",
            Self::Drop(_) => "drop",
        }
    }

    /// Who carries it out.
    pub fn service(&self) -> Service {
        match self {
            Self::Run { .. } | Self::Deploy { .. } => Service::Builder,
            Self::Rollback { .. }
            | Self::Approve(_)
            | Self::Promote(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Abort(_)
            | Self::Hold(_)
            | Self::Release(_)
            | Self::Restart(_) => Service::Scheduler,
            Self::Replay(letter) | Self::Drop(letter) => letter.service,
        }
    }

    /// The environment that it is about, where it is about one alone.
    pub fn environment(&self) -> Option<&str> {
        match self {
            Self::Rollback { environment, .. }
            | Self::Approve(Rollout { environment, .. })
            | Self::Promote(Rollout { environment, .. }) => Some(environment),
            Self::Pause(stretch) | Self::Resume(stretch) | Self::Abort(stretch) => {
                stretch.environment()
            }
            Self::Hold(on) | Self::Release(on) | Self::Restart(on) => Some(&on.environment),
            Self::Run { .. } | Self::Deploy { .. } | Self::Replay(_) | Self::Drop(_) => None,
        }
    }

    /// The module that it is about; empty where it is about none.
    pub fn module(&self) -> &str {
        match self {
            Self::Replay(letter) | Self::Drop(letter) => {
                letter.module.as_deref().unwrap_or_default()
            }
            Self::Pause(stretch) | Self::Resume(stretch) | Self::Abort(stretch) => stretch.module(),
            Self::Hold(_) | Self::Release(_) | Self::Restart(_) => "",
            Self::Approve(Rollout { module, .. })
            | Self::Promote(Rollout { module, .. })
            | Self::Run { module, .. }
            | Self::Deploy { module, .. }
            | Self::Rollback { module, .. } => module,
        }
    }
}

/// `command.settled`: a command was taken or refused. It is the act of a person as an event: who, what, why, and
/// what the person saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// The command.
    pub command: CommandId,
    /// Who asked.
    pub actor: String,
    /// What was asked for: the verb, such as `approve`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verb: String,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The stream sequence that the person's view was based on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub based_on: Option<u64>,
    /// The module; empty where the command is about none.
    pub module: String,
    /// The environment, where the command is about one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The run that it causes; none: it was refused, or causes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<crate::Stop>,
}

impl Settled {
    /// What became of a command: the run that it causes, or why it was refused.
    pub fn of(command: &Command, run: Option<RunId>, stop: Option<crate::Stop>) -> Self {
        Self {
            command: command.id,
            actor: command.actor.clone(),
            verb: command.verb.token().to_owned(),
            why: command.why.clone(),
            based_on: command.based_on,
            module: command.verb.module().to_owned(),
            environment: command.verb.environment().map(str::to_owned),
            run,
            stop,
        }
    }
}
