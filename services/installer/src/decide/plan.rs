//! What comes next on a base: planned anew from each observation, never from what a reply said.
//!
//! In: the task in hand and what the base shows. Out: the next change, or none: the task is through.

use ferry_events::task::Want;

use super::{Change, InHand, Present, StepName};

/// The version that is active.
pub(super) fn active(seen: &[Present]) -> Option<&Present> {
    seen.iter().find(|present| present.state.is_active())
}

/// What a base shows, for people.
pub(super) fn shown(seen: &[Present]) -> String {
    if seen.is_empty() {
        return "nothing".to_owned();
    }
    let each: Vec<String> = seen
        .iter()
        .map(|one| format!("{} {}", one.version, one.state))
        .collect();
    each.join(", ")
}

/// The next change: towards what is wanted, or after a failure back to what was there.
pub(super) fn next_change(hand: &InHand, seen: &[Present]) -> Option<(StepName, Change)> {
    match &hand.failed {
        None => forward(hand, seen),
        Some(_) => back(hand, seen),
    }
}

/// Towards what the task wants.
fn forward(hand: &InHand, seen: &[Present]) -> Option<(StepName, Change)> {
    let want = hand.task.want.as_ref();
    let right = |present: &Present| {
        present.state.is_active() && want.is_some_and(|want| want.version == present.version)
    };
    let is_there = seen.iter().any(right);
    let others = seen.iter().filter(|present| !right(present));
    if let Some(version) = first_to_go(others) {
        return Some((StepName::Uninstall, Change::Uninstall { version }));
    }
    match want {
        Some(want) if !is_there => {
            let want = want.clone();
            let change = match hand.untold {
                true => Change::Explain { want },
                false => Change::Install { want },
            };
            Some((StepName::Install, change))
        }
        _ => None,
    }
}

/// After a failure: what is left of it out, then the version before in.
fn back(hand: &InHand, seen: &[Present]) -> Option<(StepName, Change)> {
    let restore: Option<&Want> = hand.task.restore.as_ref().filter(|restore| {
        hand.restorable
            && Some(&restore.version) != hand.task.want.as_ref().map(|want| &want.version)
    });
    let is_there = |present: &Present| {
        present.state.is_active()
            && restore.is_some_and(|restore| restore.version == present.version)
    };
    if seen.iter().any(is_there) {
        return None;
    }
    let leftovers = seen
        .iter()
        .filter(|present| !hand.stuck.contains(&present.version));
    if let Some(version) = first_to_go(leftovers) {
        return Some((StepName::Uninstall, Change::Uninstall { version }));
    }
    // One that would not go and is active holds the name, and with a web module the path.
    if active(seen).is_some() {
        return None;
    }
    let restore = restore.filter(|restore| !hand.stuck.contains(&restore.version))?;
    Some((
        StepName::Restore,
        Change::Install {
            want: restore.clone(),
        },
    ))
}

/// Inactive ones first: if one of them will not go, what answers now still answers.
fn first_to_go<'p>(present: impl Iterator<Item = &'p Present>) -> Option<String> {
    present
        .min_by_key(|one| (one.state.is_active(), &one.version))
        .map(|one| one.version.clone())
}
