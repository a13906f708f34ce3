//! Reads the files of rules. Goes in: their texts. Comes out: [`Rules`].
//!
//! `rules.txt` is written as Java's properties are, and so is read. A key may
//! come again: its values add up, parted by commas or one a line.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Yaml};

use ferry_events::artifact::RulesFile;

use super::{By, MAX, Rule, RuleTold, Rules};

const EXCLUDES: &str = "excludes";
const INCLUDES: &str = "includes";
const WHITELIST: &str = "declared.libraries.whitelist";
const INDIRECT: &str = "excludeWithIndirectDependencies";
const SAME_ONLY: &str = "buildFailWhenExcludeDiffBaseDependency";
const LEAVE_SAME: &str = "excludeSameBaseDependency";

const KEYS: [&str; 10] = [
    EXCLUDES,
    "excludeGroupIds",
    "excludeArtifactIds",
    INCLUDES,
    "includeGroupIds",
    "includeArtifactIds",
    WHITELIST,
    INDIRECT,
    SAME_ONLY,
    LEAVE_SAME,
];

/// Keys of Maven's plugin that say where else it finds what the base has. Here
/// the base itself is asked.
const ELSEWHERE: [&str; 3] = [
    "packExcludesConfig",
    "packExcludesUrl",
    "baseDependencyParentIdentity",
];

/// A key, one value of it, and where that stands.
struct Value {
    key: String,
    value: String,
    place: String,
}

pub(super) fn read(files: &[RulesFile]) -> Rules {
    let mut rules = Rules::default();
    for file in files {
        let Some(text) = &file.text else {
            rules.wrong.push(RuleTold {
                rule: "the whole file".to_owned(),
                place: file.name.clone(),
                what: format!(
                    "it was not read, and does nothing: it is no plain file of UTF-8 of at most {} bytes",
                    MAX
                ),
            });
            continue;
        };
        let is_yaml = file.name.ends_with(".yml") || file.name.ends_with(".yaml");
        let values = match is_yaml {
            true => yaml(&file.name, text, &mut rules.wrong),
            false => properties(&file.name, text),
        };
        // The rest of a bootstrap file is Ark's own business.
        let only_rules = file.name.ends_with(".txt");
        for value in values {
            take(value, only_rules, &mut rules);
        }
    }
    rules
}

fn take(value: Value, only_rules: bool, rules: &mut Rules) {
    let Some(key) = KEYS.iter().find(|key| **key == value.key) else {
        if let Some(what) = unknown(&value.key, only_rules) {
            rules.wrong.push(RuleTold {
                rule: match value.value.as_str() {
                    "" => value.key,
                    text => format!("{} = {text}", value.key),
                },
                place: value.place,
                what,
            });
        }
        return;
    };
    if matches!(*key, INDIRECT | SAME_ONLY | LEAVE_SAME) {
        let rule = rule(key, &value.value, &value.place, By::Nothing);
        match (*key, value.value.as_str()) {
            (INDIRECT, "true") => rules.indirect = true,
            (INDIRECT, "false") => rules.indirect = false,
            (SAME_ONLY, "true") => rules.same_only = Some(rule),
            (SAME_ONLY, "false") => rules.same_only = None,
            (_, "true") => rules.keep_same = None,
            (_, "false") => rules.keep_same = Some(rule),
            _ => rules
                .wrong
                .push(rule.told("it is neither true nor false, and does nothing")),
        }
        return;
    }
    for one in value.value.split(',').map(str::trim) {
        if one.is_empty() {
            continue;
        }
        let parts = || one.split(':').map(|part| part.trim().to_owned()).collect();
        let by = match *key {
            EXCLUDES | INCLUDES | WHITELIST => By::Coordinates(parts()),
            "excludeGroupIds" | "includeGroupIds" => By::Group(one.to_owned()),
            _ => By::Artifact(one.to_owned()),
        };
        let count = one.split(':').count();
        let rule = rule(key, one, &value.place, by);
        if matches!(*key, EXCLUDES | INCLUDES) && !(2..=4).contains(&count) {
            rules.wrong.push(
                rule.told("it is no groupId:artifactId[:version[:classifier]], and does nothing"),
            );
            continue;
        }
        match *key {
            WHITELIST => rules.whitelist.push(rule),
            key if key.starts_with("exclude") => rules.excludes.push(rule),
            _ => rules.includes.push(rule),
        }
    }
}

fn rule(key: &'static str, value: &str, place: &str, by: By) -> Rule {
    Rule {
        key,
        value: value.to_owned(),
        place: place.to_owned(),
        by,
    }
}

/// What is told of a key that is none of these; none: it is not about slimming.
fn unknown(key: &str, only_rules: bool) -> Option<String> {
    if ELSEWHERE.contains(&key) {
        return Some("it is not read: the base's profile tells what the base has".to_owned());
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', '.'], "");
    let near = KEYS.iter().find(|known| {
        let (known, key) = (plain(known), plain(key));
        known == key || known.trim_end_matches('s') == key.trim_end_matches('s')
    });
    let about = ["exclude", "include", "declared.libraries"];
    match near {
        Some(near) => Some(format!(
            "there is no such rule, and it does nothing: did you mean {near}?"
        )),
        None if only_rules || about.iter().any(|start| key.starts_with(start)) => Some(format!(
            "there is no such rule, and it does nothing: there are {}",
            KEYS.join(", ")
        )),
        None => None,
    }
}

/// Lines of `key = value`, as Java's properties have them.
fn properties(name: &str, text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while let Some(begun) = whole.strip_suffix('\\') {
            let next = lines.next().map_or("", |(_, next)| next.trim());
            whole = format!("{begun}{next}");
        }
        let end = whole.find(|c: char| matches!(c, '=' | ':') || c.is_whitespace());
        let (key, rest) = whole.split_at(end.unwrap_or(whole.len()));
        let rest = rest.trim_start();
        let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
        values.push(Value {
            key: key.to_owned(),
            value: value.trim().to_owned(),
            place: format!("{name}:{}", at + 1),
        });
    }
    values
}

