//! Makes a failing script short. In: a script and how it fails. Out: one with as few parts that still
//! fails the same way.

use std::collections::BTreeSet;

use crate::{Outcome, Script, run};

/// The kind of a failure: its words without names and numbers.
fn kind(broken: &str) -> String {
    broken
        .chars()
        .filter(|c| c.is_ascii_alphabetic() || *c == ' ')
        .take(24)
        .collect()
}

fn fails_alike(outcome: &Outcome, kinds: &BTreeSet<String>) -> bool {
    outcome
        .broken
        .iter()
        .any(|broken| kinds.contains(&kind(broken)))
}

/// Takes parts out, one after the other, until no more can go.
pub fn shrink(script: &Script, failed: &Outcome) -> (Script, Outcome) {
    let kinds = failed.broken.iter().map(|broken| kind(broken)).collect();
    let (mut script, mut outcome) = (script.clone(), failed.clone());
    loop {
        let parts = script.parts();
        let mut shorter = false;
        for part in &parts {
            let mut left: BTreeSet<String> = script.parts().into_iter().collect();
            left.remove(part);
            let candidate = script.only(&left);
            let result = run(candidate.clone());
            if fails_alike(&result, &kinds) {
                (script, outcome) = (candidate, result);
                shorter = true;
            }
        }
        if !shorter {
            return (script, outcome);
        }
    }
}
