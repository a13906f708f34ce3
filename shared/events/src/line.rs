//! Stopping the line: a run, a module, an environment or everything is paused, resumed or aborted; a base is
//! held and released.
//!
//! What stands is kept in one place (`line`) and told to every module in every environment that it
//! concerns: by `line.changed`, and by `line.told` to one that begins its life and asks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CommandId, RunId, Timestamp};

/// What a word concerns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stretch {
    /// Everything.
    Everything,
    /// An environment.
    Environment(String),
    /// A module, in every environment.
    Module(String),
    /// A run.
    Run {
        /// The run.
        run: RunId,
        /// Its module.
        module: String,
    },
    /// A base: it is left alone.
    Base {
        /// The base.
        base: String,
        /// Its environment.
        environment: String,
    },
}

impl Stretch {
    /// A base in its environment.
    pub fn of_base(base: &str, environment: &str) -> Self {
        Self::Base {
            base: base.to_owned(),
            environment: environment.to_owned(),
        }
    }

    /// Whether it concerns a module in an environment, whatever the run.
    pub fn covers(&self, module: &str, environment: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Environment(name)
            | Self::Base {
                environment: name, ..
            } => name == environment,
            Self::Module(name) | Self::Run { module: name, .. } => name == module,
        }
    }

    /// Whether it concerns this run as a whole; a base is only a part of it.
    pub fn covers_run(&self, run: RunId) -> bool {
        match self {
            Self::Run { run: one, .. } => *one == run,
            Self::Base { .. } => false,
            _ => true,
        }
    }

    /// The module; empty where it concerns more than one.
    pub fn module(&self) -> &str {
        match self {
            Self::Module(name) | Self::Run { module: name, .. } => name,
            Self::Everything | Self::Environment(_) | Self::Base { .. } => "",
        }
    }

    /// The environment, where it is one alone.
    pub fn environment(&self) -> Option<&str> {
        match self {
            Self::Environment(name)
            | Self::Base {
                environment: name, ..
            } => Some(name),
            _ => None,
        }
    }

    /// The base, where it is one.
    pub fn base(&self) -> Option<&str> {
        match self {
            Self::Base { base, .. } => Some(base),
            _ => None,
        }
    }
}

impl std::fmt::Display for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Module(name) => write!(f, "module {name}"),
            Self::Run { run, .. } => write!(f, "run {}", run.short()),
            Self::Base { base, .. } => write!(f, "base {base}"),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// No wave begins.
    Pause,
    /// A pause is lifted.
    Resume,
    /// What is being rolled out stops, and goes back.
    Abort,
    /// A base is left alone by rollouts and repairs.
    Hold,
    /// It is not any more.
    Release,
    /// Ferry could not bring a base back: it gets no rollouts.
    Quarantine,
    /// It is as it should be again.
    Mend,
}

/// A pause that stands, or a base that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// What it concerns.
    pub stretch: Stretch,
    /// Since when.
    pub since: Timestamp,
    /// Who paused or held it.
    pub actor: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether it is a base that Ferry could not bring back: it gets repairs all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quarantined: bool,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.quarantined {
            let why = self.why.as_deref().unwrap_or_default();
            return write!(f, "{} is in quarantine: {why}", self.stretch);
        }
        let what = match self.stretch {
            Stretch::Base { .. } => "held",
            _ => "paused",
        };
        write!(f, "{} was {what} by {}", self.stretch, self.actor)?;
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// `line.changed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// What was done.
    pub act: Act,
    /// What it concerns.
    pub stretch: Stretch,
    /// When.
    pub at: Timestamp,
    /// Counts the changes; what was told with an older number is past.
    pub number: u64,
    /// Every pause that stands after it.
    pub standing: Vec<Standing>,
    /// Who did it.
    pub actor: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The command; none: Ferry did it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
}

/// `line.asked`: a module came to an environment for the first time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Asked {
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
}

/// `line.told`: what stands for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// How many changes there were.
    pub number: u64,
    /// The pauses that stand.
    pub standing: Vec<Standing>,
}
