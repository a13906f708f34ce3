//! What a build adds to the one before it. Goes in: the report of the version
//! before, and of this one. Comes out: [`Growth`]: how many bytes, and which
//! libraries they come from. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Report;

/// What is read of an earlier report: another Ferry may have written it, so
/// whatever else stands there is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Past {
    name: String,
    version: String,
    bytes_after: u64,
    kept: Vec<Carried>,
}

/// A library that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The entry.
    pub entry: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The version, where the jar tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// A library that both carry, in other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The entry now.
    pub entry: String,
    /// The version before, where the jar told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// How many bytes it has more; fewer where it is negative.
    pub bytes: i64,
}

/// The difference to an earlier version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// The earlier `Ark-Biz-Version`.
    pub version: String,
    /// How many bytes the slimmed jar has more; fewer where it is negative.
    pub bytes: i64,
    /// Libraries that it did not carry, the largest first.
    pub new: Vec<Carried>,
    /// Libraries that it does not carry any more, the largest first.
    pub gone: Vec<Carried>,
    /// Libraries of another version or size, what grew most first.
    pub changed: Vec<Changed>,
}

impl Past {
    /// Reads an earlier report; none where it is no report.
    #[must_use]
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The name of the module that it tells of.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Growth {
    /// From an earlier version to the one of this report.
    #[must_use]
    pub fn of(past: &Past, report: &Report) -> Self {
        let now: Vec<Carried> = report
            .kept
            .iter()
            .map(|one| Carried {
                entry: one.entry.clone(),
                bytes: one.bytes,
                version: one.version.clone(),
            })
            .collect();
        let by_stem = |list: &[Carried]| -> BTreeMap<String, Carried> {
            list.iter().map(|one| (stem(one), one.clone())).collect()
        };
        let (mut old, mut new, mut changed) = (by_stem(&past.kept), Vec::new(), Vec::new());
        for (stem, one) in by_stem(&now) {
            match old.remove(&stem) {
                None => new.push(one),
                Some(was) if was != one => changed.push(Changed {
                    bytes: difference(was.bytes, one.bytes),
                    entry: one.entry,
                    was: was.version,
                }),
                Some(_) => {}
            }
        }
        let mut gone: Vec<Carried> = old.into_values().collect();
        let largest = |list: &mut Vec<Carried>| {
            list.sort_by(|one, other| (other.bytes, &one.entry).cmp(&(one.bytes, &other.entry)));
        };
        largest(&mut new);
        largest(&mut gone);
        changed.sort_by(|one, other| (other.bytes, &one.entry).cmp(&(one.bytes, &other.entry)));
        Self {
            version: past.version.clone(),
            bytes: difference(past.bytes_after, report.bytes_after),
            new,
            gone,
            changed,
        }
    }
}

/// An entry without its version: the same library in any.
fn stem(one: &Carried) -> String {
    match &one.version {
        Some(version) => one.entry.replacen(&format!("-{version}"), "", 1),
        None => one.entry.clone(),
    }
}

fn difference(before: u64, after: u64) -> i64 {
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    signed(after) - signed(before)
}
