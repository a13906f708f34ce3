//! What changed between two builds of a base, as modules feel it. Goes in: two
//! profiles. Comes out: [`Diff`]: libraries that came, went or moved, and the
//! classes and members that nobody can link to any more.

use std::collections::{BTreeMap, BTreeSet};

use ferry_link::{Shape, Shapes};
use serde::{Deserialize, Serialize};

use crate::library::Library;
use crate::profile::BaseProfile;

/// The way from one build of a base to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Digests of both profiles.
    pub digests: [String; 2],
    /// Libraries that are not the same bytes, by artifact or file.
    pub libraries: Vec<LibraryChange>,
    /// Whether the base's own classes changed.
    pub own_changed: bool,
    /// The Java of both, where they tell.
    pub java: [Option<String>; 2],
    /// Classes that are gone, with slashes.
    pub classes_gone: Vec<String>,
    /// Members that are gone from classes that are still there, as
    /// `a/B.name(I)V` or `a/B.name I`: public and protected ones.
    pub members_gone: Vec<String>,
    /// How many classes came.
    pub classes_new: usize,
    /// How many public and protected members came to classes that were there.
    pub members_new: usize,
    /// How many classes have other bytes and the same members.
    pub classes_rebuilt: usize,
}

/// A library that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryChange {
    /// Its artifactId, else its file.
    pub library: String,
    /// The file before; none: it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// The file after; none: it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Diff {
    /// Compares two profiles.
    #[must_use]
    pub fn of(before: &BaseProfile, after: &BaseProfile) -> Self {
        let mut diff = Self {
            digests: [before.digest(), after.digest()],
            libraries: libraries(&before.libraries, &after.libraries),
            own_changed: before.own != after.own,
            java: [before, after].map(|it| it.java.as_ref().map(|java| java.0.version.clone())),
            classes_gone: Vec::new(),
            members_gone: Vec::new(),
            classes_new: 0,
            members_new: 0,
            classes_rebuilt: 0,
        };
        for class in before.classes.iter() {
            match after.classes.get(class.name()) {
                None => diff.classes_gone.push(class.name().to_owned()),
                Some(now) if now.print() == class.print() => {}
                Some(now) => diff.class(class, now),
            }
        }
        diff.classes_new = news(&before.classes, &after.classes);
        diff
    }

    fn class(&mut self, before: Shape<'_>, after: Shape<'_>) {
        let (had, has) = (members(before), members(after));
        let gone = had.difference(&has);
        let gone: Vec<String> = gone.cloned().collect();
        let new = has.difference(&had).count();
        if gone.is_empty() && new == 0 {
            self.classes_rebuilt += 1;
        }
        self.members_gone.extend(gone);
        self.members_new += new;
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.libraries.is_empty() && !self.own_changed && self.java[0] == self.java[1]
    }
}

fn news(before: &Shapes, after: &Shapes) -> usize {
    let is_new = |class: &Shape<'_>| before.get(class.name()).is_none();
    after.iter().filter(is_new).count()
}

/// What others can link to: static and other members are two things.
fn members(class: Shape<'_>) -> BTreeSet<String> {
    use ferry_link::access::{PROTECTED, PUBLIC, STATIC};
    let name = class.name();
    let kind = |access: u16| match access & STATIC {
        0 => "",
        _ => "static ",
    };
    let fields = class
        .fields()
        .filter(|(_, _, access)| access & (PUBLIC | PROTECTED) != 0)
        .map(|(field, of, access)| format!("{}{name}.{field} {of}", kind(access)));
    let methods = class
        .methods()
        .filter(|(_, _, access)| access & (PUBLIC | PROTECTED) != 0)
        .map(|(method, of, access)| format!("{}{name}.{method}{of}", kind(access)));
    fields.chain(methods).collect()
}

fn libraries(before: &[Library], after: &[Library]) -> Vec<LibraryChange> {
    let by_name = |list: &[Library]| -> BTreeMap<String, Library> {
        let name = |library: &Library| match (&library.artifact, &library.classifier) {
            (Some(artifact), None) => artifact.clone(),
            (Some(artifact), Some(classifier)) => format!("{artifact}:{classifier}"),
            (None, _) => library.file.clone(),
        };
        list.iter().map(|one| (name(one), one.clone())).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let mut changes = Vec::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(name), after.get(name));
        if was.map(|it| &it.sha256) != is.map(|it| &it.sha256) {
            changes.push(LibraryChange {
                library: name.clone(),
                before: was.map(|it| it.file.clone()),
                after: is.map(|it| it.file.clone()),
            });
        }
    }
    changes
}
