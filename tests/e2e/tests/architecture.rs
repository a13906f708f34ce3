//! What `docs/architecture.md` says of the tree, held by a test: directions of dependency, pure
//! decisions, and habits that no lint knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace")
}

/// Every crate of the workspace: its folder, and the Ferry crates that it is built from.
fn crates() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let root = root();
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        let folder = manifest
            .parent()
            .unwrap()
            .strip_prefix(&root)
            .unwrap()
            .display()
            .to_string();
        let needs = package["dependencies"].as_array().unwrap().iter();
        let needs = needs
            // What tests need is not in what is shipped.
            .filter(|need| need["kind"].is_null() && need["path"].is_string())
            .map(|need| text(&need["name"]))
            .collect();
        crates.insert(text(&package["name"]), (folder, needs));
    }
    crates
}

/// Rust sources below a folder, with their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source can be read");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    assert!(!found.is_empty(), "{folder} has sources");
    found
}

fn all_sources() -> Vec<(PathBuf, String)> {
    ["shared", "services", "cli", "tests", "xtask"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

#[test]
fn arrows_point_one_way() {
    let crates = crates();
    let level = |folder: &str| match folder {
        "shared/events" | "shared/ark" | "shared/link" | "shared/web" => 0,
        "shared/slim" | "shared/config" | "shared/api" | "shared/plan-check" => 1,
        "shared/bus" => 2,
        "shared/runtime" => 3,
        folder if folder.starts_with("services/") => 4,
        "cli" => 4,
        folder => {
            assert!(
                folder.starts_with("tests/") || folder == "xtask",
                "{folder} has no place in the layout"
            );
            5
        }
    };
    for (name, (folder, needs)) in &crates {
        for need in needs {
            let (needed, _) = &crates[need];
            assert!(
                level(needed) < level(folder) || (level(folder) == 5 && level(needed) == 5),
                "{name} ({folder}) must not depend on {need} ({needed})"
            );
        }
    }
    let (_, events) = &crates["ferry-events"];
    assert!(events.is_empty(), "ferry-events stands on nothing of Ferry");
    let (_, cli) = &crates["ferry"];
    assert!(
        !cli.contains("ferry-runtime"),
        "the command line runs no handlers"
    );
}

#[test]
fn decisions_know_no_clock_no_io_and_no_chance() {
    let banned = [
        "tokio::",
        "async fn",
        ".await",
        "SystemTime",
        "Instant::",
        "Utc::now",
        "rand::",
        "new_v4",
        "std::fs",
        "std::net",
        "std::process",
        "std::env",
        "reqwest",
        "tracing::",
        "println!",
    ];
    let mut seen = 0;
    for (path, text) in sources("services") {
        let inside = path.components().any(|part| part.as_os_str() == "decide")
            || path.file_name().is_some_and(|name| name == "decide.rs");
        if !inside || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        seen += 1;
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            for word in banned {
                assert!(
                    !line.contains(word),
                    "{}:{}: {word} in a decision",
                    path.display(),
                    number + 1
                );
            }
        }
    }
    assert!(seen >= 10, "the decisions were found");
}

/// What the other services may name of the bus: data and errors, nothing that acts.
const OF_THE_BUS: [&str; 4] = ["BusError", "Keep", "LogLine", "Record"];

#[test]
fn only_the_runtime_and_the_gateway_hold_a_bus() {
    let crates = crates();
    for service in ["builder", "slimmer", "scheduler", "installer", "verifier"] {
        let (_, needs) = &crates[&format!("ferry-{service}")];
        assert!(needs.contains("ferry-runtime"), "{service} has handlers");
        for (path, text) in sources(&format!("services/{service}/src")) {
            let at = path.display();
            for word in [
                "dyn Bus",
                ".commit(",
                "MemoryBus",
                "JetStream",
                "async_nats",
                "Hands::new",
                "Hands::watched",
                "ferry_runtime::run",
            ] {
                assert!(
                    !text.contains(word),
                    "{at}: {word}: only the runtime commits"
                );
            }
            for (place, found) in text.match_indices("ferry_bus::") {
                let names = text[place + found.len()..].trim_start();
                let names = match names.strip_prefix('{') {
                    Some(list) => list.split('}').next().unwrap_or_default(),
                    None => names
                        .split(|c: char| !c.is_alphanumeric() && c != '_')
                        .next()
                        .unwrap_or_default(),
                };
                for name in names
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                {
                    assert!(OF_THE_BUS.contains(&name), "{at}: ferry_bus::{name}");
                }
            }
            // The command line can connect to the bus; only a main has one.
            let main = path.ends_with("src/main.rs");
            assert!(
                main || !text.contains("ferry_runtime::Args") && !text.contains("Args,"),
                "{at}: a handler has no command line"
            );
        }
    }
    // Nobody but the bus itself talks to NATS.
    for (path, text) in sources("services").into_iter().chain(sources("cli")) {
        let test = path.components().any(|part| part.as_os_str() == "tests");
        assert!(
            test || !text.contains("async_nats"),
            "{}: async_nats outside of shared/bus",
            path.display()
        );
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in all_sources() {
        let first = text
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        assert!(
            first.starts_with("//!"),
            "{} begins without //!",
            path.display()
        );
    }
}

#[test]
fn a_main_is_a_few_lines() {
    for (path, text) in sources("services") {
        if path.ends_with("src/main.rs") {
            assert!(
                text.lines().count() <= 40,
                "{} is long for a main",
                path.display()
            );
        }
    }
}

#[test]
fn every_select_is_biased() {
    for (path, text) in all_sources() {
        for (at, found) in text.match_indices(concat!("select", "! {")) {
            let mut code = text[at + found.len()..].lines().map(str::trim);
            let first = code.find(|line| !line.is_empty() && !line.starts_with("//"));
            let line = text[..at].lines().count();
            assert_eq!(
                first,
                Some("biased;"),
                "{}:{line}: an unbiased select",
                path.display()
            );
        }
    }
}

#[test]
fn every_reason_has_its_line_in_the_docs() {
    let page = fs::read_to_string(root().join("docs/reasons.md")).expect("docs/reasons.md");
    for reason in ferry_events::Reason::ALL {
        assert!(
            page.contains(&format!("`{}`", reason.code())),
            "{reason} is missing in docs/reasons.md"
        );
    }
}

#[test]
fn every_kind_of_event_is_in_the_docs() {
    let page = fs::read_to_string(root().join("docs/events.md")).expect("docs/events.md");
    for kind in ferry_events::Kind::ALL {
        assert!(
            page.contains(&kind.type_name()),
            "{} is missing in docs/events.md",
            kind.type_name()
        );
    }
}

#[test]
fn links_between_the_docs_lead_somewhere() {
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(|page| root().join(page))
        .into();
    pages.extend(
        fs::read_dir(root().join("docs"))
            .expect("docs")
            .flatten()
            .map(|entry| entry.path()),
    );
    for page in pages
        .iter()
        .filter(|page| page.extension().is_some_and(|extension| extension == "md"))
    {
        let text =
            fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let there = page.parent().unwrap().join(file).exists();
            assert!(
                there,
                "{} links to {target}, which is not there",
                page.display()
            );
        }
    }
}
