//! Each value of a tree against its shape: unknown and missing keys, kinds,
//! ranges, formats, and references to names of other tables.
//! In: the tree. Out: the same as plain JSON (paths absolute, the bases of a
//! `bases_file` in their pool); what is wrong is left out and said.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::shape::{Shape, Text};
use super::{format, names, put};
use crate::diagnostic::{Severity, nearest};
use crate::model::{AMOUNT_MAX, Percent};
use crate::text::is_name;
use crate::tree::{At, Kind, Node, Tree, join};

/// A name that matches nothing is listed with the known ones; so many at most.
const NAMES_SHOWN: usize = 8;

/// Walks the whole tree.
pub(super) fn walk(tree: &mut Tree) -> Value {
    let known = KNOWN
        .map(|path| (path, names(tree, path)))
        .into_iter()
        .collect();
    let root = take_root(tree);
    let files = std::mem::take(&mut tree.bases_files);
    let mut walk = Walk { tree, known };
    let mut value = walk
        .node(&root, At::START, Shape::config(), "")
        .unwrap_or_default();
    for (pool, node) in &files {
        let read = walk.node(node, node.at, Shape::bases_file(), "");
        walk.add_bases(&mut value, pool, read);
    }
    tree.root = root;
    tree.bases_files = files;
    value
}

/// The root, out of the tree while findings are written into it; whoever takes it puts it back.
fn take_root(tree: &mut Tree) -> Node {
    let nothing = Node {
        at: At::START,
        kind: Kind::Boolean(false),
    };
    std::mem::replace(&mut tree.root, nothing)
}

/// Walks a module's own file. Of the keys in `without` nothing is said: they are another's.
pub(crate) fn walk_module_file(tree: &mut Tree, without: &[String]) -> Value {
    let mut root = take_root(tree);
    let mut others = Vec::new();
    if let Kind::Table(table) = &mut root.kind {
        others.extend(without.iter().filter_map(|key| table.remove_entry(key)));
    }
    let known = BTreeMap::new();
    let mut walk = Walk { tree, known };
    let value = walk.node(&root, At::START, Shape::module_file(), "");
    if let Kind::Table(table) = &mut root.kind {
        table.extend(others);
    }
    tree.root = root;
    value.unwrap_or_default()
}

/// The tables whose names are referred to.
const KNOWN: [&str; 7] = [
    "tokens",
    "repositories",
    "teams",
    "environments",
    "pools",
    "modules",
    "builder.jdks",
];

