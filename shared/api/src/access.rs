//! Who may do what, and by which grant.
//!
//! In: serde. Out: [`Action`], [`CanQuery`], [`CanView`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a person may want to do to a module in an environment.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// See runs, events and logs.
    View,
    /// Run a commit.
    Run,
    /// Roll out a jar that was built elsewhere.
    Deploy,
    /// Go back to a verified version.
    Rollback,
    /// Pause the module there.
    Pause,
    /// Lift a pause.
    Resume,
    /// Stop a rollout and take it back.
    Abort,
    /// Say yes to a rollout that waits for approval.
    Approve,
    /// Let a rollout go on without what it waits for.
    Promote,
    /// Have a base left alone that the module goes to.
    Hold,
    /// Give it back.
    Release,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 11] = [
        Self::View,
        Self::Run,
        Self::Deploy,
        Self::Rollback,
        Self::Pause,
        Self::Resume,
        Self::Abort,
        Self::Approve,
        Self::Promote,
        Self::Hold,
        Self::Release,
    ];

    /// The word that stands in JSON and on screens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Run => "run",
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Approve => "approve",
            Self::Promote => "promote",
            Self::Hold => "hold",
            Self::Release => "release",
        }
    }

    /// Whether it concerns every environment of the module: a run goes through all of them.
    pub fn goes_through_all(self) -> bool {
        matches!(self, Self::Run | Self::Deploy)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is no action; there are {names}")
        })
    }
}

/// `GET /can`: may somebody do that there?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanQuery {
    /// What.
    pub action: Action,
    /// To which module.
    pub module: String,
    /// In which environment.
    pub environment: String,
    /// Whose token, by its name. Default: the one that asks. Another's takes the role `admin` there.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The answer, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanView {
    /// The name of the token that this is about.
    pub token: String,
    /// What.
    pub action: Action,
    /// To which module.
    pub module: String,
    /// In which environment.
    pub environment: String,
    /// Whether it may.
    pub allowed: bool,
    /// The role that it takes.
    pub role: String,
    /// The environments in which that role is needed.
    pub needed_in: Vec<String>,
    /// Those of them in which the token has no grant for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_in: Vec<String>,
    /// The token's grants that give it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<GrantView>,
    /// The tokens that alone may approve there; nothing: whichever has the role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<Vec<String>>,
    /// Whether whoever wrote the change, or asked for the run, may not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_author: bool,
    /// The tokens that may; only told to whoever has the role `admin` there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<Vec<String>>,
}

/// A grant of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GrantView {
    /// Its place in `grants`, from 0.
    pub index: usize,
    /// Its role.
    pub role: String,
    /// Its globs of modules.
    pub modules: Vec<String>,
    /// Its globs of environments.
    pub environments: Vec<String>,
}
