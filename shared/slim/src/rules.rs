//! The rules by which a project slims for itself: its `conf/ark/rules.txt` and
//! `conf/ark/bootstrap.properties` or `.yml`. Goes in: their texts. Comes out:
//! [`Rules`], which tell of a library what its project wants, and what is
//! wrong with them. Pure.
//!
//! Maven's plugin has taken out by them already what it knew of; here they are
//! held against what the base really has.

mod read;

use std::io::Read as _;
use std::path::Path;

use ferry_events::artifact::RulesFile;
use serde::{Deserialize, Serialize};

use crate::library::Library;
use crate::{SlimError, io_error};

/// The files that are looked for below [`FOLDER`].
pub const NAMES: [&str; 4] = [
    "rules.txt",
    "bootstrap.properties",
    "bootstrap.yml",
    "bootstrap.yaml",
];
/// Where they lie below a project's folder, and in a jar.
pub const FOLDER: &str = "conf/ark";
/// The largest file that is read, in bytes: some hundred rules.
pub const MAX: u64 = 32 << 10;

/// Reads a file, or those of a folder: of its `conf/ark/`, else of itself.
///
/// # Errors
/// [`SlimError::Io`] where there is no such file, or a folder holds none.
pub fn load(path: &Path) -> Result<Vec<RulesFile>, SlimError> {
    if !path.is_dir() {
        return Ok(vec![file(path)?]);
    }
    for folder in [path.join(FOLDER), path.to_owned()] {
        let files: Vec<RulesFile> = NAMES
            .iter()
            .map(|name| folder.join(name))
            .filter(|path| path.is_file())
            .map(|path| file(&path))
            .collect::<Result<_, _>>()?;
        if !files.is_empty() {
            return Ok(files);
        }
    }
    let none = format!("it holds none of {}", NAMES.join(", "));
    let source = std::io::Error::new(std::io::ErrorKind::NotFound, none);
    Err(io_error("read the rules of", path, source))
}

fn file(path: &Path) -> Result<RulesFile, SlimError> {
    let reading = |source| io_error("read", path, source);
    let file = std::fs::File::open(path).map_err(reading)?;
    let mut bytes = Vec::new();
    file.take(MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(reading)?;
    let small = bytes.len() as u64 <= MAX;
    Ok(RulesFile {
        name: path.display().to_string(),
        text: String::from_utf8(bytes).ok().filter(|_| small),
    })
}

/// A rule, and what it got wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleTold {
    /// The rule, such as `excludes = acme:money`.
    pub rule: String,
    /// Where it stands, such as `conf/ark/rules.txt:3`.
    pub place: String,
    /// What is wrong, and what was done about it.
    pub what: String,
}

impl std::fmt::Display for RuleTold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule, self.what)
    }
}

/// What a project wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The names of the files.
    files: Vec<String>,
    /// Leave to the base, in the order of the files.
    pub(crate) excludes: Vec<Rule>,
    /// Carry, whatever the base has.
    pub(crate) includes: Vec<Rule>,
    /// Declare, although nothing of it was left out.
    pub(crate) whitelist: Vec<Rule>,
    /// `excludeWithIndirectDependencies`.
    pub(crate) indirect: bool,
    /// `buildFailWhenExcludeDiffBaseDependency`, where it is true.
    pub(crate) same_only: Option<Rule>,
    /// `excludeSameBaseDependency`, where it is false.
    pub(crate) keep_same: Option<Rule>,
    /// What is wrong with the texts themselves.
    pub(crate) wrong: Vec<RuleTold>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            excludes: Vec::new(),
            includes: Vec::new(),
            whitelist: Vec::new(),
            indirect: true,
            same_only: None,
            keep_same: None,
            wrong: Vec::new(),
        }
    }
}

/// One value of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    key: &'static str,
    value: String,
    place: String,
    by: By,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// `G:A[:V[:classifier]]`.
    Coordinates(Vec<String>),
    /// A groupId, with `*` at its end for all that begin so.
    Group(String),
    /// An artifactId, with `*` at its end for all that begin so.
    Artifact(String),
    /// No library.
    Nothing,
}

impl Rule {
    /// As it is written.
    pub(crate) fn text(&self) -> String {
        format!("{} = {}", self.key, self.value)
    }

