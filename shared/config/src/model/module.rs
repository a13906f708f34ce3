//! `[modules.NAME]`: what is built and how it is judged.
//! In: serde. Out: [`Module`], [`Build`], [`Probe`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One module: a Koupleless ark-biz jar, built from a folder of a repository; or, by its `kind`, a base's own jar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// The repository (a key of `repositories`) that holds it.
    #[schemars(extend("x-names" = "repositories"))]
    pub repository: String,
    /// What is built. Default: `module`.
    #[serde(default, skip_serializing_if = "ModuleKind::is_module")]
    pub kind: ModuleKind,
    /// Folder of its `pom.xml`, or of a snippet's Java files, below the
    /// repository's root. Default: `.`.
    #[serde(default = "default_path")]
    #[schemars(extend("format" = "repository-path"))]
    pub path: String,
    /// Globs of the repository's paths whose change concerns this module.
    /// Default (empty): everything below `path`; ask [`Module::path_globs`].
    #[serde(default)]
    #[schemars(extend("items" = crate::text::item_schema("glob")))]
    pub paths: Vec<String>,
    /// How it is built. Default: `maven`.
    #[serde(default)]
    pub build: Build,
    /// What the build tool is asked for. Default: `package`.
    #[serde(default = "default_goals")]
    #[schemars(length(min = 1))]
    pub goals: Vec<String>,
    /// The JDK (a key of `builder.jdks`). Default: the builder's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-names" = "builder.jdks"))]
    pub jdk: Option<String>,
    /// Glob below `path` that finds the jar; it must match exactly one file. Default of a base:
    /// `target/*.jar`; ask [`Module::jar_glob`].
    #[serde(default = "default_jar")]
    #[schemars(extend("format" = "glob"))]
    pub jar: String,
    /// The pools to which it goes. Default: all; ask
    /// [`Config::pools_of_module`](crate::Config::pools_of_module).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-names" = "pools"))]
    pub pools: Option<Vec<String>>,
    /// How long it must stay well after it first answered, before the next
    /// wave. Two seconds: with the verifier's poll of one second every base is
    /// looked at again at least once, and a module that falls over when its
    /// start-up work ends is caught; the module already answers meanwhile.
    #[serde(default = "default_soak", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "0s", "x-most" = "7days"))]
    pub soak: Duration,
    /// What its slimming may do beyond leaving out what the base has exactly so.
    #[serde(default)]
    pub slim: Slim,
    /// How to ask over HTTP whether it is well. Without it, `ACTIVATED` with
    /// the right version is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// What a build makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleKind {
    /// A module, which is rolled out.
    #[default]
    Module,
    /// The jar of a base. It is not rolled out: its profile is what the modules of the pools that name it as
    /// their `base` are slimmed against.
    Base,
}

impl ModuleKind {
    fn is_module(&self) -> bool {
        *self == Self::Module
    }
}

/// How a module is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Build {
    /// By Maven, in batch mode.
    #[default]
    Maven,
    /// Its Java files are compiled against the `base_jar`, or the last build of
    /// the `base`, of the first of its pools that has one, in the order of the
    /// environments; no pom.xml. What implements an interface of the base
    /// becomes a bean of it.
    Snippet,
}

/// What slimming may do beyond leaving out what the base has exactly so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Slim {
    /// What becomes of libraries that the base has in another version.
    pub versions: Versions,
    /// Whether libraries that are partly used are reduced to the classes that are reached.
    pub shake: bool,
}

/// What becomes of a library that the base has in another version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Versions {
    /// The module carries its own.
    #[default]
    Same,
    /// The base's serves, where all that refers to it links against it.
    Compatible,
}

/// An HTTP request that a well module answers as said here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Path below the base's `url`; begins with `/`.
    #[schemars(extend("format" = "http-path", "pattern" = "^/"))]
    pub path: String,
    /// The status that it must answer. Default: 200.
    #[serde(default = "default_status")]
    #[schemars(range(min = 100, max = 599))]
    pub status: u16,
    /// Text that the body must contain, byte for byte. Default: any body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// How long one request may take. Default: 2 s.
    #[serde(default = "default_timeout", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "10m"))]
    pub timeout: Duration,
    /// By when it must have answered well once, counted from the end of the
    /// installation. Default: 20 s.
    #[serde(default = "default_deadline", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "1h"))]
    pub deadline: Duration,
    /// Time between two requests. Default: 100 ms, so that waiting adds little
    /// to a deployment and costs a base ten requests a second at most.
    #[serde(default = "default_interval", with = "crate::text::duration")]
    #[schemars(with = "String", extend("format" = "duration", "x-least" = "10ms", "x-most" = "10m"))]
    pub interval: Duration,
}

fn default_path() -> String {
    ".".to_owned()
}

fn default_goals() -> Vec<String> {
    vec!["package".to_owned()]
}

/// What sofa-ark-maven-plugin makes.
pub(crate) const BIZ_JAR: &str = "target/*-ark-biz.jar";
/// What spring-boot-maven-plugin makes; the jar that it was made of has another ending then.
pub(crate) const BASE_JAR: &str = "target/*.jar";

fn default_jar() -> String {
    BIZ_JAR.to_owned()
}

fn default_soak() -> Duration {
    Duration::from_secs(2)
}

fn default_status() -> u16 {
    200
}

fn default_timeout() -> Duration {
    Duration::from_secs(2)
}

fn default_deadline() -> Duration {
    Duration::from_secs(20)
}

fn default_interval() -> Duration {
    Duration::from_millis(100)
}
