//! Checks a tree, in two steps: each value against its shape (`walk`), then what
//! several values mean together (`meaning`).
//! In: a tree. Out: the configuration with its warnings, or all errors at once.

mod circle;
mod clone;
mod format;
mod gates;
mod meaning;
mod releases;
pub(crate) mod shape;
pub(crate) mod walk;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use walk::absolute;

pub use clone::{CloneUrlError, check_clone_url};

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::Config;
use crate::tree::{At, Tree};

/// Checks the tree.
pub(crate) fn check(mut tree: Tree) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    let value = walk::walk(&mut tree);
    meaning::errors(&mut tree);
    if tree
        .found
        .iter()
        .all(|(_, found)| found.severity != Severity::Error)
    {
        match serde_json::from_value::<Config>(value) {
            Ok(config) => {
                meaning::warnings(&mut tree, &config);
                return Ok((config, sorted(tree)));
            }
            // Reached only where shape and types disagree, which a property test
            // looks for; better a message without a place than a panic.
            Err(error) => tree.error(At::START, "", error.to_string()),
        }
    }
    Err(sorted(tree))
}

/// The findings in the order of the files. In a broken file only what TOML says
/// counts: the rest would be about text that was guessed.
pub(crate) fn sorted(tree: Tree) -> Vec<Diagnostic> {
    let broken = tree.broken;
    let mut found = tree.found;
    found.retain(|(at, found)| !broken.contains(&at.source) || found.key.is_empty());
    found.sort_by(|(a, x), (b, y)| (a, &x.key, &x.message).cmp(&(b, &y.key, &y.message)));
    found.dedup();
    found.into_iter().map(|(_, found)| found).collect()
}

/// The names in a table of the tree (or its default, for none), by its path.
fn names(tree: &Tree, path: &str) -> BTreeSet<String> {
    tree.root
        .entries(path)
        .map(|(name, _)| name.clone())
        .collect()
}

/// Puts `value` under `key`.
fn put(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(map) = object {
        map.insert(key.to_owned(), value);
    }
}
