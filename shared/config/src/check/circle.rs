//! Orders that go round in a circle.
//! In: what comes after what. Out: each circle once, in words.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Each circle, with the first of its names.
pub(super) fn circles<'a>(after: &BTreeMap<&'a str, Vec<&'a str>>) -> Vec<(&'a str, String)> {
    let (mut said, mut found) = (BTreeSet::new(), Vec::new());
    for name in after.keys() {
        let Some(mut circle) = circle(name, after) else {
            continue;
        };
        if circle.iter().any(|name| said.contains(name)) {
            continue;
        }
        said.extend(circle.iter().copied());
        circle.push(name);
        let circle = circle.join(" after ");
        found.push((*name, format!("the order goes round in a circle: {circle}")));
    }
    found
}

/// The shortest way from a name back to itself.
fn circle<'a>(name: &'a str, after: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([vec![name]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way.last()?;
        for next in after.get(last).into_iter().flatten() {
            if *next == name {
                return Some(way);
            }
            if seen.insert(*next) {
                let mut longer = way.clone();
                longer.push(next);
                ways.push_back(longer);
            }
        }
    }
    None
}
