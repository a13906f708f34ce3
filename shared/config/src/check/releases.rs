//! Releases of several modules: members that there are, of one repository, each in one release, in an order
//! that does not go round in a circle.
//! In: the tree. Out: findings.

use std::collections::BTreeMap;

use super::circle::circles;
use super::meaning::{Found, is_base};
use crate::diagnostic::nearest;
use crate::tree::{Entry, Tree};

/// Modules of one release: each rollout carries the whole list, and one decision tells each of them in each
/// environment.
const MEMBERS_MAX: usize = 16;

/// Says what is wrong.
pub(super) fn errors(tree: &Tree, found: &mut Vec<Found>) {
    let modules: BTreeMap<&str, Option<&str>> = tree
        .root
        .entries("modules")
        .map(|(name, entry)| (name.as_str(), entry.node.text_of("repository")))
        .collect();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (release, entry) in tree.root.entries("releases") {
        let key = format!("releases.{release}");
        let members: BTreeMap<&str, &Entry> = entry
            .node
            .entries("modules")
            .map(|(name, entry)| (name.as_str(), entry))
            .collect();
        if members.len() < 2 && entry.node.get("modules").is_some() {
            let message = "a release has at least two modules; one goes by itself";
            found.push(Found::new(entry.key_at, format!("{key}.modules"), message));
        }
        if members.len() > MEMBERS_MAX {
            let message = format!(
                "has {} modules, and {MEMBERS_MAX} are the most",
                members.len()
            );
            found.push(Found::new(entry.key_at, format!("{key}.modules"), message));
        }
        let mut home: Option<(&str, &str)> = None;
        for (name, member) in &members {
            let key = format!("{key}.modules.{name}");
            let Some(repository) = modules.get(name) else {
                let suggestion = nearest(name, modules.keys().copied());
                let message = format!("there is no {name:?} in modules");
                found.push(Found {
                    suggestion,
                    ..Found::new(member.key_at, key, message)
                });
                continue;
            };
            if tree
                .root
                .entries("modules")
                .any(|(other, entry)| other == name && is_base(&entry.node))
            {
                let message = "is the jar of a base, which is not rolled out";
                found.push(Found::new(member.key_at, key.clone(), message));
            }
            if let Some(other) = taken.insert(name, release) {
                let message = format!("is in releases.{other} already; a module is in one release");
                found.push(Found::new(member.key_at, key.clone(), message));
            }
            match (home, *repository) {
                (Some((first, home)), Some(repository)) if repository != home => {
                    let message = format!(
                        "is of repository {repository}, and {first} of {home}; a push moves one repository"
                    );
                    found.push(Found::new(member.key_at, key, message));
                }
                (None, Some(repository)) => home = Some((name, repository)),
                _ => {}
            }
        }
        order(&key, &members, found);
    }
}

/// What each member comes after.
fn order(release: &str, members: &BTreeMap<&str, &Entry>, found: &mut Vec<Found>) {
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, member) in members {
        let Some(list) = member.node.get("after") else {
            continue;
        };
        for (i, one) in list.node.array().into_iter().flatten().enumerate() {
            let Some(other) = one.text() else {
                continue;
            };
            if members.contains_key(other) {
                after.entry(name).or_default().push(other);
                continue;
            }
            let suggestion = nearest(other, members.keys().copied());
            let message = format!("there is no {other:?} in {release}.modules");
            found.push(Found {
                suggestion,
                ..Found::new(
                    one.at,
                    format!("{release}.modules.{name}.after[{i}]"),
                    message,
                )
            });
        }
    }
    for (name, message) in circles(&after) {
        let member = members[name];
        let list = member.node.get("after");
        let at = list.map_or(member.key_at, |after| after.node.at);
        let key = format!("{release}.modules.{name}.after");
        found.push(Found::new(at, key, message));
    }
}
