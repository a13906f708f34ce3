//! What people read when a build fails: golden, from what Maven 3.8.7 really wrote.
//!
//! `tests/fixtures/maven` was recorded in the builder's sandbox, with the demo's module broken in one
//! way each; only the repository's address was replaced.

use std::{fs, path::Path};

use ferry_builder::decide::{
    classify,
    lines::{LOG_MAX, Log},
};
use ferry_runtime::Failure;

fn recorded() -> Vec<(String, Vec<String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/maven");
    let mut found: Vec<_> = fs::read_dir(folder)
        .expect("fixtures")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let mut log = Log::new("/ferry/src", 1, LOG_MAX);
            for line in fs::read_to_string(&path).expect("a text").lines() {
                log.take(line);
            }
            (
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned(),
                log.kept(),
            )
        })
        .collect();
    found.sort();
    found
}

#[test]
fn each_way_to_fail_has_its_reason_and_first_useful_lines() {
    let recorded = recorded();
    assert!(recorded.len() > 15);
    let mut screen = String::new();
    for (name, lines) in recorded {
        let failure = classify::failed(&lines, 40);
        let later = matches!(failure, Failure::Again(_));
        let stop = failure.into_stop();
        let network = if classify::wants_network(&lines) {
            ", is tried again with the network"
        } else if later {
            ", is tried again later"
        } else {
            ""
        };
        screen += &format!("== {name}: {}{network}\n{}\n\n", stop.reason, stop.detail);
    }
    insta::assert_snapshot!(screen);
}
