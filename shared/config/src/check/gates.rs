//! What gates, windows, freezes and limits mean together with the rest: bounds that hold nothing,
//! approvals that nobody can give, windows that never open, zones that can never be changed.
//! In: the tree (for errors), the configuration (for warnings). Out: findings.

use std::collections::{BTreeMap, BTreeSet};

use super::meaning::{Found, warn};
use crate::ask::Scope;
use crate::calendar;
use crate::diagnostic::nearest;
use crate::model::{Amount, Approval, Config, Percent, Role};
use crate::text::is_name;
use crate::tree::{Entry, Kind, Node, Tree, join};

/// Keys of a metric of which one is needed.
const BOUNDS: [&str; 2] = ["min", "max"];

/// Says what is wrong.
pub(super) fn errors(tree: &Tree, found: &mut Vec<Found>) {
    for (name, entry) in tree.root.entries("environments") {
        let key = format!("environments.{name}");
        limits(&key, &entry.node, found);
        for (name, metric) in entry.node.entries("metrics") {
            bounds(&format!("{key}.metrics.{name}"), metric, found);
        }
        for (name, window) in entry.node.entries("windows") {
            let opens = window.node.get("opens").map(|opens| &opens.node);
            if let Some((at, text)) = opens.and_then(|node| Some((node.at, node.text()?)))
                && calendar::never_opens(text)
            {
                let message = format!("{text:?} is a date that never comes");
                let key = format!("{key}.windows.{name}.opens");
                found.push(Found::new(at, key, message));
            }
        }
        // Tokens and teams may stand in what TOML could not read.
        if let Some(approval) = entry
            .node
            .get("approval")
            .filter(|_| tree.broken.is_empty())
        {
            approvers(tree, &format!("{key}.approval"), &approval.node, found);
        }
    }
    for (name, entry) in tree.root.entries("freezes") {
        freeze(&format!("freezes.{name}"), &entry.node, found);
    }
}

fn bounds(key: &str, metric: &Entry, found: &mut Vec<Found>) {
    let number = |name| metric.node.text_of(name)?.parse::<f64>().ok();
    if let (Some(min), Some(max), Some(entry)) =
        (number("min"), number("max"), metric.node.get("max"))
        && min > max
    {
        let message = format!("{max} is less than \"min\", {min}: no value could be well");
        found.push(Found::new(entry.node.at, join(key, "max"), message));
    }
    let table = metric.node.table();
    let written = || table.into_iter().flat_map(BTreeMap::keys);
    // One that is only misspelt is said already.
    if table.is_some() && !written().any(|key| nearest(key, BOUNDS).is_some()) {
        let message = "needs \"min\" or \"max\": without a bound every value would be well";
        found.push(Found::new(metric.key_at, key.to_owned(), message));
    }
}

fn freeze(key: &str, freeze: &Node, found: &mut Vec<Found>) {
    let (Some(from), Some(until)) = (freeze.text_of("from"), freeze.text_of("until")) else {
        return;
    };
    let zone = match freeze.get("time_zone") {
        None => "UTC",
        Some(entry) => entry.node.text().unwrap_or_default(),
    };
    if let (Some((begin, end)), Some(entry)) =
        (calendar::span_of(from, until, zone), freeze.get("until"))
        && end <= begin
    {
        let message = format!("{until:?} is not after \"from\", {from:?}: nothing would be frozen");
        found.push(Found::new(entry.node.at, join(key, "until"), message));
    }
}

