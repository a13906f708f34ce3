//! Which nested jars a module carries and which it leaves to its base. Goes
//! in: the module's libraries, its `declared-libraries`, the base profile.
//! Comes out: [`Decision`], or the libraries that fit no base of this profile.
//! Pure.
//!
//! The rules, in order; what they rest on was observed on a real base:
//!
//! 1. Same bytes, or same coordinates and version → out. Other version, or not
//!    in the base → kept.
//! 2. A family ([`crate::family`]) is never split. Where the module runs on the
//!    base's Spring, a family whose types cross the border is the base's: out,
//!    also in another version that the base's serves. A version that it does
//!    not serve is refused (Spring, servlet, logging: the module would not
//!    start, or lose its filters), or kept whole and said (Jackson, ...: fine
//!    for use inside the module). Without Spring nothing crosses, and a family
//!    with one member that must stay stays whole.
//! 3. In declared mode a class or resource of the base is in reach only where
//!    its library is declared: so what is left out is declared, and nothing
//!    that was declared is ever dropped.
//! 4. Not in declared mode every class of the base is in reach, its own too,
//!    and no resource. A module that carries Spring can then start neither
//!    with it ("not assignable") nor without it ("No qualifying bean of type
//!    ServletWebServerFactory"); declared mode is the one way that works, so
//!    it is switched on, as Maven's `declaredMode` would have done. A module
//!    that carries no Spring may live on the base's own classes: declared mode
//!    would cut them off, so it stays off, and jars whose resources matter
//!    stay in.
//! 5. The project's own rules ([`crate::rules`]) are obeyed, but for what would
//!    split a family or take the base's Spring away.
//! 6. What was found to link against the base's version is out, where the
//!    module takes compatible versions; whole families only.

mod base;
mod obey;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::error::Conflict;
use crate::family::{Family, Tie, serves};
use crate::library::Library;
use crate::profile::BaseProfile;
use crate::rules::{RuleTold, Rules};

use base::Base;
pub use why::{Choice, Why};

/// Koupleless' API for modules. Modules have it in scope `provided`, so that it
/// is in no jar to take its name from when declared mode is switched on.
const MODULE_API: &[&str] = &["koupleless-app-starter", "koupleless-common"];

/// What becomes of a module's libraries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What the base provides, by entry.
    pub left_out: Vec<Choice>,
    /// What the module goes on carrying, by entry.
    pub kept: Vec<Choice>,
    /// `declared-libraries` as it must stand in the slimmed manifest.
    pub declared: Vec<String>,
    /// What the module's owner should know, a sentence each.
    pub notes: Vec<String>,
    /// What the project's own rules got wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleTold>,
}

/// What a module wants to be decided by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The project's own rules.
    pub rules: Rules,
    /// Entries for which the base's other version serves, as was proven.
    pub compatible: BTreeSet<String>,
    /// Entries that only what the rules leave out refers to, and which of that.
    pub indirect: BTreeMap<String, String>,
}

/// Whether, and how, the module reaches into the base.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Declared,
    SwitchedOn,
    Undeclared,
}

/// What is known of one library while it is decided on.
struct Candidate<'a> {
    library: &'a Library,
    family: Option<Family>,
    why: Why,
    /// Empty: kept, or out although the base has nothing of it.
    provided_by: Vec<&'a Library>,
    out: bool,
}

