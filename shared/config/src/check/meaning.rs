//! What several values mean together: names and addresses that must differ, the
//! chain of environments, modules that would go nowhere, clone addresses.
//! In: the tree (for errors), the configuration (for warnings). Out: findings.
//! Errors look at the tree, so that one wrong value elsewhere hides none.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::circle::circles;
use super::{check_clone_url, gates, releases};
use crate::diagnostic::Severity;
use crate::model::{AtDeadline, Build, Builder, Config, Sandbox};
use crate::text::duration;
use crate::tree::{At, Node, Tree, join};

/// A frozen or dead base must be noticed within this time.
const NOTICE_WITHIN: Duration = Duration::from_secs(5);

/// A finding that waits until the tree is free again.
pub(super) struct Found {
    pub at: At,
    pub key: String,
    pub message: String,
    /// The nearest known name.
    pub suggestion: Option<String>,
}

impl Found {
    pub fn new(at: At, key: String, message: impl Into<String>) -> Self {
        Self {
            at,
            key,
            message: message.into(),
            suggestion: None,
        }
    }
}

/// Says what is wrong.
pub(super) fn errors(tree: &mut Tree) {
    let mut found = Vec::new();
    bases(tree, &mut found);
    repositories(tree, &mut found);
    tokens(tree, &mut found);
    // These look for what is not there, which a broken file may hold.
    if tree.broken.is_empty() {
        environments(tree, &mut found);
        modules(tree, &mut found);
        pools(tree, &mut found);
        releases::errors(tree, &mut found);
    }
    policies(tree, &mut found);
    gates::errors(tree, &mut found);
    for one in found {
        let Found {
            at,
            key,
            message,
            suggestion,
        } = one;
        tree.say(Severity::Error, at, &key, message, suggestion);
    }
}

/// Every base as written, with its key.
fn written_bases(tree: &Tree) -> Vec<(String, &Node)> {
    let mut all = Vec::new();
    let items = |node: &'_ Node| node.array().map(|items| items.len()).unwrap_or(0);
    for (pool, entry) in tree.root.entries("pools") {
        if let Some(bases) = entry.node.get("bases") {
            let keys = (0..items(&bases.node)).map(|i| format!("pools.{pool}.bases[{i}]"));
            all.extend(keys.zip(bases.node.array().into_iter().flatten()));
        }
        if let Some(bases) = tree
            .bases_files
            .get(pool)
            .and_then(|file| file.get("bases"))
        {
            let keys = (0..items(&bases.node)).map(|i| format!("bases[{i}]"));
            all.extend(keys.zip(bases.node.array().into_iter().flatten()));
        }
    }
    all
}

fn bases(tree: &Tree, found: &mut Vec<Found>) {
    let mut names: BTreeMap<&str, At> = BTreeMap::new();
    let mut addresses: BTreeMap<String, At> = BTreeMap::new();
    for (key, base) in written_bases(tree) {
        if let (Some(name), Some(entry)) = (base.text_of("name"), base.get("name")) {
            if let Some(first) = names.get(name) {
                let message = format!("a base {name:?} already stands at {}", tree.place(*first));
                found.push(Found::new(entry.node.at, join(&key, "name"), message));
            }
            names.entry(name).or_insert(entry.node.at);
        }
        if let (Some(text), Some(entry)) = (base.text_of("arklet"), base.get("arklet"))
            && let Ok(address) = Url::parse(text)
        {
            if let Some(first) = addresses.get(address.as_str()) {
                let place = tree.place(*first);
                let message = format!("the base at {place} already has this arklet address");
                found.push(Found::new(entry.node.at, join(&key, "arklet"), message));
            }
            addresses.entry(address.into()).or_insert(entry.node.at);
        }
    }
}

fn repositories(tree: &Tree, found: &mut Vec<Found>) {
    let allow = match tree
        .root
        .get("builder")
        .and_then(|entry| entry.node.get("allow_clone"))
    {
        None => Builder::default().allow_clone,
        Some(entry) => {
            let texts = entry
                .node
                .array()
                .into_iter()
                .flatten()
                .filter_map(Node::text);
            texts.map(str::to_owned).collect()
        }
    };
    let mut full_names: BTreeMap<(String, String), &str> = BTreeMap::new();
    for (name, entry) in tree.root.entries("repositories") {
        let key = format!("repositories.{name}");
        let Some(url) = entry.node.get("url") else {
            continue;
        };
        let Some(text) = url.node.text() else {
            continue;
        };
        if let Err(error) = check_clone_url(text, &allow) {
            found.push(Found::new(
                url.node.at,
                join(&key, "url"),
                error.to_string(),
            ));
            continue;
        }
        let full_name = match entry.node.text_of("full_name") {
            Some(full_name) => full_name.to_owned(),
            None => crate::ask::full_name_of(text),
        };
        let forge = entry.node.text_of("forge").unwrap_or_default().to_owned();
        // A webhook names its repository so, and forges do not mind the case.
        let same = (forge, full_name.to_lowercase());
        if let Some(first) = full_names.get(&same) {
            let message = format!(
                "is {full_name:?} at the same forge as repositories.{first}; a push could not be told apart"
            );
            found.push(Found::new(entry.key_at, key, message));
        }
        full_names.entry(same).or_insert(name);
    }
}

