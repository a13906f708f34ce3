//! `[builder]`: how commits are built. In: serde. Out: [`Builder`], [`Snippets`], [`Sandbox`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{GIB, KIB, MIB};

/// `[builder]`: fetches, builds, stores the jar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Builder {
    /// Builds at a time. One, because Maven fills a machine by itself.
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u32,
    /// Whether a build must run in a sandbox.
    pub sandbox: Sandbox,
    /// How long one build may take, the fetch of its dependencies included. The
    /// first build of a large module on an empty repository takes minutes.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "24h"))]
    pub timeout: Duration,
    /// Memory of one build, in bytes: a Maven with its forked compiler and
    /// tests fits with room to spare.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "64MiB"))]
    pub memory: u64,
    /// Processes and threads of one build. A JVM alone starts dozens.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub processes: u32,
    /// Maven's `settings.xml`, mounted read-only into builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "path"))]
    pub maven_settings: Option<PathBuf>,
    /// A Maven repository that every build may read and none may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "path"))]
    pub maven_seed: Option<PathBuf>,
    /// From where git may clone: schemes (`https`, `ssh`, `http`, `git`,
    /// `file`) or address prefixes that end with `/`. Git's `ext::` never.
    #[schemars(extend("items" = crate::text::item_schema("clone-rule")))]
    pub allow_clone: Vec<String>,
    /// Lines of the log that are kept in the reason of a failed build: enough
    /// for a compiler's first errors, small enough for a screen.
    #[schemars(range(min = 1, max = 1000))]
    pub log_lines: u32,
    /// Largest jar that is stored, in bytes. Modules are small by design; half
    /// a GiB is a mistake in the build.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "1KiB"))]
    pub artifact_limit: u64,
    /// Whether a repository's builds may run one after the other in one Maven that stays, which
    /// takes most of Maven's start away. `false`: each build has a Maven of its own.
    pub warm: bool,
    /// Mavens that stay, at most; the one that was used longest ago makes way. Each is a JVM of some
    /// hundred MiB, for one module's folder of one repository.
    #[schemars(range(min = 1, max = 256))]
    pub warm_workers: u32,
    /// Builds after which one that stays is replaced all the same: a leak of a plugin stays small.
    #[schemars(range(min = 1, max = 100_000))]
    pub warm_builds: u32,
    /// Memory above which one that stays is replaced after a build, in bytes. One of a small module
    /// keeps 300 MiB.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "64MiB"))]
    pub warm_memory: u64,
    /// How long one stays that nobody pushes to.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "1s", "x-most" = "24h"))]
    pub warm_idle: Duration,
    /// JDKs by name: their `JAVA_HOME`.
    #[schemars(extend(
        "propertyNames" = crate::text::name_schema(),
        "additionalProperties" = serde_json::json!({ "type": "string", "format": "path" })
    ))]
    pub jdks: BTreeMap<String, PathBuf>,
    /// How modules with `build = "snippet"` are built.
    pub snippets: Snippets,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            parallel: 1,
            sandbox: Sandbox::Required,
            timeout: Duration::from_secs(15 * 60),
            memory: 4 * GIB,
            processes: 512,
            maven_settings: None,
            maven_seed: None,
            allow_clone: vec!["https".to_owned(), "ssh".to_owned()],
            log_lines: 40,
            artifact_limit: 512 * MIB,
            warm: true,
            warm_workers: 4,
            warm_builds: 100,
            warm_memory: GIB,
            warm_idle: Duration::from_secs(30 * 60),
            jdks: BTreeMap::new(),
            snippets: Snippets::default(),
        }
    }
}

/// `[builder.snippets]`: folders of a few Java files, compiled against the base's own jar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Snippets {
    /// Snippets at a time, beside the `parallel` other builds: none waits for a
    /// Maven. Only one of them compiles at any moment; the others read from git
    /// or write to the store.
    #[schemars(range(min = 1, max = 256))]
    pub parallel: u32,
    /// How long one may be compiled. A warm compiler takes some 50 ms, one
    /// that has to start one or two seconds.
    #[serde(with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "100ms", "x-most" = "10m"))]
    pub timeout: Duration,
    /// Memory of the compiler's JVM, in bytes; half of it is its heap. After a
    /// thousand snippets it holds some 340 MiB.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "384MiB"))]
    pub memory: u64,
    /// The most Java files of one snippet. More of them are a module that
    /// wants tests and dependencies, so a pom.xml.
    #[schemars(range(min = 1, max = 10_000))]
    pub files: u32,
    /// The most bytes of all its Java files: ten thousand lines.
    #[serde(with = "crate::text::size")]
    #[schemars(with = "String", extend("format" = "size", "x-least" = "1KiB", "x-most" = "64MiB"))]
    pub size: u64,
}

impl Default for Snippets {
    fn default() -> Self {
        Self {
            parallel: 4,
            timeout: Duration::from_secs(10),
            memory: 512 * MIB,
            files: 50,
            size: 512 * KIB,
        }
    }
}

/// Whether a build runs in a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// A build that cannot have its sandbox does not run.
    Required,
    /// Builds run with the rights of the builder itself. Only for repositories
    /// that are trusted as much as the machine.
    None,
}
