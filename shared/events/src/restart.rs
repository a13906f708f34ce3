//! Restarts of bases: those that are on the list of an environment, one turn at a time.
//!
//! A base comes on the list because its metaspace is over the mark of its pool, or because a person asks. When its
//! turn comes, every module of the pool is asked whether it can spare the base; then the installer takes it out
//! of its load balancer and has the pool's driver restart it. It is over when the modules are back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, Stop, Timestamp};

/// A base's turn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Turn {
    /// Counts the turns of the environment, from 1.
    pub number: u64,
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
}

/// Why a base is to be restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Its metaspace is over the mark of its pool.
    Metaspace {
        /// Taken from the system, in bytes.
        committed: u64,
        /// Its limit, in bytes.
        max: u64,
        /// The mark, in percent of the limit.
        mark: u8,
    },
    /// A person asks for it.
    Asked {
        /// Who.
        actor: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// By which command.
        command: CommandId,
    },
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Metaspace {
                committed,
                max,
                mark,
            } => {
                let percent = committed.saturating_mul(100) / (*max).max(1);
                write!(
                    f,
                    "{percent}% of its metaspace is taken, and its mark is {mark}%"
                )
            }
            Self::Asked { actor, why, .. } => {
                write!(f, "{actor} asks for it")?;
                match why {
                    Some(why) => write!(f, ": {why}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// `restart.listed`: a base is to be restarted when its turn comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listed {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
    /// Why.
    pub cause: Cause,
    /// Since when.
    pub since: Timestamp,
    /// Whether the pool has a driver that restarts it; else a person has to.
    pub driven: bool,
}

/// `restart.asked`: every module of the pool is asked whether it can spare the base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// The turn.
    pub turn: Turn,
    /// Until when an answer is waited for.
    pub until: Timestamp,
    /// When the base can be counted on again at the latest, whatever is heard of it.
    pub back_by: Timestamp,
}

/// `restart.given`: a module can spare the base until the restart is over, or never will.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Given {
    /// The turn.
    pub turn: Turn,
    /// The module.
    pub module: String,
    /// The name under which the base should carry it, where it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub biz: Option<String>,
    /// Why it must not be restarted; none: it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// `restart.requested`: the installer is to restart it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Requested {
    /// The turn.
    pub turn: Turn,
    /// After this the driver must not be called any more: the modules count on the base again.
    pub begin_by: Timestamp,
}

/// `restart.finished`: the base was restarted and answers, or was not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The turn.
    pub turn: Turn,
    /// Why it was not; none: it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// When the driver's command had ended, by the installer's clock.
    pub ended: Timestamp,
    /// How long it took from taking the base out of its load balancer until it answered, in milliseconds.
    pub millis: u64,
}

/// How a restart ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The base is back with its modules.
    Restarted,
    /// It is not, or was not restarted.
    Failed,
    /// It is under its mark again by itself.
    NotNeeded,
}

/// `restart.over`: the base is off the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Over {
    /// The base.
    pub base: String,
    /// Its pool.
    pub pool: String,
    /// Its environment.
    pub environment: String,
    /// Its turn; none: it had none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}