fn tokens(tree: &Tree, found: &mut Vec<Found>) {
    let mut hashes: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, entry) in tree.root.entries("tokens") {
        if let (Some(hash), Some(at)) = (entry.node.text_of("hash"), entry.node.get("hash")) {
            if let Some(first) = hashes.get(hash) {
                let message =
                    format!("is the token of tokens.{first}; its acts would have two authors");
                found.push(Found::new(
                    at.node.at,
                    format!("tokens.{name}.hash"),
                    message,
                ));
            }
            hashes.entry(hash).or_insert(name);
        }
    }
}

fn environments(tree: &Tree, found: &mut Vec<Found>) {
    let mut after: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut places: BTreeMap<&str, At> = BTreeMap::new();
    let mut next: BTreeMap<&str, &str> = BTreeMap::new();
    let mut first: Option<&str> = None;
    for (name, entry) in tree.root.entries("environments") {
        let key = format!("environments.{name}");
        match (entry.node.get("after"), entry.node.text_of("after")) {
            (None, _) => match first {
                None => first = Some(name),
                Some(first) => {
                    let message = format!(
                        "has no \"after\", and neither has {first:?}; environments are one chain, so say after which this one comes"
                    );
                    found.push(Found::new(entry.key_at, key, message));
                }
            },
            (Some(at), Some(before)) => {
                after.insert(name, vec![before]);
                places.insert(name, at.node.at);
                if let Some(other) = next.insert(before, name) {
                    let message =
                        format!("{other:?} comes after {before:?} too; environments are one chain");
                    found.push(Found::new(at.node.at, join(&key, "after"), message));
                }
            }
            (Some(_), None) => {}
        }
    }
    for (name, message) in circles(&after) {
        let key = format!("environments.{name}.after");
        found.push(Found::new(places[name], key, message));
    }
}

fn modules(tree: &Tree, found: &mut Vec<Found>) {
    let pools: BTreeMap<&str, bool> = tree
        .root
        .entries("pools")
        .map(|(name, entry)| {
            let some = |node: Option<&crate::tree::Entry>| {
                node.is_some_and(|bases| bases.node.array().is_none_or(|items| !items.is_empty()))
            };
            let file = tree
                .bases_files
                .get(name)
                .and_then(|file| file.get("bases"));
            let unknown = tree.unread.contains(name);
            (
                name.as_str(),
                unknown || some(entry.node.get("bases")) || some(file),
            )
        })
        .collect();
    for (name, entry) in tree.root.entries("modules") {
        if is_base(&entry.node) {
            for key in ["pools", "slim", "probe", "soak"] {
                if let Some(set) = entry.node.get(key) {
                    let message = "is of what is rolled out; the jar of a base is not";
                    let key = format!("modules.{name}.{key}");
                    found.push(Found::new(set.key_at, key, message));
                }
            }
            if let Some(build) = entry.node.get("build")
                && build.node.text() == Some("snippet")
            {
                let message = "a base is built by Maven; a snippet is a module";
                let key = format!("modules.{name}.build");
                found.push(Found::new(build.node.at, key, message));
            }
            continue;
        }
        if entry.node.text_of("build") == Some("snippet") {
            for key in ["goals", "jar"] {
                if let Some(set) = entry.node.get(key) {
                    let key = join(&format!("modules.{name}"), key);
                    let message = "is Maven's; a snippet has none";
                    found.push(Found::new(set.key_at, key, message));
                }
            }
        }
        let chosen = entry.node.get("pools").map(|pools| &pools.node);
        let goes = match chosen {
            None => pools.values().any(|has| *has),
            Some(node) => match node.array() {
                // A name that is unknown is said elsewhere and taken to have some.
                Some(names) => names.iter().any(|name| {
                    name.text()
                        .and_then(|name| pools.get(name))
                        .is_none_or(|has| *has)
                }),
                None => true,
            },
        };
        if !goes {
            let at = chosen.map_or(entry.key_at, |node| node.at);
            let message = "no pool of this module has a base, so it would be installed nowhere";
            found.push(Found::new(
                at,
                format!("modules.{name}"),
                message.to_owned(),
            ));
        }
    }
}

/// Whether a module is the jar of a base.
pub(super) fn is_base(module: &Node) -> bool {
    module.text_of("kind") == Some("base")
}

/// The base of a pool must be one, and be said once.
fn pools(tree: &Tree, found: &mut Vec<Found>) {
    let bases: BTreeMap<&str, bool> = tree
        .root
        .entries("modules")
        .map(|(name, entry)| (name.as_str(), is_base(&entry.node)))
        .collect();
    for (pool, entry) in tree.root.entries("pools") {
        let Some(base) = entry.node.get("base") else {
            continue;
        };
        let key = format!("pools.{pool}.base");
        if entry.node.get("base_jar").is_some() {
            let message = "and base_jar both say what its bases hold; leave one of them out";
            found.push(Found::new(base.key_at, key.clone(), message));
        }
        // A name that is unknown is said elsewhere.
        let named = entry
            .node
            .text_of("base")
            .and_then(|name| bases.get_key_value(name));
        if let Some((name, false)) = named {
            let message = format!(
                "modules.{name} is rolled out to bases; say kind = \"base\" there if it is one"
            );
            found.push(Found::new(base.node.at, key, message));
        }
    }
}

