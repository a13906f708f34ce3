//! What became of one library, and why: for reports and for people. Goes in:
//! the decision. Comes out: JSON by serde, a sentence by `Display`.

use serde::{Deserialize, Serialize};

use crate::family::Family;

/// One library and what was decided on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The entry, such as `lib/guava-32.1.3-jre.jar`.
    pub entry: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The version, where the jar tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why.
    #[serde(flatten)]
    pub why: Why,
}

/// Why a library was left out or kept; `Display` is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// Out: the base has the very same bytes.
    SameBytes {
        /// The base's file.
        base: String,
    },
    /// Out: the base has these coordinates and version, in other bytes.
    SameVersion {
        /// The base's file.
        base: String,
    },
    /// Out: it holds no class and no resource.
    Empty,
    /// Out: the family must come from the base, whose version serves.
    BaseServes {
        /// The family.
        family: Family,
        /// The base's version.
        base: String,
    },
    /// Out: it is an API that the base has in jars of another name.
    SameApi {
        /// The base's files.
        base: Vec<String>,
        /// The few classes that the base's jars do without.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lacking: Vec<String>,
    },
    /// Out: the base's version serves: all that the module refers to links
    /// against it.
    Compatible {
        /// The base's version.
        base: String,
    },
    /// Out: the project's own rules leave it to the base.
    Excluded {
        /// The rule, and where it stands.
        rule: String,
        /// The base's version; none where the base has no such library.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<String>,
    },
    /// Out: only what the project's own rules leave to the base refers to it.
    Indirect {
        /// The entry that refers to it.
        of: String,
    },
    /// Kept: the project's own rules say so.
    Included {
        /// The rule, and where it stands.
        rule: String,
    },
    /// Kept: the base has another version, and something does not link against
    /// it.
    NotCompatible {
        /// The base's version.
        base: String,
        /// What does not link.
        because: String,
    },
    /// Kept: the base has another version.
    OtherVersion {
        /// The base's version.
        base: String,
    },
    /// Kept: the base has another build of the same snapshot.
    OtherBuild {
        /// The base's file.
        base: String,
    },
    /// Kept: the base has no such library.
    BaseLacks,
    /// Kept: its resources would be out of reach.
    ResourcesOutOfReach {
        /// One of them.
        resource: String,
    },
    /// Kept: another member of its family must stay.
    FamilyWhole {
        /// The family.
        family: Family,
        /// The entry that must stay.
        because: String,
    },
    /// Kept: there is no base profile to slim against.
    NoProfile,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SameBytes { base } => write!(f, "the base has the same bytes ({base})"),
            Self::SameVersion { base } => {
                write!(f, "the base has the same version in other bytes ({base})")
            }
            Self::Empty => f.write_str("it holds no class and no resource"),
            Self::BaseServes { family, base } => write!(
                f,
                "{} must come from the base, whose {base} serves",
                family.name()
            ),
            Self::SameApi { base, lacking } => {
                write!(f, "the base has the same API ({})", base.join(", "))?;
                if !lacking.is_empty() {
                    write!(f, ", without {}", lacking.join(", "))?;
                }
                Ok(())
            }
            Self::Compatible { base } => {
                write!(f, "everything links against the base's version ({base})")
            }
            Self::Excluded {
                rule,
                base: Some(base),
            } => {
                write!(f, "{rule}; the base has {base}")
            }
            Self::Excluded { rule, base: None } => {
                write!(f, "{rule}; the base has no such library")
            }
            Self::Indirect { of } => write!(f, "only {of}, which is left out, refers to it"),
            Self::Included { rule } => f.write_str(rule),
            Self::NotCompatible { base, because } => write!(
                f,
                "the base has another version ({base}), which does not serve: {because}"
            ),
            Self::OtherVersion { base } => write!(f, "the base has another version ({base})"),
            Self::OtherBuild { base } => {
                write!(f, "the base has another build of this snapshot ({base})")
            }
            Self::BaseLacks => f.write_str("the base does not have it"),
            Self::ResourcesOutOfReach { resource } => write!(
                f,
                "its {resource} would be out of reach, as the manifest declares no libraries"
            ),
            Self::FamilyWhole { family, because } => write!(
                f,
                "{because} must stay, and {} is never split",
                family.name()
            ),
            Self::NoProfile => f.write_str("there is no base profile to slim against"),
        }
    }
}
