//! The example and the smallest file: they load, and the example is complete and
//! true about defaults, judged by the schema that the types make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../ferry.example.toml");

/// The example with its `#key = value` lines switched on.
fn switched_on() -> String {
    let on = |line: &str| {
        let key = line
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        key.unwrap_or(line).to_owned()
    };
    EXAMPLE.lines().map(on).collect::<Vec<_>>().join("\n")
}

fn load(folder: &Path, text: &str) -> ferry_config::Loaded {
    let file = folder.join("ferry.toml");
    std::fs::write(&file, text).unwrap();
    ferry_config::load(&file).unwrap_or_else(|found| {
        panic!(
            "{}",
            found
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        )
    })
}

#[test]
fn the_example_loads_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(folder.path(), EXAMPLE);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.environments_in_order(), ["pre", "prod"]);
}

#[test]
fn the_example_loads_with_every_key_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    let bases = "[[bases]]\nname = \"prod-2\"\narklet = \"http://127.0.0.1:1240\"\nurl = \"http://127.0.0.1:8082\"\n";
    std::fs::write(folder.path().join("bases.toml"), bases).unwrap();
    let loaded = load(folder.path(), &switched_on());
    let names: Vec<_> = loaded
        .config
        .bases_of("hello", "prod")
        .iter()
        .map(|(_, base)| base.name.clone())
        .collect();
    assert_eq!(names, ["prod-1", "prod-2"]);
    assert!(loaded.files.contains(&folder.path().join("bases.toml")));
}

#[test]
fn the_example_has_every_key_of_the_schema_with_its_default() {
    let schema = ferry_config::schema();
    let mut keys = BTreeMap::new();
    keys_of(&schema, &schema, "", None, &mut keys);
    let example: Value = toml::from_str(&switched_on()).unwrap();
    let mut written = BTreeMap::new();
    leaves(&example, &schema, &schema, "", &mut written);

    let all: BTreeSet<_> = keys.keys().cloned().collect();
    let there: BTreeSet<_> = written.keys().cloned().collect();
    assert_eq!(
        all.difference(&there).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "missing"
    );
    assert!(all.len() > 60, "the schema was not walked: {all:?}");

    // Only keys that are on count: one that is off shows a value, not a default.
    let example: Value = toml::from_str(EXAMPLE).unwrap();
    let mut on = BTreeMap::new();
    leaves(&example, &schema, &schema, "", &mut on);
    for (key, default) in keys {
        if let (Some(default), Some(values)) = (default, on.get(&key)) {
            // A duration has several forms ("1m", "60s"); they are the same.
            let form = |value: &Value| {
                let text = value
                    .as_str()
                    .and_then(|text| ferry_config::text::duration::parse(text).ok());
                text.map_or_else(|| value.to_string(), |value| format!("{value:?}"))
            };
            for value in values {
                assert_eq!(form(value), form(&default), "the default of {key}");
            }
        }
    }
}

#[test]
fn the_smallest_file_loads() {
    let folder = tempfile::tempdir().unwrap();
    let text = ferry_config::init_text("hello", "git@git.example:acme/hello.git").unwrap();
    let loaded = load(folder.path(), &text);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.environments_of_module("hello"), ["prod"]);
    assert_eq!(
        loaded.config.repositories["hello"].full_name(),
        "acme/hello"
    );
    assert!(text.lines().count() <= 14, "small means small");
    assert!(ferry_config::init_text("Hello", "https://git.example/x.git").is_err());
    assert!(ferry_config::init_text("hello", "ext::sh -c date").is_err());
}

/// Follows `$ref` and the option's `anyOf`.
fn follow<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return follow(
            root.pointer(reference.trim_start_matches('#')).unwrap(),
            root,
        );
    }
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(any) => follow(any.iter().find(|one| one["type"] != "null").unwrap(), root),
        None => schema,
    }
}

/// Every key that a file can have, as `pools.*.bases[].name`, with its default.
fn keys_of(
    schema: &Value,
    root: &Value,
    path: &str,
    default: Option<&Value>,
    keys: &mut BTreeMap<String, Option<Value>>,
) {
    let schema = follow(schema, root);
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (key, value) in properties {
            let default = value.get("default").or_else(|| default?.get(key));
            keys_of(value, root, &format!("{path}.{key}"), default, keys);
        }
    } else if schema["type"] == "object" {
        keys_of(
            &schema["additionalProperties"],
            root,
            &format!("{path}.*"),
            None,
            keys,
        );
    } else if schema["type"] == "array" && follow(&schema["items"], root)["type"] == "object" {
        keys_of(&schema["items"], root, &format!("{path}[]"), None, keys);
    } else {
        keys.insert(
            path.to_owned(),
            default.filter(|value| !value.is_null()).cloned(),
        );
    }
}

/// Every value of the file under the key's form in [`keys_of`].
fn leaves<'a>(
    value: &'a Value,
    schema: &Value,
    root: &Value,
    path: &str,
    to: &mut BTreeMap<String, Vec<&'a Value>>,
) {
    let schema = follow(schema, root);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match schema.get("properties").and_then(|all| all.get(key)) {
                    Some(schema) => leaves(value, schema, root, &format!("{path}.{key}"), to),
                    None => {
                        let schema = &schema["additionalProperties"];
                        leaves(value, schema, root, &format!("{path}.*"), to);
                    }
                }
            }
        }
        Value::Array(items) if items.first().is_some_and(Value::is_object) => {
            for item in items {
                leaves(item, &schema["items"], root, &format!("{path}[]"), to);
            }
        }
        leaf => to.entry(path.to_owned()).or_default().push(leaf),
    }
}
