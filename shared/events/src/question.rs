//! Questions that only read: asked on the bus, answered by one replica of a service, with a deadline.
//!
//! On the bus: `ferry.ask.<service>`, the JSON of [`Question`]; the answer is the JSON of [`Answer`]. Nothing
//! is written, and nothing follows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, RunId, Service, Stop, gate::Point, rollout::Plan};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Question {
    /// What would be done with a module.
    Plan {
        /// The module.
        module: String,
        /// The run whose artifact it is about; none: what is verified in the first environment that has
        /// something.
        run: Option<RunId>,
        /// Only this environment; none: all of the module's, in order.
        environment: Option<String>,
    },
    /// The report of a run's slimming.
    Report {
        /// The run.
        run: RunId,
        /// The pool whose jar it is about; none: the one that was refused, else the first.
        pool: Option<String>,
    },
}

impl Question {
    /// Who answers it.
    pub fn service(&self) -> Service {
        match self {
            Self::Plan { .. } => Service::Scheduler,
            Self::Report { .. } => Service::Slimmer,
        }
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// What would be done, an environment each.
    Plan(Vec<Preview>),
    /// A slimming's report, as `ferry slim --report` writes it.
    Report(serde_json::Value),
    /// There is no answer.
    Refused(Stop),
}

/// What would be done in an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Preview {
    /// The environment.
    pub environment: String,
    /// The version that is live there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// The version that would be.
    pub version: String,
    /// Its packaged artifact.
    pub packaged: Digest,
    /// The plan, as it would be made now; none: it would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What each base is known to run, where that is not what is live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differing: Vec<Differing>,
    /// What it would wait for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Waiting>,
    /// What would stop it, or keep it back for now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<Stop>,
}

/// A base that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Differing {
    /// The base.
    pub base: String,
    /// The versions that were seen there; none: it could not be changed, and nothing was seen since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<Vec<String>>,
    /// Whether it does not answer.
    #[serde(default)]
    pub lost: bool,
}

/// Something that a rollout would wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// Where.
    pub point: Point,
    /// Its name.
    pub name: String,
    /// What it would wait for, in a sentence.
    pub what: String,
}