/// The same keys, parted by dots or by levels; a value is a text or a list.
fn yaml(name: &str, text: &str, wrong: &mut Vec<RuleTold>) -> Vec<Value> {
    let mut flat = BTreeMap::new();
    match Yaml::load_from_str(text) {
        Ok(documents) => documents.iter().for_each(|it| flatten("", it, &mut flat)),
        Err(error) => wrong.push(RuleTold {
            rule: "the whole file".to_owned(),
            place: name.to_owned(),
            what: format!("it is no YAML, and does nothing: {error}"),
        }),
    }
    let values = flat.into_iter().map(|(key, value)| Value {
        key,
        value,
        place: name.to_owned(),
    });
    values.collect()
}

fn flatten(above: &str, node: &Yaml<'_>, flat: &mut BTreeMap<String, String>) {
    if let Some(table) = node.as_mapping() {
        for (key, value) in table {
            let key = key.as_str().unwrap_or_default();
            let whole = match above {
                "" => key.to_owned(),
                above => format!("{above}.{key}"),
            };
            flatten(&whole, value, flat);
        }
        return;
    }
    let texts: Vec<String> = match node.as_sequence() {
        Some(list) => list.iter().filter_map(scalar).collect(),
        None => scalar(node).into_iter().collect(),
    };
    if !above.is_empty() && !texts.is_empty() {
        flat.insert(above.to_owned(), texts.join(","));
    }
}

fn scalar(node: &Yaml<'_>) -> Option<String> {
    let text = node.as_str().map(str::to_owned);
    text.or_else(|| node.as_bool().map(|it| it.to_string()))
        .or_else(|| node.as_integer().map(|it| it.to_string()))
        .or_else(|| node.as_floating_point().map(|it| it.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Rules {
        read(&[RulesFile {
            name: format!("conf/ark/{name}"),
            text: Some(text.to_owned()),
        }])
    }

    fn texts(rules: &[Rule]) -> Vec<String> {
        rules.iter().map(Rule::named).collect()
    }

    #[test]
    fn properties_add_up() {
        let rules = of(
            "rules.txt",
            "# what the base has\nexcludes=a:b, c:d:1.0\nexcludes = e:f:2:linux\nexcludeGroupIds=g*,\\\n  h\nincludeArtifactIds : i\n",
        );
        assert_eq!(
            texts(&rules.excludes),
            [
                "excludes = a:b in conf/ark/rules.txt:2",
                "excludes = c:d:1.0 in conf/ark/rules.txt:2",
                "excludes = e:f:2:linux in conf/ark/rules.txt:3",
                "excludeGroupIds = g* in conf/ark/rules.txt:4",
                "excludeGroupIds = h in conf/ark/rules.txt:4",
            ]
        );
        assert_eq!(
            texts(&rules.includes),
            ["includeArtifactIds = i in conf/ark/rules.txt:6"]
        );
        assert!(rules.indirect && rules.wrong.is_empty());
    }

    #[test]
    fn yaml_has_the_same_keys() {
        let rules = of(
            "bootstrap.yml",
            "excludes:\n  - a:b\n  - c:d\nexcludeWithIndirectDependencies: false\nexcludeSameBaseDependency: false\nbuildFailWhenExcludeDiffBaseDependency: true\ndeclared:\n  libraries:\n    whitelist: x:y\nsofa:\n  ark: true\n",
        );
        assert_eq!(texts(&rules.excludes).len(), 2);
        assert!(!rules.indirect);
        assert!(rules.same_only.is_some() && rules.keep_same.is_some());
        assert_eq!(rules.whitelist[0].artifact(), "y");
        assert_eq!(rules.wrong, []);
    }

    #[test]
    fn what_is_no_rule_is_told() {
        let told = |name: &str, text: &str| -> Vec<String> {
            let wrong = of(name, text).wrong;
            wrong.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            told(
                "rules.txt",
                "exclude=a:b\nexcludes=guava\nc:d\npackExcludesUrl=http://x"
            ),
            [
                "conf/ark/rules.txt:1: exclude = a:b: there is no such rule, and it does nothing: did you mean excludes?",
                "conf/ark/rules.txt:2: excludes = guava: it is no groupId:artifactId[:version[:classifier]], and does nothing",
                &format!(
                    "conf/ark/rules.txt:3: c = d: there is no such rule, and it does nothing: there are {}",
                    KEYS.join(", ")
                ),
                "conf/ark/rules.txt:4: packExcludesUrl = http://x: it is not read: the base's profile tells what the base has",
            ]
        );
        assert_eq!(
            told("bootstrap.properties", "logging.path=x\nkoupleless.a=b"),
            [""; 0]
        );
        assert_eq!(
            told(
                "bootstrap.properties",
                "excludeWithIndirectDependencies=yes"
            )
            .len(),
            1
        );
        assert_eq!(told("bootstrap.yml", "a: [").len(), 1);
    }
}