struct Walk<'a> {
    tree: &'a mut Tree,
    known: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Walk<'_> {
    /// `None` when the value cannot be used.
    fn node(&mut self, node: &Node, key_at: At, shape: &Shape, path: &str) -> Option<Value> {
        match (shape, &node.kind) {
            (Shape::Table { keys, required }, Kind::Table(_)) => {
                self.table(node, key_at, keys, required, path)
            }
            (Shape::Names(each), Kind::Table(entries)) => {
                let mut value = Map::new();
                for (name, entry) in entries {
                    let path = join(path, name);
                    if !is_name(name) {
                        self.tree
                            .error(entry.key_at, &path, format::not_a_name(name));
                        continue;
                    }
                    if let Some(one) = self.node(&entry.node, entry.key_at, each, &path) {
                        value.insert(name.clone(), one);
                    }
                }
                Some(Value::Object(value))
            }
            (Shape::List { each, least }, Kind::Array(items)) => {
                if (items.len() as u64) < *least {
                    let message = format!("needs at least {least}, has {}", items.len());
                    self.tree.error(node.at, path, message);
                    return None;
                }
                let items = items.iter().enumerate();
                let each = |(i, item): (usize, &Node)| {
                    self.node(item, item.at, each, &format!("{path}[{i}]"))
                };
                Some(items.filter_map(each).collect())
            }
            (Shape::Text(shape), Kind::Text(text)) => self.text(node.at, text, shape, path),
            (Shape::Choice(choices), Kind::Text(text)) => {
                if choices.contains(text) {
                    return Some(Value::from(text.as_str()));
                }
                let near = nearest(text, choices.iter().map(String::as_str));
                let message = format!("{text:?} is not one of: {}", choices.join(", "));
                self.tree.say(Severity::Error, node.at, path, message, near);
                None
            }
            (Shape::Number { least, most }, Kind::Integer(number)) => {
                if (least..=most).contains(&number) {
                    return Some(Value::from(*number));
                }
                let message = format!("{number} is out of range, must be from {least} to {most}");
                self.tree.error(node.at, path, message);
                None
            }
            (Shape::Amount, Kind::Integer(number)) => {
                let most = i64::from(AMOUNT_MAX);
                if (0..=most).contains(number) {
                    return Some(Value::from(*number));
                }
                let message = format!("{number} is out of range, must be from 0 to {most}");
                self.tree.error(node.at, path, message);
                None
            }
            (Shape::Amount, Kind::Text(text)) => match Percent::try_from(text.clone()) {
                Ok(percent) => Some(Value::from(String::from(percent))),
                Err(message) => {
                    self.tree.error(node.at, path, message);
                    None
                }
            },
            (Shape::Flag, Kind::Boolean(flag)) => Some(Value::from(*flag)),
            _ => {
                let message = format!("must be {}, is {}", format::expected(shape), node.what());
                // A table's place is its header, which the key knows best.
                let at = if node.table().is_some() {
                    key_at
                } else {
                    node.at
                };
                self.tree.error(at, path, message);
                None
            }
        }
    }

    fn table(
        &mut self,
        node: &Node,
        key_at: At,
        keys: &BTreeMap<String, Shape>,
        required: &BTreeSet<String>,
        path: &str,
    ) -> Option<Value> {
        let mut value = Map::new();
        let mut misspelt = BTreeSet::new();
        for (key, entry) in node.table().into_iter().flatten() {
            let path = join(path, key);
            if let Some(shape) = keys.get(key) {
                if let Some(one) = self.node(&entry.node, entry.key_at, shape, &path) {
                    value.insert(key.clone(), one);
                }
                continue;
            }
            let near = nearest(key, keys.keys().map(String::as_str));
            let message = match &near {
                Some(_) => "unknown key".to_owned(),
                None => format!(
                    "unknown key, here can be: {}",
                    list(keys.keys(), usize::MAX)
                ),
            };
            misspelt.extend(near.clone());
            self.tree
                .say(Severity::Error, entry.key_at, &path, message, near);
        }
        let mut whole = true;
        for key in required {
            whole &= value.contains_key(key);
            let present = node.get(key).is_some();
            // A key that is only misspelt is said once; and a file that TOML
            // could not read may hold what seems to be missing.
            if !present && !misspelt.contains(key) && self.tree.broken.is_empty() {
                self.tree
                    .error(key_at, &join(path, key), "is missing here, and required");
            }
        }
        whole.then_some(Value::Object(value))
    }

    fn text(&mut self, at: At, text: &str, shape: &Text, path: &str) -> Option<Value> {
        if let Some(table) = shape.names.as_deref() {
            return self.reference(at, text, table, path);
        }
        if shape.filled && text.is_empty() {
            self.tree.error(at, path, "must not be empty");
            return None;
        }
        let folder = self.tree.folder(at).to_owned();
        match format::check(text, shape, &folder) {
            Ok(text) => Some(Value::from(text)),
            Err(message) => {
                self.tree.error(at, path, message);
                None
            }
        }
    }

    fn reference(&mut self, at: At, text: &str, table: &str, path: &str) -> Option<Value> {
        let known = self
            .known
            .get(table)
            .expect("every x-names stands in KNOWN");
        if known.contains(text) {
            return Some(Value::from(text));
        }
        // The name may stand in what TOML could not read.
        if !self.tree.broken.is_empty() {
            return None;
        }
        let near = nearest(text, known.iter().map(String::as_str));
        let message = match (&near, known.is_empty()) {
            (Some(_), _) => format!("there is no {text:?} in {table}"),
            (None, true) => format!("there is no {text:?} in {table}, which has no entries"),
            (None, false) => {
                let known = list(known.iter(), NAMES_SHOWN);
                format!("there is no {text:?} in {table}, which has: {known}")
            }
        };
        self.tree.say(Severity::Error, at, path, message, near);
        None
    }

    fn add_bases(&mut self, value: &mut Value, pool: &str, read: Option<Value>) {
        let Some(Value::Array(more)) = read.and_then(|mut value| {
            value
                .as_object_mut()
                .and_then(|object| object.remove("bases"))
        }) else {
            return;
        };
        let Some(pool) = value.pointer_mut(&format!("/pools/{pool}")) else {
            return;
        };
        let mut bases = match pool.get("bases") {
            Some(Value::Array(bases)) => bases.clone(),
            _ => Vec::new(),
        };
        bases.extend(more);
        put(pool, "bases", Value::Array(bases));
    }
}

fn list<'a>(names: impl ExactSizeIterator<Item = &'a String>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let mut text = names
        .take(most)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// The path that a text means, absolute when its folder is.
pub(crate) fn absolute(folder: &std::path::Path, text: &str) -> PathBuf {
    folder.join(text).components().collect()
}
