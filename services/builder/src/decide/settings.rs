//! What a build depends on besides its commit, and the id that follows.
//!
//! In: the configuration. Out: [`Settings`], kept in the build's state, and the build's id.

use std::path::PathBuf;

use ferry_config::{Against, Build, Config, ModuleKind};
use ferry_events::{Digest, ids, push::ChangeMerged};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The settings of a module that change what its build makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Folder of the `pom.xml`, or of a snippet's Java files, below the repository's root.
    pub path: String,
    /// What Maven is asked for.
    pub goals: Vec<String>,
    /// The JDK's `JAVA_HOME`; none: the builder's own.
    pub jdk: Option<String>,
    /// Glob below `path` that finds the jar.
    pub jar: String,
    /// Whether it is the jar of a base.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub base: bool,
    /// It is a snippet, and compiled against this. Absent for Maven, whose builds keep their ids so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snippet: Option<Snippet>,
}

/// What a snippet is compiled against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// The base's jar, a file.
    pub base_jar: Option<PathBuf>,
    /// The base whose last build it is, whichever that is when the snippet is compiled. Neither of both: no pool of
    /// the module names one. Absent for a file, whose builds keep their ids so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Snippet {
    /// What it is compiled against; none: no pool of the module says it.
    pub fn against(&self) -> Option<Against> {
        let jar = self.base_jar.clone().map(Against::Jar);
        jar.or_else(|| self.base.clone().map(Against::Base))
    }
}

impl Settings {
    /// Whether what is made of a commit depends on which build of a base was the last.
    pub fn follows_a_base(&self) -> bool {
        let against = self.snippet.as_ref().and_then(Snippet::against);
        matches!(against, Some(Against::Base(_)))
    }
}

/// The settings of a module; none when the configuration does not have it.
pub fn of(config: &Config, name: &str) -> Option<Settings> {
    let module = config.module(name)?;
    let home = |name: &String| match config.builder.jdks.get(name) {
        Some(home) => home.display().to_string(),
        None => name.clone(),
    };
    Some(Settings {
        path: module.path.clone(),
        goals: module.goals.clone(),
        jdk: module.jdk.as_ref().map(home),
        jar: module.jar_glob().to_owned(),
        base: module.kind == ModuleKind::Base,
        snippet: (module.build == Build::Snippet).then(|| {
            let (base_jar, base) = match config.compiled_against(name) {
                Some(Against::Jar(jar)) => (Some(jar), None),
                Some(Against::Base(base)) => (None, Some(base)),
                None => (None, None),
            };
            Snippet { base_jar, base }
        }),
    })
}

/// One id for a commit, a module and its settings: at most one artifact comes of them.
pub fn build_id(change: &ChangeMerged, settings: Option<&Settings>) -> Uuid {
    let json = serde_json::to_vec(&settings).expect("settings are always JSON");
    let digest = Digest::of(&json);
    ids::derive(
        "build",
        &[
            &change.repository,
            &change.commit,
            &change.module,
            digest.as_str(),
        ],
    )
}
