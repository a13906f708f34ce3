//! Jars: as built (packaged), as installed (slimmed), and the release that holds them together.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

/// The proof that a slimmed jar links on its base. One that does not is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// How many classes and members are missing that are optional by nature; 0: everything is there.
    pub gaps: u32,
    /// The name in the store of the report: what went, what stayed, what is missing.
    pub report: Digest,
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
}
