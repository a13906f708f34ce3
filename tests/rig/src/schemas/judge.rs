//! Judges events by their schemas.
//!
//! In: structured CloudEvents. Out: what is wrong with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ferry_events::Kind;
use jsonschema::{Draft, Validator};
use serde_json::Value;

use super::{event, event_file};

/// So many faults of one event are shown.
const FAULTS_MAX: usize = 5;

/// The schemas of all kinds, ready to judge.
pub struct EventSchemas {
    by_type: BTreeMap<String, Validator>,
}

impl EventSchemas {
    /// As the Rust types are now.
    ///
    /// # Errors
    /// When one is no schema.
    pub fn of_types() -> Result<Self> {
        Self::of(|kind| Ok(event::schema(kind)))
    }

    /// As the files below `schemas` say.
    ///
    /// # Errors
    /// When a file is missing, or no schema.
    pub fn of_folder(schemas: &Path) -> Result<Self> {
        Self::of(|kind| {
            let path = schemas.join(event_file(kind));
            let text =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(serde_json::from_slice(&text)?)
        })
    }

    fn of(schema: impl Fn(Kind) -> Result<Value>) -> Result<Self> {
        let mut by_type = BTreeMap::new();
        for kind in Kind::ALL {
            let validator = jsonschema::options()
                .with_draft(Draft::Draft202012)
                .should_validate_formats(true)
                .build(&schema(*kind)?)
                .map_err(|error| {
                    anyhow::anyhow!("the schema of {} is none: {error}", kind.short_name())
                })?;
            by_type.insert(kind.type_name(), validator);
        }
        Ok(Self { by_type })
    }

    /// Judges a structured CloudEvent by the schema of its type.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(&self, event: &Value) -> Result<()> {
        let Some(kind) = event["type"].as_str() else {
            bail!("an event without a type");
        };
        let Some(schema) = self.by_type.get(kind) else {
            bail!("no schema for {kind}");
        };
        let faults: Vec<String> = schema
            .iter_errors(event)
            .take(FAULTS_MAX)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        bail!(
            "{kind} {} breaks its schema:\n{}",
            event["id"],
            faults.join("\n")
        )
    }
}