/// Decides on every library of a module.
///
/// # Errors
/// The libraries that must come from the base and that its versions do not serve.
pub fn decide(
    libraries: &[Library],
    declared: &[String],
    profile: Option<&BaseProfile>,
    wanted: &Wanted,
) -> Result<Decision, Vec<Conflict>> {
    let Some(profile) = profile else {
        return Ok(Decision {
            left_out: Vec::new(),
            kept: sorted(libraries.iter().map(|one| choice(one, Why::NoProfile))),
            declared: declared.to_vec(),
            notes: unprofiled(libraries),
            rules: Vec::new(),
        });
    };
    let base = Base::new(profile);
    let carries_spring = libraries
        .iter()
        .any(|one| one.family() == Some(Family::Spring) && base.twin(one).is_some());
    let on_base_spring = carries_spring || declared.iter().any(|id| base.is_spring(id));
    let mode = match (declared.is_empty(), carries_spring) {
        (false, _) => Mode::Declared,
        (true, true) => Mode::SwitchedOn,
        (true, false) => Mode::Undeclared,
    };

    let mut conflicts = Vec::new();
    let mut told = wanted.rules.wrong.clone();
    let mut candidates: Vec<Candidate<'_>> = libraries
        .iter()
        .map(|library| {
            let mut found = Vec::new();
            let mut one = alone(library, &base, on_base_spring, &mut found);
            if obey::obey(&mut one, &base, on_base_spring, wanted, &mut told) {
                found.clear();
            }
            conflicts.append(&mut found);
            one
        })
        .collect();
    if !conflicts.is_empty() {
        conflicts.sort_by(|one, other| one.entry.cmp(&other.entry));
        return Err(conflicts);
    }
    if mode == Mode::Undeclared {
        keep_resources(&mut candidates, &wanted.rules);
    }
    keep_families_whole(&mut candidates, &wanted.rules, &mut told);
    if mode == Mode::Undeclared {
        obey::out_of_reach(&candidates, &wanted.rules, &mut told);
    }
    obey::unmatched(&wanted.rules, libraries, profile, &mut told);
    let white = obey::whitelist(&wanted.rules, &base, mode, &mut told);

    let reach: BTreeSet<&str> = candidates
        .iter()
        .flat_map(|candidate| &candidate.provided_by)
        .filter_map(|library| library.declared_as.as_deref())
        .chain(white)
        .collect();
    let declared = match mode {
        Mode::Undeclared => Vec::new(),
        Mode::Declared => extended(declared, reach.into_iter()),
        Mode::SwitchedOn => {
            let api = MODULE_API.iter().filter(|id| base.declares(id)).copied();
            extended(
                &[],
                reach
                    .into_iter()
                    .chain(api)
                    .collect::<BTreeSet<_>>()
                    .into_iter(),
            )
        }
    };
    let notes = notes(&candidates, mode, on_base_spring);
    let (left_out, kept): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|one| one.out);
    let choices =
        |list: Vec<Candidate<'_>>| sorted(list.into_iter().map(|one| choice(one.library, one.why)));
    Ok(Decision {
        left_out: choices(left_out),
        kept: choices(kept),
        declared,
        notes,
        rules: told,
    })
}

/// What to know of a jar that is for a base of which nothing is known.
fn unprofiled(libraries: &[Library]) -> Vec<String> {
    let spring = libraries
        .iter()
        .find(|one| one.family() == Some(Family::Spring));
    let note = |one| {
        format!(
            "nothing is known of the base, so nothing was left out and nothing is proven. The module carries {}: a base that runs Spring itself will not start it; give the base's jar",
            entry(one)
        )
    };
    spring.map(note).into_iter().collect()
}

/// Rules 1 and 2, for one library by itself.
fn alone<'a>(
    library: &'a Library,
    base: &Base<'a>,
    on_base_spring: bool,
    conflicts: &mut Vec<Conflict>,
) -> Candidate<'a> {
    let family = library.family();
    let out = |why, provided_by| Candidate {
        library,
        family,
        why,
        provided_by,
        out: true,
    };
    let kept = |why| Candidate {
        library,
        family,
        why,
        provided_by: Vec::new(),
        out: false,
    };
    if let Some(same) = base.by_bytes.get(library.sha256.as_str()) {
        let base = same.file.clone();
        return out(Why::SameBytes { base }, vec![same]);
    }
    let twin = base.twin(library);
    if let Some(same) = twin.filter(|twin| library.same_version(twin)) {
        let base = same.file.clone();
        return out(Why::SameVersion { base }, vec![same]);
    }
    if library.empty {
        return out(Why::Empty, Vec::new());
    }
    // Spring and ark meet the base's in any module; the others only where the
    // base's Spring looks at what the module made of them.
    let crossing =
        family.filter(|family| on_base_spring || matches!(family, Family::Spring | Family::Ark));
    let version = |of: &Library| {
        of.version
            .clone()
            .unwrap_or_else(|| "of unknown version".to_owned())
    };
    match (crossing, twin) {
        (Some(family), Some(twin)) => {
            if serves(twin.version.as_deref(), library.version.as_deref()) {
                let base = version(twin);
                return out(Why::BaseServes { family, base }, vec![twin]);
            }
            if family.tie() == Tie::Base {
                conflicts.push(Conflict {
                    entry: entry(library),
                    family,
                    module: library.version.clone(),
                    base: twin.version.clone(),
                });
            }
            kept(Why::OtherVersion {
                base: version(twin),
            })
        }
        (Some(family), None) => match base.holders(library, family) {
            Some((holders, lacking)) => {
                let base = holders.iter().map(|one| one.file.clone()).collect();
                out(Why::SameApi { base, lacking }, holders)
            }
            None => kept(Why::BaseLacks),
        },
        (None, Some(twin)) if twin.version == library.version => {
            let base = twin.file.clone();
            kept(Why::OtherBuild { base })
        }
        (None, Some(twin)) => kept(Why::OtherVersion {
            base: version(twin),
        }),
        (None, None) => kept(Why::BaseLacks),
    }
}

