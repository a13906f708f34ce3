//! A project's own rules while a jar is slimmed. Goes in: the jar, what was
//! decided by the rules, the proof of it. Comes out: the rules that lie in the
//! jar, what goes along with what they leave out, and what came of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Seek};

use ferry_events::artifact::RulesFile;
use ferry_link::{Verdict, mentions};

use crate::SlimError;
use crate::archive::Archive;
use crate::classes::each_class;
use crate::decide::{Decision, Why, entry};
use crate::error::Kind;
use crate::inspect::is_library;
use crate::library::Library;
use crate::limits::Budget;
use crate::rules::{self, Rule, Rules};

/// The rules that lie in the jar itself.
pub(crate) fn carried<R: Read + Seek>(
    archive: &mut Archive<R>,
    budget: &mut Budget,
) -> Result<Vec<RulesFile>, SlimError> {
    let mut files = Vec::new();
    for name in rules::NAMES {
        let name = format!("{}/{name}", rules::FOLDER);
        if let Some(index) = archive.position(&name) {
            let bytes = archive.read_small(index, rules::MAX, budget)?;
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            files.push(RulesFile { name, text });
        }
    }
    Ok(files)
}

/// `buildFailWhenExcludeDiffBaseDependency`.
pub(crate) fn same_only(
    decision: &Decision,
    libraries: &[Library],
    rule: &Rule,
) -> Result<(), SlimError> {
    let versions: BTreeMap<String, Option<&str>> = libraries
        .iter()
        .map(|library| (entry(library), library.version.as_deref()))
        .collect();
    let mut differing = Vec::new();
    for choice in &decision.left_out {
        if let Why::Excluded { base, .. } = &choice.why {
            let own = versions.get(&choice.entry).copied().flatten();
            if own != base.as_deref() {
                let base = base.as_deref().unwrap_or("none");
                differing.push(format!("{} (the base has {base})", choice.entry));
            }
        }
    }
    match differing.is_empty() {
        true => Ok(()),
        false => Err(SlimError::ExcludedDiffers {
            rule: rule.named(),
            differing,
        }),
    }
}

/// `excludeWithIndirectDependencies`: of what is kept, the libraries that only
/// the excluded ones refer to, and the one that does. A jar does not tell what
/// it depends on, so this goes by the names in its classes. One whose resources
/// frameworks look for may be used without being referred to, and stays.
pub(crate) fn indirect<R: Read + Seek>(
    archive: &mut Archive<R>,
    libraries: &[Library],
    excluded: &BTreeSet<&str>,
    kept: &BTreeSet<&str>,
    budget: &mut Budget,
) -> Result<BTreeMap<String, String>, SlimError> {
    let mut holders: BTreeMap<String, String> = BTreeMap::new();
    for library in libraries {
        for name in library.class_names() {
            holders.entry(name).or_insert_with(|| entry(library));
        }
    }
    let may_go: BTreeSet<String> = libraries
        .iter()
        .filter(|library| library.resources.is_empty() && library.family().is_none())
        .map(entry)
        .filter(|entry| kept.contains(entry.as_str()))
        .collect();
    // Which entries each one refers to; the module itself has an empty name.
    let mut leads: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let refers = |jar: &str, bytes: &[u8], leads: &mut BTreeMap<String, BTreeSet<String>>| {
        let own = leads.entry(jar.to_owned()).or_default();
        mentions(bytes, &mut |name| {
            if let Some(holder) = holders.get(name).filter(|holder| *holder != jar) {
                own.insert(holder.clone());
            }
        });
    };
    each_class(archive, "", u16::MAX, budget, &mut |_, bytes| {
        refers("", bytes.unwrap_or_default(), &mut leads);
    })?;
    for index in 0..archive.entries.len() {
        let name = archive.entries[index].name.clone();
        if !is_library(&name) {
            continue;
        }
        let spool = archive.spool(index, budget, &mut std::io::sink())?;
        match Archive::open(BufReader::new(spool), Some(&name), budget) {
            Ok(mut jar) => each_class(&mut jar, "", u16::MAX, budget, &mut |_, bytes| {
                refers(&name, bytes.unwrap_or_default(), &mut leads);
            })?,
            Err(error) if error.kind() == Kind::TooLarge => return Err(error),
            Err(_) => {}
        }
    }
    let reach = |from: Vec<String>| {
        let (mut open, mut seen) = (from, BTreeMap::<String, String>::new());
        while let Some(one) = open.pop() {
            for next in leads.get(&one).into_iter().flatten() {
                if !excluded.contains(next.as_str()) && !seen.contains_key(next) {
                    seen.insert(next.clone(), one.clone());
                    open.push(next.clone());
                }
            }
        }
        seen
    };
    let staying = kept.iter().filter(|entry| !may_go.contains(**entry));
    let needed = reach(
        staying
            .map(|it| (*it).to_owned())
            .chain([String::new()])
            .collect(),
    );
    let led = reach(excluded.iter().map(|it| (*it).to_owned()).collect());
    let found = led.into_iter().filter(|(entry, _)| may_go.contains(entry));
    Ok(found
        .filter(|(entry, _)| !needed.contains_key(entry))
        .collect())
}

/// Says of each rule what does not link because of it, in the report and as
/// what to change.
pub(crate) fn blame(
    decision: &mut Decision,
    verdict: &mut Verdict,
    libraries: &[Library],
    rules: &Rules,
) {
    let out: BTreeMap<&str, &Why> = decision
        .left_out
        .iter()
        .map(|choice| (choice.entry.as_str(), &choice.why))
        .collect();
    let mut by_class: BTreeMap<String, (String, &Rule)> = BTreeMap::new();
    let mut told = Vec::new();
    for library in libraries {
        let entry = entry(library);
        let by = match out.get(entry.as_str()) {
            Some(Why::Excluded { .. }) => rules.exclude(library),
            Some(Why::Indirect { of }) => libraries
                .iter()
                .find(|other| crate::decide::entry(other) == *of)
                .and_then(|other| rules.exclude(other)),
            _ => None,
        };
        if let Some(rule) = by {
            let names = library.class_names();
            by_class.extend(names.map(|name| (name, (entry.clone(), rule))));
        }
    }
    for finding in &mut verdict.faults {
        let Some((entry, rule)) = finding.fault.class().and_then(|class| by_class.get(class))
        else {
            continue;
        };
        finding.remedy = format!(
            "{entry} was left out by the rule {}: take it away, or build against the base's version",
            rule.named()
        );
        told.push(rule.told(format!(
            "the module does not link without {entry}: {finding}"
        )));
    }
    told.sort();
    // One fault a rule is enough; the proof has them all.
    told.dedup_by(|one, other| one.rule == other.rule && one.place == other.place);
    for choice in &decision.left_out {
        if let Why::Excluded { base: None, .. } = &choice.why
            && let Some(library) = libraries.iter().find(|one| entry(one) == choice.entry)
            && let Some(rule) = rules.exclude(library)
            && !told.iter().any(|one| one.rule == rule.text())
        {
            told.push(rule.told(format!(
                "the base has nothing in the place of {}, and nothing that is proven needs it",
                choice.entry
            )));
        }
    }
    decision.rules.extend(told);
}
