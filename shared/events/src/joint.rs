//! A release of several modules that is under way: runs of one push that go live together or not at all.
//!
//! Each run's change names it whole. The scheduler keeps a record of it: modules report to it how far they
//! are in an environment (`joint.reported`), and are told when they may begin, that all are well, or that one
//! failed (`joint.told`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{PushId, RunId, Stop, ids::derive};

/// One run of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The run.
    pub run: RunId,
    /// Its module.
    pub module: String,
    /// Modules of the same release that must be well in an environment before this one begins there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Where it goes, in order.
    pub environments: Vec<String>,
}

/// Runs that go live together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Joint {
    /// Its id: derived from the push and the name.
    pub id: Uuid,
    /// The release, a key of `releases` of the configuration.
    pub name: String,
    /// Its runs, in the order of their modules' names.
    pub members: Vec<Member>,
    /// Where they go, in order.
    pub environments: Vec<String>,
    /// How long a member waits for the others, in milliseconds.
    pub wait_ms: u64,
}

impl Joint {
    /// The id of a release that a push begins.
    pub fn id_of(push: PushId, name: &str) -> Uuid {
        derive("joint", &[&push.to_string(), name])
    }

    /// The member of this run.
    pub fn member(&self, run: RunId) -> Option<&Member> {
        self.members.iter().find(|member| member.run == run)
    }

    /// The modules that go to an environment.
    pub fn modules_in<'a>(&'a self, environment: &'a str) -> impl Iterator<Item = &'a str> {
        let there =
            move |member: &&Member| member.environments.iter().any(|name| name == environment);
        let members = self.members.iter().filter(there);
        members.map(|member| member.module.as_str())
    }
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It has come to the environment, and waits to begin.
    Waits,
    /// It has begun there.
    Begun,
    /// It is well there, and waits for the others. From now on it goes back only when it is told.
    Well,
    /// It failed there, or somebody stopped it; without an environment: before the first.
    Failed(Stop),
}

/// `joint.reported`: how far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reported {
    /// What it belongs to.
    pub joint: Joint,
    /// The run.
    pub run: RunId,
    /// Its module.
    pub module: String,
    /// The environment; none: it did not come to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// How far it is.
    pub progress: Progress,
}

/// `joint.told`: what a run may do. What was told once holds for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    /// It may begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
    /// One of them has begun, so that no newer run takes the place of this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub under_way: bool,
    /// All are well there: it is verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all_well: bool,
    /// One of them failed: it goes back. Never beside `all_well`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Stop>,
}

/// `joint.told`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// What it belongs to.
    pub joint: Uuid,
    /// The release.
    pub name: String,
    /// The run.
    pub run: RunId,
    /// Its module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// What it may do there.
    pub word: Word,
}
