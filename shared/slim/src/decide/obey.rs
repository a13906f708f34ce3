//! The project's own rules, held against what the base has. Goes in: a library
//! as it was decided on, the rules. Comes out: the library as the rules want
//! it, and what they got wrong.

use crate::family::{Family, Tie};
use crate::library::Library;
use crate::profile::BaseProfile;
use crate::rules::{RuleTold, Rules};

use super::base::Base;
use super::{Candidate, Mode, Wanted, Why, entry};

/// Puts a library where the rules, or a proof, want it. Says whether what
/// stands against the library's version is settled by that.
pub(super) fn obey<'a>(
    one: &mut Candidate<'a>,
    base: &Base<'a>,
    on_base_spring: bool,
    wanted: &Wanted,
    told: &mut Vec<RuleTold>,
) -> bool {
    let rules = &wanted.rules;
    let entry = entry(one.library);
    let tied = one.family.filter(|family| {
        let crossing = on_base_spring || matches!(family, Family::Spring | Family::Ark);
        crossing && family.tie() == Tie::Base
    });
    let same = matches!(one.why, Why::SameBytes { .. } | Why::SameVersion { .. });
    let kept_by = rules.include(one.library).or_else(|| {
        let all = rules.keep_same.as_ref();
        all.filter(|_| same && tied.is_none() && rules.exclude(one.library).is_none())
    });
    if let Some(rule) = kept_by {
        if one.out && one.why != Why::Empty {
            match tied {
                Some(family) => told.push(rule.told(format!(
                    "it is not obeyed: {entry} is of {}, of which only the base's works",
                    family.name()
                ))),
                None => {
                    if let Some(family) = one.family.filter(|_| on_base_spring) {
                        told.push(rule.told(format!(
                            "it is obeyed, with the whole family: the base's Spring does not see the module's own {} types",
                            family.name()
                        )));
                    }
                    one.keep(Why::Included { rule: rule.named() });
                }
            }
        }
        return false;
    }
    if let Some(rule) = rules.exclude(one.library) {
        if !one.out {
            let twin = base.twin(one.library);
            one.out = true;
            one.provided_by = twin.into_iter().collect();
            one.why = Why::Excluded {
                rule: rule.named(),
                base: twin.map(version),
            };
            return true;
        }
        return false;
    }
    if let Some(of) = wanted.indirect.get(&entry).filter(|_| !one.out) {
        one.out = true;
        one.provided_by = base.twin(one.library).into_iter().collect();
        one.why = Why::Indirect { of: of.clone() };
        return true;
    }
    let other = matches!(one.why, Why::OtherVersion { .. } | Why::OtherBuild { .. });
    if let Some(twin) = base.twin(one.library)
        && other
        && wanted.compatible.contains(&entry)
    {
        one.out = true;
        one.provided_by = vec![twin];
        one.why = Why::Compatible {
            base: version(twin),
        };
    }
    false
}

fn version(of: &Library) -> String {
    let unknown = || "of unknown version".to_owned();
    of.version.clone().unwrap_or_else(unknown)
}

/// A library that must stay with its family, although a rule leaves it out; or
/// one that a rule keeps, and its family with it.
pub(super) fn split(
    one: &Candidate<'_>,
    family: Family,
    because: &str,
    rules: &Rules,
    told: &mut Vec<RuleTold>,
) {
    if let Some(rule) = rules.exclude(one.library) {
        told.push(rule.told(format!(
            "it is not obeyed: {} would part from {because}, and {} is never split between the module and the base",
            entry(one.library),
            family.name()
        )));
    }
}

/// What the rules leave out although its resources are then out of reach.
pub(super) fn out_of_reach(candidates: &[Candidate<'_>], rules: &Rules, told: &mut Vec<RuleTold>) {
    for one in candidates
        .iter()
        .filter(|one| one.out && one.family != Some(Family::Ark))
    {
        let resource = one.library.resources.first();
        if let (Some(resource), Some(rule)) = (resource, rules.exclude(one.library)) {
            told.push(rule.told(format!(
                "{} is left out, and its {resource} is out of reach, as the manifest declares no libraries",
                entry(one.library)
            )));
        }
    }
}

/// Rules that are about nothing that there is. What the base has was left out
/// by the build already.
pub(super) fn unmatched(
    rules: &Rules,
    libraries: &[Library],
    profile: &BaseProfile,
    told: &mut Vec<RuleTold>,
) {
    for rule in &rules.excludes {
        let mut all = libraries.iter().chain(&profile.libraries);
        if !all.any(|one| rule.matches(one)) {
            told.push(rule.told(
                "it matches nothing: neither the module carries such a library nor the base; if the build left one out by it, nobody has it",
            ));
        }
    }
    for rule in &rules.includes {
        if !libraries.iter().any(|one| rule.matches(one)) {
            told.push(rule.told("it matches nothing: the module carries no such library"));
        }
    }
}

/// What `declared.libraries.whitelist` adds to what is declared.
pub(super) fn whitelist<'a>(
    rules: &'a Rules,
    base: &Base<'_>,
    mode: Mode,
    told: &mut Vec<RuleTold>,
) -> Vec<&'a str> {
    let mut ids = Vec::new();
    for rule in &rules.whitelist {
        let id = rule.artifact();
        if mode == Mode::Undeclared {
            told.push(rule.told(
                "it is not obeyed: the manifest declares no libraries, and one alone would put all others of the base out of reach",
            ));
        } else if base.declares(id) {
            ids.push(id);
        } else {
            told.push(rule.told(format!(
                "the base has no library that is declared as {id:?}"
            )));
        }
    }
    ids
}
