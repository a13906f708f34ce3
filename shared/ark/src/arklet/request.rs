//! What can be asked of arklet. Goes in: names, versions, addresses, ids.
//! Comes out: serde types, one a command, whose JSON is the POST body. Every
//! field may be absent when read, so that a fake base can take anything.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A command of arklet; its word is the path to POST to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// Lists the commands.
    Help,
    /// Installs a module.
    InstallBiz,
    /// Uninstalls a module.
    UninstallBiz,
    /// Makes another installed version the active one.
    SwitchBiz,
    /// Lists the modules.
    QueryAllBiz,
    /// Tells how the base does.
    Health,
    /// Tells how an asynchronous command went.
    QueryBizOps,
}

impl Command {
    /// All that 2.1.6 has.
    pub const ALL: [Self; 7] = [
        Self::Help,
        Self::InstallBiz,
        Self::UninstallBiz,
        Self::SwitchBiz,
        Self::QueryAllBiz,
        Self::Health,
        Self::QueryBizOps,
    ];

    /// The command's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::InstallBiz => "installBiz",
            Self::UninstallBiz => "uninstallBiz",
            Self::SwitchBiz => "switchBiz",
            Self::QueryAllBiz => "queryAllBiz",
            Self::Health => "health",
            Self::QueryBizOps => "queryBizOps",
        }
    }

    /// The path to POST to.
    #[must_use]
    pub fn path(self) -> String {
        format!("/{}", self.as_str())
    }

    /// The command of that word, if there is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|command| command.as_str() == word)
    }

    /// Whether it changes what the base runs.
    #[must_use]
    pub fn mutates(self) -> bool {
        matches!(
            self,
            Self::InstallBiz | Self::UninstallBiz | Self::SwitchBiz
        )
    }
}

/// A request's body, bound to its command.
pub trait Request: Serialize {
    /// Where it is POSTed.
    const COMMAND: Command;
}

macro_rules! request {
    ($type:ty, $command:ident) => {
        impl Request for $type {
            const COMMAND: Command = Command::$command;
        }
    };
}
request!(InstallBiz, InstallBiz);
request!(UninstallBiz, UninstallBiz);
request!(SwitchBiz, SwitchBiz);
request!(QueryAllBiz, QueryAllBiz);
request!(QueryBizOps, QueryBizOps);
request!(HealthQuery, Health);
request!(Help, Help);

/// What an install does with versions that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstallStrategy {
    /// Leaves them. The default, and what a base takes for a word it does not know.
    InstallOnly,
    /// Uninstalls **every** version of the name **before** it downloads the
    /// new one, so that a bad address leaves no module: Ferry never uses it.
    UninstallThenInstall,
}

/// Body of `/installBiz`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstallBiz {
    /// Name; used for the lock. The identity comes from the jar's manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biz_name: Option<String>,
    /// Version; given with the name or not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biz_version: Option<String>,
    /// `file://`, `http://` or `https://`; read without a time-out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biz_url: Option<String>,
    /// Arguments for the module's `main`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Ignored by every base observed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub envs: BTreeMap<String, String>,
    /// Absent means `installOnly`; 2.1.3 does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_strategy: Option<String>,
    /// Single-use id of an asynchronous command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether arklet answers at once with a process record.
    #[serde(rename = "async")]
    pub is_async: bool,
}

impl InstallBiz {
    /// The way to install: named, versioned and asynchronous. Every other way
    /// stalls the base's event loop while it downloads.
    pub fn asynchronous(
        name: impl Into<String>,
        version: impl Into<String>,
        url: impl Into<String>,
        request_id: impl Into<String>,
    ) -> Self {
        Self {
            biz_name: Some(name.into()),
            biz_version: Some(version.into()),
            biz_url: Some(url.into()),
            request_id: Some(request_id.into()),
            is_async: true,
            ..Self::default()
        }
    }
}

macro_rules! named_command {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            /// The module's name.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub biz_name: Option<String>,
            /// The module's version.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub biz_version: Option<String>,
            /// Single-use id of an asynchronous command.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub request_id: Option<String>,
            /// Whether arklet answers at once with a process record.
            #[serde(rename = "async")]
            pub is_async: bool,
        }

        impl $name {
            /// Asks for a process record at once; the id can be used once only.
            pub fn asynchronous(
                name: impl Into<String>,
                version: impl Into<String>,
                request_id: impl Into<String>,
            ) -> Self {
                Self {
                    biz_name: Some(name.into()),
                    biz_version: Some(version.into()),
                    request_id: Some(request_id.into()),
                    is_async: true,
                }
            }

            /// Waits for the outcome in the reply; no id is used.
            pub fn synchronous(name: impl Into<String>, version: impl Into<String>) -> Self {
                Self {
                    biz_name: Some(name.into()),
                    biz_version: Some(version.into()),
                    ..Self::default()
                }
            }
        }
    };
}
named_command!(
    /// Body of `/uninstallBiz`. Of a version that does not exist it changes
    /// nothing and burns its request id: that is how an id is fenced off.
    UninstallBiz
);
named_command!(
    /// Body of `/switchBiz`.
    SwitchBiz
);

/// Body of `/queryAllBiz`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryAllBiz {}

/// Body of `/help`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {}

/// Body of `/queryBizOps`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryBizOps {
    /// The id of the asynchronous command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl QueryBizOps {
    /// Asks about that id.
    pub fn of(request_id: impl Into<String>) -> Self {
        Self {
            request_id: Some(request_id.into()),
        }
    }
}

/// Body of `/health`; the default asks for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthQuery {
    /// `system`, `biz` or `plugin`; absent means all.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only modules of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biz_name: Option<String>,
    /// Only this version of that name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biz_version: Option<String>,
    /// `cpu`, `jvm`; empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
}