/// A key, and whether an amount there keeps everything as it is.
type Limit = (&'static str, fn(Amount) -> bool);

/// Amounts that keep everything as it is, however many bases there are.
fn limits(key: &str, environment: &Node, found: &mut Vec<Found>) {
    let none = "would let no base be changed";
    let checks: [Limit; 3] = [
        ("canary", Amount::is_zero),
        ("max_unavailable", Amount::is_zero),
        ("min_available", |amount| {
            amount == Amount::Percent(Percent(100))
        }),
    ];
    for (name, never) in checks {
        let Some(entry) = environment.get(name) else {
            continue;
        };
        let amount = match &entry.node.kind {
            Kind::Integer(number) => u32::try_from(*number).ok().map(Amount::Count),
            Kind::Text(text) => Percent::try_from(text.clone()).ok().map(Amount::Percent),
            _ => None,
        };
        if let Some(amount) = amount.filter(|amount| never(*amount)) {
            let message = format!("{amount} {none}");
            found.push(Found::new(entry.node.at, join(key, name), message));
        }
    }
}

fn approvers(tree: &Tree, key: &str, approval: &Node, found: &mut Vec<Found>) {
    let Some(by) = approval.get("by").and_then(|entry| entry.node.array()) else {
        return;
    };
    let mut people = BTreeSet::new();
    let mut whole = true;
    for (i, item) in by.iter().enumerate() {
        let Some(text) = item.text() else {
            whole = false;
            continue;
        };
        let (table, name, prefix) = match text.strip_prefix("team:") {
            Some(team) => ("teams", team, "team:"),
            None => ("tokens", text, ""),
        };
        let Some((_, entry)) = tree.root.entries(table).find(|(known, _)| *known == name) else {
            whole = false;
            // What cannot be a name is said already.
            if !is_name(name) {
                continue;
            }
            let known = tree.root.entries(table).map(|(known, _)| known.as_str());
            found.push(Found {
                at: item.at,
                key: format!("{key}.by[{i}]"),
                message: format!("there is no {name:?} in {table}"),
                suggestion: nearest(name, known).map(|near| format!("{prefix}{near}")),
            });
            continue;
        };
        if prefix.is_empty() {
            people.insert(name);
            continue;
        }
        let members = entry.node.get("members").and_then(|it| it.node.array());
        let members: Vec<&str> = members
            .into_iter()
            .flatten()
            .filter_map(Node::text)
            .collect();
        if members.is_empty() {
            let message =
                format!("the team {name:?} has no members, so nobody could approve for it");
            found.push(Found::new(item.at, format!("{key}.by[{i}]"), message));
        }
        people.extend(members);
    }
    let Some(entry) = approval.get("count") else {
        return;
    };
    if let Kind::Integer(count) = entry.node.kind
        && whole
        && !people.is_empty()
        && count > i64::try_from(people.len()).unwrap_or(i64::MAX)
    {
        let people: Vec<&str> = people.into_iter().collect();
        let message = format!(
            "{count} different people are needed, and \"by\" names {}: {}",
            people.len(),
            people.join(", ")
        );
        found.push(Found::new(entry.node.at, join(key, "count"), message));
    }
}

/// Says what can be used but is probably not meant.
pub(super) fn warnings(tree: &mut Tree, config: &Config) {
    for (name, environment) in &config.environments {
        if let Some(approval) = &environment.approval {
            roles(tree, config, name, approval);
        }
        zones(tree, config, name);
    }
}

fn roles(tree: &mut Tree, config: &Config, environment: &str, approval: &Approval) {
    let table = format!("environments.{environment}.approval");
    let may = |name: &str| {
        config
            .tokens
            .get(name)
            .is_some_and(|token| token.allows(Role::Approve, Scope::Any, Scope::One(environment)))
    };
    let people: BTreeSet<&str> = if approval.by.is_empty() {
        config.tokens.keys().map(String::as_str).collect()
    } else {
        let members = |text: &str| match text.strip_prefix("team:") {
            Some(team) => config.teams.get(team).map(|team| team.members.clone()),
            None => Some(vec![text.to_owned()]),
        };
        let named: Vec<String> = approval
            .by
            .iter()
            .filter_map(|it| members(it))
            .flatten()
            .collect();
        config
            .tokens
            .keys()
            .map(String::as_str)
            .filter(|name| named.iter().any(|one| one == name))
            .collect()
    };
    let (able, lack): (Vec<&str>, Vec<&str>) = people.into_iter().partition(|name| may(name));
    if !approval.by.is_empty() && !lack.is_empty() {
        let message = format!(
            "without the role \"approve\" in {environment}, so their approval is refused: {}",
            lack.join(", ")
        );
        warn(tree, &table, "by", message);
    }
    if able.len() < approval.count as usize {
        let message = format!(
            "needs {} with the role \"approve\" in {environment}, there {}: no rollout would get past it",
            approval.count,
            match able.len() {
                0 => "is nobody".to_owned(),
                1 => format!("is {}", able[0]),
                _ => format!("are {}", able.join(", ")),
            }
        );
        warn(tree, &table, "", message);
    }
}

/// Zones of which no base could ever be changed, with as many bases as there are now.
fn zones(tree: &mut Tree, config: &Config, name: &str) {
    let environment = &config.environments[name];
    let mut said = BTreeSet::new();
    for module in config.modules.keys() {
        let mut zones: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, base) in config.bases_of(module, name) {
            *zones.entry(base.zone.as_str()).or_default() += 1;
        }
        for (zone, bases) in zones {
            let stay = environment.min_available.at_least_of(bases);
            let (key, why) = if stay >= bases {
                let amount = environment.min_available;
                ("min_available", format!("{amount} must stay in service"))
            } else {
                match environment.max_unavailable {
                    Some(amount) if amount.at_most_of(bases) == 0 => (
                        "max_unavailable",
                        format!("{amount} of them, rounded down, is none"),
                    ),
                    _ => continue,
                }
            };
            if said.insert((zone, bases, key)) {
                let message = format!(
                    "module {module} can never be rolled out in zone {zone}, which has {bases} of its bases: {why}"
                );
                warn(tree, &format!("environments.{name}"), key, message);
            }
        }
    }
}
