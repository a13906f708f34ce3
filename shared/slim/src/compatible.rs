//! For which libraries the base's other version serves. Goes in: a decision,
//! and a way to prove one. Comes out: the decision with all of them left out
//! that everything links without.
//!
//! All are left out at a time, and those that something does not link without
//! come back, until nothing is missing that was there before: what is kept
//! again may refer to others. Gaps count as faults do: a module that asks for
//! another version must not lose even what it may do without.

use std::collections::{BTreeMap, BTreeSet};

use ferry_link::{Fault, Finding, Verdict};

use crate::SlimError;
use crate::decide::{Decision, Why, entry};
use crate::family::Family;
use crate::library::Library;

/// Decides with these entries left to the base's other versions, and proves it.
pub(crate) type Try<'a> =
    &'a mut dyn FnMut(&BTreeSet<String>) -> Result<(Decision, Verdict), SlimError>;

/// Finds what serves; `decision` and `verdict` are those with all of it kept.
pub(crate) fn settle(
    libraries: &[Library],
    decision: Decision,
    verdict: Verdict,
    attempt: Try<'_>,
) -> Result<(Decision, Verdict), SlimError> {
    let mut open = groups(libraries, &decision);
    let first = verdict.clone();
    let known = weights(&first);
    let holders = holders(libraries);
    let mut because: BTreeMap<String, String> = BTreeMap::new();
    let (mut decision, mut verdict) = (decision, verdict);
    while !open.is_empty() {
        (decision, verdict) = attempt(&open.iter().flatten().cloned().collect())?;
        let found = verdict.faults.iter().chain(&verdict.gaps);
        let new: Vec<&Finding> = found.filter(|one| is_new(one, &known)).collect();
        if new.is_empty() {
            break;
        }
        let mut stays = BTreeSet::new();
        for one in &new {
            let held = one.fault.class().and_then(|class| holders.get(class));
            for (at, group) in open.iter().enumerate() {
                if held.is_some_and(|held| group.iter().any(|entry| held.contains(entry))) {
                    stays.insert(at);
                    for entry in group {
                        because
                            .entry(entry.clone())
                            .or_insert_with(|| one.to_string());
                    }
                }
            }
        }
        if stays.is_empty() {
            // It is nobody's class that was left out: all of them are to blame.
            for entry in open.iter().flatten() {
                because.insert(entry.clone(), new[0].to_string());
            }
            stays.extend(0..open.len());
        }
        let mut at = 0;
        open.retain(|_| {
            at += 1;
            !stays.contains(&(at - 1))
        });
        if open.is_empty() {
            (decision, verdict) = attempt(&BTreeSet::new())?;
        }
    }
    for choice in &mut decision.kept {
        if let (Some(because), Why::OtherVersion { base }) =
            (because.remove(&choice.entry), &choice.why)
        {
            choice.why = Why::NotCompatible {
                base: base.clone(),
                because,
            };
        }
    }
    Ok((decision, verdict))
}

/// What is kept for its version, in whole families.
fn groups(libraries: &[Library], decision: &Decision) -> Vec<BTreeSet<String>> {
    let family: BTreeMap<String, Option<Family>> = libraries
        .iter()
        .map(|library| (entry(library), library.family()))
        .collect();
    let mut groups: BTreeMap<(Option<Family>, &str), BTreeSet<String>> = BTreeMap::new();
    for choice in &decision.kept {
        if !matches!(
            choice.why,
            Why::OtherVersion { .. } | Why::OtherBuild { .. }
        ) {
            continue;
        }
        let key = match family.get(&choice.entry).copied().flatten() {
            Some(family) => (Some(family), ""),
            None => (None, choice.entry.as_str()),
        };
        groups.entry(key).or_default().insert(choice.entry.clone());
    }
    groups.into_values().collect()
}

/// Which entries hold each class.
fn holders(libraries: &[Library]) -> BTreeMap<String, BTreeSet<String>> {
    let mut holders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for library in libraries {
        for name in library.class_names() {
            holders.entry(name).or_default().insert(entry(library));
        }
    }
    holders
}

/// Each fault, and whether it refuses the module.
fn weights(verdict: &Verdict) -> BTreeMap<&Fault, bool> {
    let gaps = verdict.gaps.iter().map(|one| (&one.fault, false));
    gaps.chain(verdict.faults.iter().map(|one| (&one.fault, true)))
        .collect()
}

fn is_new(one: &Finding, known: &BTreeMap<&Fault, bool>) -> bool {
    let refuses = one.optional.is_none();
    known.get(&one.fault).is_none_or(|known| refuses && !known)
}
