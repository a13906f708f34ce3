//! Reduces libraries that are partly used to the classes that are reached. Goes
//! in: the jar, which of its libraries stay. Comes out: the reduced ones, and
//! why the others are not.
//!
//! A class is reached where its name stands anywhere in one that is: in a
//! reference, a descriptor, a signature, an annotation or a text. The module's
//! own classes are, those of libraries that are not shaken, and what a file
//! that is no class names. What is put together of pieces at run time is not
//! seen; so a library that is found by more than its classes' names stays
//! whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Seek};

use ferry_link::{mentions, names};
use serde::{Deserialize, Serialize};

use crate::SlimError;
use crate::archive::Archive;
use crate::classes::MAX_CLASS;
use crate::inspect::is_library;
use crate::library::{Library, class_name};
use crate::limits::Budget;
use crate::rewrite::{Failed, rewrite};

/// A library that was reduced, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shaken {
    /// The entry.
    pub entry: String,
    /// Its classes.
    pub classes: usize,
    /// How many of them it keeps.
    pub reached: usize,
    /// How many bytes it became smaller by.
    pub saved: u64,
    /// Why it stays whole; none where it was reduced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<String>,
}

impl std::fmt::Display for Shaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.whole {
            Some(why) => write!(f, "{} stays whole: {why}", self.entry),
            None => write!(
                f,
                "{} keeps {} of its {} classes",
                self.entry, self.reached, self.classes
            ),
        }
    }
}

/// Entries that take another's place, by name.
pub(crate) type Instead = BTreeMap<String, Vec<u8>>;

/// A file that is no class is looked through for names up to this size; a
/// larger one is no configuration.
const MAX_TEXT: u64 = 1 << 20;

/// Reduces what may be.
pub(crate) fn shake<R: Read + Seek>(
    archive: &mut Archive<R>,
    libraries: &[Library],
    stays: &dyn Fn(&str) -> bool,
    budget: &mut Budget,
) -> Result<(Instead, Vec<Shaken>), SlimError> {
    let mut told = Vec::new();
    let mut may: BTreeSet<String> = BTreeSet::new();
    for library in libraries {
        let entry = crate::decide::entry(library);
        if !stays(&entry) || library.classes.is_empty() {
            continue;
        }
        let by_name = library
            .resources
            .first()
            .map(|name| format!("it has {name}, by which frameworks find its classes"));
        let family = library
            .family()
            .map(|family| format!("{} makes its classes by their names", family.name()));
        match by_name.or(family) {
            None => {
                may.insert(entry);
            }
            Some(why) => told.push(whole(library, &entry, why)),
        }
    }
    let mut graph = Graph::default();
    graph.read(archive, None, budget)?;
    for index in 0..archive.entries.len() {
        let entry = archive.entries[index].name.clone();
        if !is_library(&entry) || !stays(&entry) {
            continue;
        }
        let Some(mut jar) = archive.nested(index, budget)? else {
            continue;
        };
        let signed = jar
            .entries
            .iter()
            .any(|one| one.name.starts_with("META-INF/") && one.name.ends_with(".SF"));
        if signed && may.remove(&entry) {
            let library = libraries
                .iter()
                .find(|one| crate::decide::entry(one) == entry);
            let why = "it is signed, and its signature would be broken".to_owned();
            told.extend(library.map(|library| whole(library, &entry, why)));
        }
        graph.read(
            &mut jar,
            may.contains(&entry).then_some(entry.as_str()),
            budget,
        )?;
    }
    let reached = graph.reached();
    let mut instead = Instead::new();
    for index in 0..archive.entries.len() {
        let entry = archive.entries[index].name.clone();
        if !may.contains(&entry) {
            continue;
        }
        let Some(mut jar) = archive.nested(index, budget)? else {
            continue;
        };
        let needed = |name: &str| class_name(name).is_none_or(|class| reached.contains(&class));
        let classes: BTreeSet<String> = jar
            .entries
            .iter()
            .filter_map(|it| class_name(&it.name))
            .collect();
        let kept = classes
            .iter()
            .filter(|class| reached.contains(*class))
            .count();
        if kept == classes.len() {
            continue;
        }
        let before = archive.entries[index].size;
        let manifest = match jar.position(ferry_ark::MANIFEST_PATH) {
            Some(at) => jar.read_small(at, MAX_TEXT, budget)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let bytes = rewrite(
            &mut jar,
            &needed,
            &manifest,
            &Instead::new(),
            Cursor::new(Vec::new()),
        )
        .map_err(|failed| match failed {
            Failed::Reading(error) => error,
            Failed::Writing(source) => SlimError::Spool {
                entry: entry.clone(),
                source,
            },
        })?
        .into_inner();
        told.push(Shaken {
            entry: entry.clone(),
            classes: classes.len(),
            reached: kept,
            saved: before.saturating_sub(bytes.len() as u64),
            whole: None,
        });
        instead.insert(entry, bytes);
    }
    told.sort_by(|one, other| one.entry.cmp(&other.entry));
    Ok((instead, told))
}

fn whole(library: &Library, entry: &str, why: String) -> Shaken {
    let classes = library.class_names().count();
    Shaken {
        entry: entry.to_owned(),
        classes,
        reached: classes,
        saved: 0,
        whole: Some(why),
    }
}

/// Who mentions whom.
#[derive(Default)]
struct Graph {
    /// Of classes that may go: every name in them.
    leads: BTreeMap<String, BTreeSet<String>>,
    /// Names in all that stays.
    roots: BTreeSet<String>,
}

impl Graph {
    /// Reads an archive: one whose classes may go, or one that stays.
    fn read<R: Read + Seek>(
        &mut self,
        jar: &mut Archive<R>,
        may_go: Option<&str>,
        budget: &mut Budget,
    ) -> Result<(), SlimError> {
        for index in 0..jar.entries.len() {
            let name = jar.entries[index].name.clone();
            let class = class_name(&name);
            let most = if class.is_some() { MAX_CLASS } else { MAX_TEXT };
            if name.ends_with(".jar") || (class.is_none() && name.ends_with('/')) {
                continue;
            }
            let Some(bytes) = jar.read_small(index, most, budget)? else {
                continue;
            };
            let into = match (&class, may_go) {
                (Some(class), Some(_)) => self.leads.entry(class.clone()).or_default(),
                _ => &mut self.roots,
            };
            let mut put = |name: &str| {
                // A name without a package is too short to tell.
                if name.contains('/') && !into.contains(name) {
                    into.insert(name.to_owned());
                }
            };
            match class.is_some() || name.ends_with(".class") {
                true => mentions(&bytes, &mut put),
                false => names(&String::from_utf8_lossy(&bytes), &mut put),
            }
        }
        Ok(())
    }

    fn reached(&self) -> BTreeSet<String> {
        let mut open: Vec<&String> = self.roots.iter().collect();
        // Those without a package always stay, and what they mention.
        open.extend(self.leads.keys().filter(|name| !name.contains('/')));
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop() {
            if let Some(more) = self.leads.get(name)
                && reached.insert(name.clone())
            {
                open.extend(more);
            }
        }
        reached
    }
}
