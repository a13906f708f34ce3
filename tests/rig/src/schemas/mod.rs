//! The files of `schemas/` and the generated pages of `docs/`, made from the Rust
//! types, and events judged by them.
//!
//! In: the types of events, commands, API and configuration. Out: the text of
//! each file; where a folder differs from it; whether an event keeps its schema.

mod api;
mod bus;
mod content;
mod event;
mod judge;
mod pages;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ferry_events::{Command, Kind};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

pub use judge::EventSchemas;
pub use pages::pages;

use crate::digest;

/// The command that writes the files.
pub const COMMAND: &str = "cargo xtask schemas";

/// Every file by its path below `schemas/`.
pub fn files() -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, Value> = Kind::ALL
        .iter()
        .map(|kind| (event_file(*kind), event::schema(*kind)))
        .collect();
    files.insert("commands.json".to_owned(), command());
    files.insert("ferry.toml.json".to_owned(), ferry_config::schema());
    let module_file = ferry_config::module_file_schema();
    files.insert("module.ferry.toml.json".to_owned(), module_file);
    files.insert("asyncapi.json".to_owned(), bus::asyncapi());
    files.insert("openapi.json".to_owned(), api::openapi());
    files
        .into_iter()
        .map(|(path, schema)| (path, text(schema)))
        .collect()
}

/// The file of an event's schema, below `schemas/`.
fn event_file(kind: Kind) -> String {
    format!("events/{}.json", kind.short_name())
}

/// What goes over `ferry.commands.>`.
fn command() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Command>()
        .to_value();
    schema["title"] = json!("command");
    schema
}

/// Every generated file by its path below the workspace: schemas and pages.
fn generated() -> BTreeMap<String, String> {
    let schemas = files()
        .into_iter()
        .map(|(path, text)| (format!("schemas/{path}"), text));
    let pages = pages()
        .into_iter()
        .map(|(path, text)| (format!("docs/{path}"), text));
    schemas.chain(pages).collect()
}

/// The names of the files below `root` that are missing, differ, or belong to no
/// type any more.
///
/// # Errors
/// When the folder cannot be read.
pub fn differing(root: &Path) -> Result<Vec<String>> {
    let wanted = generated();
    let mut differing: Vec<String> = stray(&root.join("schemas"), &wanted)?;
    for (path, text) in &wanted {
        let found = fs::read_to_string(root.join(path)).unwrap_or_default();
        if found != *text {
            differing.push(path.clone());
        }
    }
    differing.sort();
    Ok(differing)
}

/// Writes every file, and removes those that belong to no type any more. Returns
/// the names of those that it changed.
///
/// # Errors
/// When a file cannot be written.
pub fn write(root: &Path) -> Result<Vec<String>> {
    let changed = differing(root)?;
    let wanted = generated();
    for path in &changed {
        let file = root.join(path);
        match wanted.get(path) {
            Some(text) => {
                if let Some(parent) = file.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&file, text)
            }
            None => fs::remove_file(&file),
        }
        .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(changed)
}

fn stray(folder: &Path, wanted: &BTreeMap<String, String>) -> Result<Vec<String>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let there = digest::files(folder)?;
    let there = there.into_keys().map(|path| format!("schemas/{path}"));
    let generated = |path: &String| path.ends_with(".json") && !wanted.contains_key(path);
    Ok(there.filter(generated).collect())
}

/// Sorted keys, so that no feature of a JSON library decides their order.
fn text(schema: Value) -> String {
    let pretty = serde_json::to_string_pretty(&sorted(schema)).expect("a schema is always JSON");
    pretty + "\n"
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields
                .into_iter()
                .map(|(name, field)| (name, sorted(field)))
                .collect();
            fields.into_iter().collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