/// Bounds that no value keeps.
fn policies(tree: &Tree, found: &mut Vec<Found>) {
    for (name, entry) in tree.root.entries("policies") {
        let soak = |key: &str| duration::parse(entry.node.text_of(key)?).ok();
        if let (Some(least), Some(most), Some(at)) = (
            soak("soak_at_least"),
            soak("soak_at_most"),
            entry.node.get("soak_at_most"),
        ) && least > most
        {
            let message = format!(
                "is less than soak_at_least, which is {}; no soak keeps both",
                duration::format(least)
            );
            let key = format!("policies.{name}.soak_at_most");
            found.push(Found::new(at.node.at, key, message));
        }
    }
}

/// Says what can be used but is probably not meant.
pub(super) fn warnings(tree: &mut Tree, config: &Config) {
    let verifier = &config.verifier;
    let bases = config.bases().len();
    let round = verifier.round(bases);
    let notice = verifier
        .poll
        .saturating_mul(verifier.lost_after.saturating_sub(1))
        .saturating_add(verifier.health_timeout)
        .saturating_add(round);
    if round > verifier.poll && notice > NOTICE_WITHIN {
        let message = format!(
            "{bases} bases at {} looks a second: each is looked at every {} only, and a dead one is noticed after {}",
            verifier.looks_per_second,
            duration::format(round),
            duration::format(notice),
        );
        warn(tree, "verifier", "looks_per_second", message);
    } else if notice > NOTICE_WITHIN {
        let message = format!(
            "a dead base is noticed only after {} (poll × lost_after + health_timeout); {} is what others rely on",
            duration::format(notice),
            duration::format(NOTICE_WITHIN),
        );
        warn(tree, "verifier", "", message);
    }
    if config.builder.sandbox == Sandbox::None {
        let message = "builds run without a sandbox, with all rights of the builder";
        warn(tree, "builder", "sandbox", message.to_owned());
    }
    if config.installer.url_ttl < config.installer.install_timeout {
        let message =
            "shorter than install_timeout: a slow base may find its artifact's address dead";
        warn(tree, "installer", "url_ttl", message.to_owned());
    }
    drains(tree, config);
    for (name, module) in &config.modules {
        if module
            .probe
            .as_ref()
            .is_some_and(|probe| probe.timeout > probe.deadline)
        {
            let message = "longer than the deadline, which ends the request first";
            warn(
                tree,
                &format!("modules.{name}.probe"),
                "timeout",
                message.to_owned(),
            );
        }
    }
    for (name, module) in &config.modules {
        if module.build == Build::Snippet && config.compiled_against(name).is_none() {
            let message = "a snippet is compiled against its base: no pool of this module has a base_jar or a base";
            warn(
                tree,
                &format!("modules.{name}"),
                "build",
                message.to_owned(),
            );
        }
    }
    gates::warnings(tree, config);
}

/// A drain whose limits cannot all be kept.
fn drains(tree: &mut Tree, config: &Config) {
    for (name, pool) in &config.pools {
        let Some(drain) = &pool.drain else {
            continue;
        };
        let table = format!("pools.{name}.drain");
        if drain.timeout > drain.deadline {
            let message = "longer than the deadline, which ends the request first";
            warn(tree, &table, "timeout", message.to_owned());
        }
        if drain.at_deadline == AtDeadline::Proceed && drain.drain.check.is_none() {
            let message = "nothing waits for the deadline: drain has no check";
            warn(tree, &table, "at_deadline", message.to_owned());
        }
        for (key, call) in [("drain", &drain.drain), ("undrain", &drain.undrain)] {
            if call.wait >= drain.deadline {
                let message = "not shorter than the deadline, so it could never be done in time";
                warn(tree, &format!("{table}.{key}"), "wait", message.to_owned());
            }
        }
        if drain.drain == drain.undrain {
            let message = "drain and undrain ask for the same, so the base would not come back";
            warn(tree, &table, "undrain", message.to_owned());
        }
    }
}

/// Warns at a key, or at its table where the key is not written.
pub(super) fn warn(tree: &mut Tree, table: &str, key: &str, message: String) {
    let mut at = At::START;
    let mut node = Some(&tree.root);
    for part in table.split('.').chain((!key.is_empty()).then_some(key)) {
        let Some(entry) = node.and_then(|node| node.get(part)) else {
            break;
        };
        at = entry.key_at;
        node = Some(&entry.node);
    }
    let path = if key.is_empty() {
        table.to_owned()
    } else {
        join(table, key)
    };
    tree.say(Severity::Warning, at, &path, message, None);
}
