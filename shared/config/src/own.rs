//! A module's own `.ferry.toml`: what it sets, and whether it may.
//! In: the file's text, and the configuration that bounds it. Out: a [`ModuleFile`], or every error at
//! once, each with its line and key.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::check::walk::walk_module_file;
use crate::diagnostic::{Diagnostic, Severity, nearest};
use crate::glob::glob;
use crate::model::{Build, Config, ModuleFile, OwnKey, Policy};
use crate::text::duration;
use crate::tree::{At, Node, Source, Tree, join};

/// The file's name, in the module's folder.
pub const MODULE_FILE: &str = ".ferry.toml";
/// The largest file that is read, in bytes: it has seven keys, and this leaves room to explain them.
pub const MODULE_FILE_MAX: usize = 8 * 1024;
/// Bytes of a probe's path or text: a release carries them wherever it goes.
const PROBE_TEXT_MAX: usize = 512;

/// Why a module's file was not taken.
#[derive(Debug, Clone, PartialEq)]
pub enum ModuleFileError {
    /// It is not what such a file can be; what it may not set is among it.
    Invalid(Vec<Diagnostic>),
    /// It is one, and sets what it may not.
    Refused(Vec<Diagnostic>),
}

impl ModuleFileError {
    /// What is wrong, in the order of the file.
    pub fn found(&self) -> &[Diagnostic] {
        match self {
            Self::Invalid(found) | Self::Refused(found) => found,
        }
    }
}

impl std::fmt::Display for ModuleFileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.found().iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ModuleFileError {}

/// Reads a module's file. `shown` is how findings name it. Without bounds (a configuration, and the module's
/// name in it) only its form is checked.
///
/// # Errors
/// Everything that is wrong with it.
pub fn module_file(
    shown: &Path,
    text: &str,
    bounds: Option<(&Config, &str)>,
) -> Result<ModuleFile, ModuleFileError> {
    if text.len() > MODULE_FILE_MAX {
        let size = text.len();
        let whole = Diagnostic {
            severity: Severity::Error,
            file: shown.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message: format!("it has {size} bytes, and {MODULE_FILE_MAX} are the most"),
            suggestion: None,
        };
        return Err(ModuleFileError::Invalid(vec![whole]));
    }
    let source = Source::new(shown.to_owned(), PathBuf::new(), text.to_owned());
    let mut tree = Tree::new(vec![source]);
    let central = central(&tree.root);
    let value = walk_module_file(&mut tree, &central);
    long_texts(&mut tree);
    let invalid = !tree.found.is_empty();
    let file = serde_json::from_value::<ModuleFile>(value);
    for key in &central {
        if let Some(entry) = tree.root.get(key) {
            let message = "is set in ferry.toml by those who run Ferry; a module may not set it";
            tree.error(entry.key_at, &join("", key), message);
        }
    }
    let file = match file {
        Ok(file) => file,
        Err(error) => {
            tree.error(At::START, "", error.to_string());
            return Err(ModuleFileError::Invalid(crate::check::sorted(tree)));
        }
    };
    if let Some((config, module)) = bounds {
        for refusal in config.refuses(module, &file) {
            let entry = tree.root.get(refusal.key.name());
            let inner = entry.and_then(|entry| entry.node.get(refusal.inner));
            let at = inner.or(entry).map(|entry| entry.key_at);
            let at = at.unwrap_or(At::START);
            let key = match refusal.inner {
                "" => refusal.key.name().to_owned(),
                inner => join(refusal.key.name(), inner),
            };
            tree.say(Severity::Error, at, &key, refusal.why, refusal.suggestion);
        }
    }
    match (tree.found.is_empty(), invalid) {
        (true, _) => Ok(file),
        (false, true) => Err(ModuleFileError::Invalid(crate::check::sorted(tree))),
        (false, false) => Err(ModuleFileError::Refused(crate::check::sorted(tree))),
    }
}

/// Keys of this file that the configuration has and a module's file has not.
fn central(root: &Node) -> Vec<String> {
    let schema = crate::schema();
    let has = |table: &Value, key: &str| table["properties"].get(key).is_some();
    let tables = [
        "Module",
        "Environment",
        "Freeze",
        "Pool",
        "Repository",
        "Token",
        "Policy",
    ];
    let is_central = |key: &str| {
        let of = |name: &&str| has(&schema["$defs"][name], key);
        has(&schema, key) || tables.iter().any(of)
    };
    let mine = |key: &str| OwnKey::ALL.iter().any(|own| own.name() == key);
    let keys = root.table().into_iter().flat_map(|table| table.keys());
    let central = keys.filter(|key| is_central(key) && !mine(key));
    central.cloned().collect()
}

fn long_texts(tree: &mut Tree) {
    let probe = tree.root.get("probe").map(|entry| &entry.node);
    let long: Vec<(At, String)> = ["path", "contains"]
        .into_iter()
        .filter_map(|key| {
            let entry = probe?.get(key)?;
            let length = entry.node.text()?.len();
            (length > PROBE_TEXT_MAX).then(|| (entry.node.at, join("probe", key)))
        })
        .collect();
    for (at, key) in long {
        let message = format!("is longer than {PROBE_TEXT_MAX} bytes");
        tree.error(at, &key, message);
    }
}

/// Something that a module may not set.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The key.
    pub key: OwnKey,
    inner: &'static str,
    /// Why.
    pub why: String,
    suggestion: Option<String>,
}

impl Refusal {
    fn new(key: OwnKey, why: String) -> Self {
        Self {
            key,
            inner: "",
            why,
            suggestion: None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key.name(), self.why)
    }
}