/// Rule 4: what frameworks look for by name must be in the module's own jars.
/// Ark's own jars are no part of it: the base's are at work already.
fn keep_resources(candidates: &mut [Candidate<'_>], rules: &Rules) {
    for one in candidates {
        let lost = one.library.resources.first();
        let Some(resource) = lost.filter(|_| one.out && one.family != Some(Family::Ark)) else {
            continue;
        };
        // A rule is obeyed, and what it costs is said.
        if rules.exclude(one.library).is_some() {
            continue;
        }
        let resource = resource.clone();
        one.keep(Why::ResourcesOutOfReach { resource });
    }
}

/// Rule 2: one that must stay keeps its family. A member that the base lacks
/// does not: it leans on the base's one way only, which the loaders allow.
fn keep_families_whole(candidates: &mut [Candidate<'_>], rules: &Rules, told: &mut Vec<RuleTold>) {
    let mut staying: BTreeMap<Family, String> = BTreeMap::new();
    for one in candidates.iter() {
        let stays = matches!(
            one.why,
            Why::OtherVersion { .. }
                | Why::OtherBuild { .. }
                | Why::ResourcesOutOfReach { .. }
                | Why::Included { .. }
        );
        if let Some(family) = one.family.filter(|_| stays) {
            staying.entry(family).or_insert_with(|| entry(one.library));
        }
    }
    for one in candidates.iter_mut().filter(|one| one.out) {
        if let Some((family, because)) = one.family.and_then(|family| {
            staying
                .get(&family)
                .map(|because| (family, because.clone()))
        }) {
            obey::split(one, family, &because, rules, told);
            one.keep(Why::FamilyWhole { family, because });
        }
    }
}

fn notes(candidates: &[Candidate<'_>], mode: Mode, on_base_spring: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if mode == Mode::SwitchedOn {
        notes.push(
            "the manifest declared no libraries, so what was left out is declared now; the base's own classes, those in none of its libraries, are out of reach by it. Build with declaredMode to choose for yourself"
                .to_owned(),
        );
    }
    for one in candidates.iter().filter(|_| on_base_spring) {
        if let (Some(family), Why::OtherVersion { base }) = (one.family, &one.why) {
            notes.push(format!(
                "{} stays and the base has {base}: the base's Spring does not see the module's own {} types",
                entry(one.library),
                family.name()
            ));
        }
    }
    notes.sort();
    notes
}

impl Candidate<'_> {
    fn keep(&mut self, why: Why) {
        self.why = why;
        self.out = false;
        self.provided_by.clear();
    }
}

pub(crate) fn entry(library: &Library) -> String {
    format!("lib/{}", library.file)
}

fn choice(library: &Library, why: Why) -> Choice {
    Choice {
        entry: entry(library),
        bytes: library.bytes,
        version: library.version.clone(),
        why,
    }
}

fn sorted(choices: impl Iterator<Item = Choice>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = choices.collect();
    choices.sort_by(|one, other| one.entry.cmp(&other.entry));
    choices
}

/// What was declared, in its order, and what is missing in it.
fn extended<'a>(declared: &[String], reach: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut list = declared.to_vec();
    for id in reach {
        if !list.iter().any(|known| known == id) {
            list.push(id.to_owned());
        }
    }
    list
}
