//! What a module wants of its slimming. Goes in: its settings, its project's
//! rules. Comes out: [`Wishes`].

use serde::{Deserialize, Serialize};

use crate::rules::Rules;

/// What becomes of a library of which the base has another version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// The module carries it.
    #[default]
    Same,
    /// The base's serves, where everything that refers to it links against it.
    Compatible,
}

/// What a module wants of its slimming; by default nothing of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// What becomes of other versions.
    pub versions: Versions,
    /// Whether libraries that are partly used are reduced to what is.
    pub shake: bool,
    /// The project's own rules. Those that lie in the jar come behind them.
    pub rules: Rules,
}