impl Config {
    /// The policies that concern a module, by name.
    pub fn policies_of(&self, module: &str) -> impl Iterator<Item = (&str, &Policy)> {
        let concerns = move |policy: &Policy| {
            let mut globs = policy.modules.iter();
            globs.any(|text| glob(text).is_ok_and(|glob| glob.is_match(module)))
        };
        self.policies
            .iter()
            .filter(move |(_, policy)| concerns(policy))
            .map(|(name, policy)| (name.as_str(), policy))
    }

    /// What of a module's file is against the policies in force.
    pub fn refuses(&self, module: &str, file: &ModuleFile) -> Vec<Refusal> {
        let mut found = Vec::new();
        for key in file.keys() {
            let forbids = |(name, policy): (&str, &Policy)| policy.refuses_key(name, key);
            if let Some(why) = self.policies_of(module).find_map(forbids) {
                found.push(Refusal::new(key, why));
                continue;
            }
            let of_maven = matches!(key, OwnKey::Goals | OwnKey::Jar);
            if of_maven && self.is_snippet(module) {
                let why = "is Maven's, and this module is a snippet".to_owned();
                found.push(Refusal::new(key, why));
                continue;
            }
            match key {
                OwnKey::Jdk => found.extend(self.no_jdk(file)),
                OwnKey::Timeout => found.extend(self.too_long(module, file)),
                OwnKey::Soak | OwnKey::Probe | OwnKey::Goals => {
                    let bound = |(name, policy): (&str, &Policy)| policy.refuses(name, key, file);
                    found.extend(self.policies_of(module).flat_map(bound));
                }
                OwnKey::Jar | OwnKey::Slim => {}
            }
        }
        found
    }

    fn no_jdk(&self, file: &ModuleFile) -> Option<Refusal> {
        let name = file.jdk.as_ref()?;
        let known = || self.builder.jdks.keys().map(String::as_str);
        if known().any(|known| known == name) {
            return None;
        }
        let mut why = format!("there is no {name:?} in builder.jdks");
        let suggestion = nearest(name, known());
        if suggestion.is_none() {
            let known: Vec<&str> = known().collect();
            why.push_str(&match known.as_slice() {
                [] => ", which has no entries".to_owned(),
                known => format!(", which has: {}", known.join(", ")),
            });
        }
        Some(Refusal {
            suggestion,
            ..Refusal::new(OwnKey::Jdk, why)
        })
    }

    fn is_snippet(&self, module: &str) -> bool {
        self.module(module)
            .is_some_and(|module| module.build == Build::Snippet)
    }

    fn too_long(&self, module: &str, file: &ModuleFile) -> Option<Refusal> {
        let (table, most) = match self.is_snippet(module) {
            true => ("[builder.snippets]", self.builder.snippets.timeout),
            false => ("[builder]", self.builder.timeout),
        };
        let asked = file.timeout?;
        (asked > most).then(|| {
            let (asked, most) = (duration::format(asked), duration::format(most));
            let why = format!("{asked} is longer than {table} timeout, which is {most}");
            Refusal::new(OwnKey::Timeout, why)
        })
    }
}

impl Policy {
    fn refuses(&self, name: &str, key: OwnKey, file: &ModuleFile) -> Vec<Refusal> {
        let refusal = |why: String| Refusal::new(key, why);
        match key {
            OwnKey::Soak => {
                let soak = |soak| self.refuses_soak(name, soak);
                let why = file.soak.and_then(soak);
                why.map(refusal).into_iter().collect()
            }
            OwnKey::Probe => {
                let path = |path: &str| self.refuses_path(name, path);
                let why = file.probe.as_ref().and_then(|probe| path(&probe.path));
                let inside = |why| Refusal {
                    inner: "path",
                    ..refusal(why)
                };
                why.map(inside).into_iter().collect()
            }
            OwnKey::Goals => {
                let goals = file.goals.iter().flatten();
                let refused = goals.filter(|goal| !matches(&self.goals, goal));
                let why = refused.map(|goal| {
                    let goals = self.goals.join(", ");
                    format!("{goal:?} is no goal that [policies.{name}] allows: {goals}")
                });
                why.map(refusal).collect()
            }
            OwnKey::Jar | OwnKey::Jdk | OwnKey::Timeout | OwnKey::Slim => Vec::new(),
        }
    }

    /// Why a key may not be set at all; none: it may.
    pub fn refuses_key(&self, name: &str, key: OwnKey) -> Option<String> {
        let allows = self.may_set.contains(&key);
        (!allows).then(|| format!("[policies.{name}] does not let modules set it"))
    }

    /// Why a soak may not be set; none: it may.
    pub fn refuses_soak(&self, name: &str, soak: Duration) -> Option<String> {
        let text = duration::format;
        if soak < self.soak_at_least {
            let least = text(self.soak_at_least);
            return Some(format!(
                "{} is shorter than the {least} of [policies.{name}] soak_at_least",
                text(soak)
            ));
        }
        (soak > self.soak_at_most).then(|| {
            let most = text(self.soak_at_most);
            format!(
                "{} is longer than the {most} of [policies.{name}] soak_at_most",
                text(soak)
            )
        })
    }

    /// Why a probe's path may not be set; none: it may.
    pub fn refuses_path(&self, name: &str, path: &str) -> Option<String> {
        (!matches(&self.probe_paths, path)).then(|| {
            let paths = self.probe_paths.join(", ");
            format!("{path:?} is no path that [policies.{name}] allows: {paths}")
        })
    }
}

/// Whether one of the globs matches; without any, everything does.
fn matches(globs: &[String], text: &str) -> bool {
    let is_match = |one: &String| glob(one).is_ok_and(|glob| glob.is_match(text));
    globs.is_empty() || globs.iter().any(is_match)
}