    /// As it is written, and where.
    pub(crate) fn named(&self) -> String {
        format!("{} in {}", self.text(), self.place)
    }

    pub(crate) fn told(&self, what: impl Into<String>) -> RuleTold {
        RuleTold {
            rule: self.text(),
            place: self.place.clone(),
            what: what.into(),
        }
    }

    /// The artifactId that it names.
    pub(crate) fn artifact(&self) -> &str {
        match &self.by {
            By::Coordinates(parts) => parts.get(1).or(parts.first()).map_or("", String::as_str),
            By::Group(name) | By::Artifact(name) => name,
            By::Nothing => "",
        }
    }

    /// Whether it is about this library.
    pub(crate) fn matches(&self, library: &Library) -> bool {
        match &self.by {
            By::Coordinates(parts) => {
                let part = |at: usize| parts.get(at).map(String::as_str);
                let same = |at: usize, of: &Option<String>| match part(at) {
                    None | Some("*" | "") => true,
                    Some(wanted) => of.as_deref().is_some_and(|of| fits(wanted, of)),
                };
                part(0).is_none_or(|group| in_group(group, library))
                    && same(1, &library.artifact)
                    && same(2, &library.version)
                    && same(3, &library.classifier)
            }
            By::Group(group) => in_group(group, library),
            By::Artifact(artifact) => {
                let of = library.artifact.as_deref();
                of.is_some_and(|of| fits(artifact, of))
            }
            By::Nothing => false,
        }
    }
}

impl Rules {
    /// Reads the files of one project. What cannot be read is told, and does
    /// not stop the rest.
    #[must_use]
    pub fn read(files: &[RulesFile]) -> Self {
        let names = files.iter().map(|file| file.name.clone());
        Self {
            files: names.collect(),
            ..read::read(files)
        }
    }

    /// These, and behind them those of further files. A file of a name that is
    /// known already is the same file.
    #[must_use]
    pub(crate) fn and(self, files: &[RulesFile]) -> Self {
        let known = |file: &&RulesFile| !self.files.iter().any(|name| name.ends_with(&file.name));
        let new: Vec<RulesFile> = files.iter().filter(known).cloned().collect();
        if new.is_empty() {
            return self;
        }
        let more = Self::read(&new);
        let both = |mut one: Vec<Rule>, other: Vec<Rule>| {
            one.extend(other);
            one
        };
        Self {
            files: self.files.into_iter().chain(more.files).collect(),
            excludes: both(self.excludes, more.excludes),
            includes: both(self.includes, more.includes),
            whitelist: both(self.whitelist, more.whitelist),
            indirect: self.indirect && more.indirect,
            same_only: self.same_only.or(more.same_only),
            keep_same: self.keep_same.or(more.keep_same),
            wrong: self.wrong.into_iter().chain(more.wrong).collect(),
        }
    }

    /// The first rule that leaves a library to the base.
    pub(crate) fn exclude(&self, library: &Library) -> Option<&Rule> {
        self.excludes.iter().find(|rule| rule.matches(library))
    }

    /// The first rule that has the module carry a library.
    pub(crate) fn include(&self, library: &Library) -> Option<&Rule> {
        self.includes.iter().find(|rule| rule.matches(library))
    }
}

/// Whether a name is the wanted one, or begins as the wanted one does before
/// its `*`.
fn fits(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == wanted,
    }
}

/// Many jars, Spring's among them, do not tell their groupId. Then it is read
/// off the packages: all of its classes must lie below the group's.
fn in_group(wanted: &str, library: &Library) -> bool {
    if let Some(group) = &library.group {
        return fits(wanted, group);
    }
    let start = wanted.trim_end_matches('*').trim_end_matches('.');
    let start = start.replace('.', "/");
    let below = |package: &String| {
        package
            .strip_prefix(start.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || wanted.ends_with('*'))
    };
    !start.is_empty() && !library.classes.is_empty() && library.classes.keys().all(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_whole_or_by_their_beginning() {
        assert!(fits("guava", "guava") && !fits("guava", "guava-testlib"));
        assert!(fits("guava*", "guava-testlib") && fits("*", "x"));
    }
}
