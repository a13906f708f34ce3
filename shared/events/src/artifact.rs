//! Jars: as built (packaged), as installed (slimmed), and the release that holds them together.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Digest, RunId, Stop, verify::Probe};

/// What an ark-biz jar's manifest says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Biz {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version` as built.
    pub version: String,
    /// `web-context-path`, with a leading slash, where the module answers HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub web_context_path: Option<String>,
}

/// What a module's own `.ferry.toml` set at the commit that was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Own {
    /// The keys that it set.
    pub keys: Vec<String>,
    /// For how long it must stay well on each base, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak_ms: Option<u64>,
    /// What its slimming may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slim: Option<Slim>,
    /// What it must answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// What slimming may do beyond leaving out what the base has exactly so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slim {
    /// The base's other version of a library serves, where all that refers to it links against it.
    pub compatible: bool,
    /// Libraries that are partly used are reduced to the classes that are reached.
    pub shake: bool,
}

/// A file of rules by which a project slims for itself, as it was at the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RulesFile {
    /// Its path below the repository's root, such as `conf/ark/rules.txt`.
    pub name: String,
    /// What it says; none: it is too large, not UTF-8 or no plain file, and was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `artifact.packaged`: the jar as built is in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Packaged {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The jar's name in the store.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The commit that it was built from; none for a jar that was uploaded without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What its manifest says.
    pub biz: Biz,
    /// What the module set for itself; none: it has no file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
    /// The rules by which its project slims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RulesFile>,
    /// The push or command that it came of: work of one waits behind its own, not behind another's thousand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Uuid>,
}

/// The jar that one pool's bases get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slimmed {
    /// The slimmed jar's name in the store.
    pub digest: Digest,
    /// Its `Ark-Biz-Version`, stamped.
    pub version: String,
    /// Its size in bytes.
    pub size: u64,
    /// The base profile that it was slimmed against; none where the pool has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Digest>,
    /// How many nested libraries were left out.
    pub left_out: u32,
    /// How many nested libraries were kept.
    pub kept: u32,
    /// Whether it links on that base; none where there is no profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// The name in the store of the report: what went, what stayed, what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Digest>,
    /// How it differs from that pool's jar of the module's version before; none: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Since>,
}

/// The proof that a slimmed jar links on its base. One that does not is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// How many classes and members are missing that are optional by nature; 0: everything is there.
    pub gaps: u32,
}

/// How a slimmed jar differs from the one of the version before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Since {
    /// The version before.
    pub version: String,
    /// How many bytes it has more; fewer where it is negative.
    pub bytes: i64,
    /// Libraries that differ, what weighs most first; at most [`Since::LIBRARIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<LibraryChange>,
    /// How many libraries differ besides; the report has them all.
    #[serde(default)]
    pub more: u32,
}

/// A library that a slimmed jar carries, and the one before did not carry just so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LibraryChange {
    /// The entry, such as `lib/guava-32.1.3-jre.jar`.
    pub entry: String,
    /// What became of it.
    pub change: Change,
    /// How many bytes that brings; negative where it takes some away.
    pub bytes: i64,
}

/// What became of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not carried before.
    New,
    /// It is not carried any more.
    Gone,
    /// It is another version, or other bytes.
    Changed,
}

impl Since {
    /// How many libraries are told: enough to see what a push brings, few enough for an event.
    pub const LIBRARIES: usize = 5;
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: i64| bytesize::ByteSize(bytes.unsigned_abs()).display().iec();
        match self.bytes {
            0 => write!(f, "as large as {}", self.version)?,
            more @ 1.. => write!(f, "{} more than {}", size(more), self.version)?,
            less => write!(f, "{} less than {}", size(less), self.version)?,
        }
        for (index, one) in self.libraries.iter().enumerate() {
            let (between, entry) = (if index == 0 { ": " } else { ", " }, &one.entry);
            let bytes = size(one.bytes);
            match (one.change, one.bytes < 0) {
                (Change::New, _) => write!(f, "{between}new {entry} ({bytes})")?,
                (Change::Gone, _) => write!(f, "{between}gone {entry} ({bytes})")?,
                (Change::Changed, false) => write!(f, "{between}changed {entry} (+{bytes})")?,
                (Change::Changed, true) => write!(f, "{between}changed {entry} (-{bytes})")?,
            }
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// What rollouts carry: one packaged artifact, and a slimmed one for each pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Release {
    /// The run that made it.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The commit, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The packaged digest: what was verified is what ships.
    pub packaged: Digest,
    /// What its manifest says.
    pub biz: Biz,
    /// What the module set for itself; none: it has no file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
    /// The slimmed jar of each pool, by the pool's name.
    pub pools: BTreeMap<String, Slimmed>,
    /// The push or command that it came of, as the packaged artifact says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Uuid>,
}

impl Release {
    /// The version that people read: that of the first pool, or as built where there is none.
    pub fn version(&self) -> &str {
        self.pools
            .values()
            .next()
            .map_or(&self.biz.version, |slimmed| &slimmed.version)
    }
}

/// `artifact.published`: the release is ready to be rolled out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    /// What to roll out.
    pub release: Release,
}

/// `profile.published`: what a build of a base provides is known, and slimmed against from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profiled {
    /// The run.
    pub run: RunId,
    /// The base, as the configuration names it.
    pub module: String,
    /// The commit that it was built from; none for a jar that was uploaded without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The base's jar, as built.
    pub packaged: Digest,
    /// The digest of what it provides: slimmed artifacts name it.
    pub profile: Digest,
    /// The name in the store of the profile's JSON.
    pub stored: Digest,
    /// How many libraries it has.
    pub libraries: u32,
    /// How many classes it has, those of its libraries included.
    pub classes: u32,
    /// The name in the store of the difference to the one before; none: there is none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Digest>,
    /// How many classes of the one before are gone.
    #[serde(default)]
    pub classes_gone: u32,
    /// How many members are gone of classes that are still there.
    #[serde(default)]
    pub members_gone: u32,
}

/// `artifact.refused`: the jar cannot be installed as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// The run.
    pub run: RunId,
    /// The module.
    pub module: String,
    /// The packaged jar.
    pub packaged: Digest,
    /// Why.
    pub stop: Stop,
    /// The pool for which it was refused; none: it would be for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The name in the store of the report, where it came to one: what went, what stayed, what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Digest>,
}
