//! What a module may set for itself: its `.ferry.toml`, and `[policies.NAME]` that bound it.
//! In: serde. Out: [`ModuleFile`], [`OwnKey`], [`Policy`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Probe, Slim};

/// A module's own `.ferry.toml`: it stands in the module's folder, and is read at the commit that is built.
/// What it sets takes the place of the same key of `[modules.NAME]`; what it does not set stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModuleFile {
    /// What the build tool is asked for.
    #[schemars(length(min = 1))]
    pub goals: Option<Vec<String>>,
    /// Glob below the module's folder that finds the jar; it must match exactly one file.
    #[schemars(with = "Option<String>", extend("format" = "glob"))]
    pub jar: Option<String>,
    /// The JDK, a key of `builder.jdks` of the configuration.
    #[schemars(with = "Option<String>", extend("format" = "name"))]
    pub jdk: Option<String>,
    /// Of its build, its downloads included; at most `[builder] timeout`.
    #[serde(deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>", extend("format" = "duration", "x-least" = "1s", "x-most" = "1day"))]
    pub timeout: Option<Duration>,
    /// How long it must stay well after it first answered, before the next wave.
    #[serde(deserialize_with = "some_duration")]
    #[schemars(with = "Option<String>", extend("format" = "duration", "x-least" = "0s", "x-most" = "7days"))]
    pub soak: Option<Duration>,
    /// What its slimming may do; the whole of it.
    pub slim: Option<Slim>,
    /// How to ask over HTTP whether it is well.
    pub probe: Option<Probe>,
}

impl ModuleFile {
    /// What it sets.
    pub fn keys(&self) -> Vec<OwnKey> {
        let all = [
            (OwnKey::Goals, self.goals.is_some()),
            (OwnKey::Jar, self.jar.is_some()),
            (OwnKey::Jdk, self.jdk.is_some()),
            (OwnKey::Timeout, self.timeout.is_some()),
            (OwnKey::Soak, self.soak.is_some()),
            (OwnKey::Slim, self.slim.is_some()),
            (OwnKey::Probe, self.probe.is_some()),
        ];
        let set = all.into_iter().filter(|(_, set)| *set);
        set.map(|(key, _)| key).collect()
    }
}

/// Keys in a sentence: `jar, soak`; without any: `nothing`.
pub fn keys_in_words(keys: &[OwnKey]) -> String {
    let names: Vec<&str> = keys.iter().map(|key| key.name()).collect();
    match names.as_slice() {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}

fn some_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    crate::text::duration::deserialize(from).map(Some)
}

/// A key of a module's own `.ferry.toml`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum OwnKey {
    /// What the build tool is asked for.
    Goals,
    /// Where its jar is.
    Jar,
    /// Its JDK.
    Jdk,
    /// How long its build may take.
    Timeout,
    /// How long it must stay well.
    Soak,
    /// What its slimming may do.
    Slim,
    /// How it is asked whether it is well.
    Probe,
}

impl OwnKey {
    /// Every key.
    pub const ALL: [Self; 7] = [
        Self::Goals,
        Self::Jar,
        Self::Jdk,
        Self::Timeout,
        Self::Soak,
        Self::Slim,
        Self::Probe,
    ];

    /// The key as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Goals => "goals",
            Self::Jar => "jar",
            Self::Jdk => "jdk",
            Self::Timeout => "timeout",
            Self::Soak => "soak",
            Self::Slim => "slim",
            Self::Probe => "probe",
        }
    }
}

/// Bounds of what modules set in their own `.ferry.toml`. Of several that concern a module each must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Globs of the modules that it concerns. Default: all.
    #[schemars(length(min = 1), extend("items" = crate::text::item_schema("glob")))]
    pub modules: Vec<String>,
    /// What may be set at all. Default: all that a module's file has.
    pub may_set: Vec<OwnKey>,
    /// The shortest soak that may be set.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "0s", "x-most" = "7days"))]
    pub soak_at_least: Duration,
    /// The longest soak that may be set: a rollout takes that long a wave.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "0s", "x-most" = "7days"))]
    pub soak_at_most: Duration,
    /// Globs, one of which a probe's path must match. Default (empty): any path.
    #[schemars(extend("items" = crate::text::item_schema("glob")))]
    pub probe_paths: Vec<String>,
    /// Globs, one of which each goal must match. Default (empty): any goal.
    #[schemars(extend("items" = crate::text::item_schema("glob")))]
    pub goals: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            modules: vec!["*".to_owned()],
            may_set: OwnKey::ALL.to_vec(),
            soak_at_least: Duration::ZERO,
            soak_at_most: Duration::from_secs(7 * 24 * 3600),
            probe_paths: Vec::new(),
            goals: Vec::new(),
        }
    }
}
