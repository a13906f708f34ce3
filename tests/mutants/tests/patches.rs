//! Every mutant applies to the tree as it stands, changes the product alone, and none is missing.

use std::{collections::BTreeSet, fs};

use ferry_mutants::{all, applies};
use ferry_tools::workspace_root;

#[test]
fn every_patch_applies_to_the_tree_as_it_stands() {
    let rotten: Vec<String> = all()
        .unwrap()
        .iter()
        .filter_map(|mutant| applies(&workspace_root(), &mutant.patch).err())
        .map(|error| error.to_string())
        .collect();
    assert!(rotten.is_empty(), "{}", rotten.join("\n"));
}

/// A switch in a test could hide what the product does.
#[test]
fn every_patch_changes_the_product_alone() {
    for mutant in all().unwrap() {
        let text = fs::read_to_string(&mutant.patch).unwrap();
        let changed: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("+++ b/"))
            .collect();
        assert!(!changed.is_empty(), "{}", mutant.name);
        for file in changed {
            let product = file.starts_with("shared/") || file.starts_with("services/");
            assert!(product && file.contains("/src/"), "{}: {file}", mutant.name);
        }
    }
}

#[test]
fn each_named_invariant_has_its_mutant() {
    let names: BTreeSet<String> = all().unwrap().into_iter().map(|it| it.name).collect();
    for name in [
        "publish-first",
        "ack-first",
        "random-ids",
        "no-intent",
        "trust-the-reply",
        "max-deliver-3",
        "supersede-by-arrival",
        "previous-not-verified",
        "flush-skipped",
    ] {
        assert!(names.contains(name), "{name}");
    }
}
