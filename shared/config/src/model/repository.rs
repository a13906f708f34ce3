//! Where code comes from: `[repositories.NAME]` and `[teams.NAME]`.
//! In: serde. Out: [`Repository`], [`Forge`], [`Team`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SecretRef;

/// A team: the owner of repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Team {
    /// Its name as shown to people. Default: the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its people: names of tokens, who may approve where `team:NAME` may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-names" = "tokens"))]
    pub members: Vec<String>,
}

/// One git repository whose pushes are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// From where it is cloned; checked against `builder.allow_clone`. A
    /// password has no place here: see `credentials`.
    #[schemars(extend("format" = "clone-url"))]
    pub url: String,
    /// The kind of forge that sends its webhooks.
    pub forge: Forge,
    /// Its name as the forge's payload has it (`acme/hello`). Default: the path
    /// of `url`; ask [`Repository::full_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub full_name: Option<String>,
    /// The webhook's secret, by reference.
    pub secret: SecretRef,
    /// Globs of the branches whose pushes start runs. Default: `main`, `master`.
    #[serde(default = "default_branches")]
    #[schemars(length(min = 1), extend("items" = crate::text::item_schema("glob")))]
    pub branches: Vec<String>,
    /// The team (a key of `teams`) that owns it and its modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-names" = "teams"))]
    pub team: Option<String>,
    /// Globs of paths that never start a run by themselves.
    #[serde(default)]
    #[schemars(extend("items" = crate::text::item_schema("glob")))]
    pub ignore: Vec<String>,
    /// Token (for https) or private key (for ssh) to fetch with, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<SecretRef>,
}

/// A kind of forge.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Forge {
    /// GitHub.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea.
    Gitea,
    /// Forgejo.
    Forgejo,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center.
    BitbucketDc,
}

impl Forge {
    /// Every forge, in the order of the documentation.
    pub const ALL: [Self; 6] = [
        Self::Github,
        Self::Gitlab,
        Self::Gitea,
        Self::Forgejo,
        Self::Bitbucket,
        Self::BitbucketDc,
    ];

    /// Its name as in the configuration and in `POST /hooks/NAME`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Forgejo => "forgejo",
            Self::Bitbucket => "bitbucket",
            Self::BitbucketDc => "bitbucket-dc",
        }
    }
}

fn default_branches() -> Vec<String> {
    vec!["main".to_owned(), "master".to_owned()]
}
