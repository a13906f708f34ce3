//! Drift: a base that shows something other than what the installer left there.
//!
//! In: what is shown and the installer's fact, look by look. Out: differences, once they were seen twice in
//! a row while nothing was being changed. Modules that Ferry never touched there are none of its business.

use std::collections::BTreeMap;

use ferry_events::{base::ModuleOnBase, fact::BaseRecord};
use serde::{Deserialize, Serialize};

/// Looks between two readings of a fact that agreed: a fact only changes when the base does, which is seen;
/// this catches a base that did not change although the fact did.
const READ_EVERY: u32 = 15;

/// How one module differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The version that was left; none: it was taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// The versions that are there.
    pub actual: Vec<String>,
    /// The module's revision in the record that this was seen against.
    #[serde(default)]
    pub revision: u64,
}

/// Where a base differs from what was left there, by module.
pub fn differences(left: &BaseRecord, shown: &[ModuleOnBase]) -> BTreeMap<String, Difference> {
    let mut found = BTreeMap::new();
    for (module, left) in &left.modules {
        let wanted: Vec<&str> = left.version.as_deref().into_iter().collect();
        let there = || shown.iter().filter(|one| one.name == left.biz);
        let all: Vec<&str> = there().map(|one| one.version.as_str()).collect();
        let active: Vec<&str> = there()
            .filter(|one| one.state == "activated")
            .map(|one| one.version.as_str())
            .collect();
        let actual = match (all == wanted, active == wanted) {
            (true, true) => continue,
            (false, _) => all,
            // It is there, and does not run.
            (true, false) => active,
        };
        let actual = actual.into_iter().map(str::to_owned).collect();
        found.insert(
            module.clone(),
            Difference {
                wanted: left.version.clone(),
                actual,
                revision: left.revision,
            },
        );
    }
    found
}

/// What one process remembers of its looks at one base.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    misses: u32,
    shown: Option<Vec<ModuleOnBase>>,
    /// Looks since the fact was read.
    age: u32,
    /// A difference that was seen once, and the fact that it was seen against.
    suspected: Option<(BTreeMap<String, Difference>, BaseRecord)>,
}

impl Watch {
    /// A look was missed. How many in a row by now.
    pub fn missed(&mut self) -> u32 {
        self.misses = self.misses.saturating_add(1);
        // What was seen before the silence confirms nothing after it.
        self.suspected = None;
        self.shown = None;
        self.misses
    }

    /// Whether the last look was missed.
    pub fn is_silent(&self) -> bool {
        self.misses > 0
    }

    /// A base answered. Whether the fact has to be read to know what to make of it.
    pub fn looked(&mut self, shown: &[ModuleOnBase]) -> bool {
        self.misses = 0;
        let changed = self.shown.as_deref() != Some(shown);
        self.shown = Some(shown.to_vec());
        self.age += 1;
        changed || self.suspected.is_some() || self.age >= READ_EVERY
    }

    /// Compares the last look with the fact as it stands after it. None: that is not known yet.
    pub fn compare(&mut self, fact: &BaseRecord) -> Option<BTreeMap<String, Difference>> {
        self.age = 0;
        let shown = self.shown.as_deref().unwrap_or_default();
        if fact.busy {
            self.suspected = None;
            return None;
        }
        let found = differences(fact, shown);
        if found.is_empty() {
            self.suspected = None;
            return Some(found);
        }
        let confirmed = self
            .suspected
            .as_ref()
            .is_some_and(|(before, against)| *before == found && against == fact);
        if confirmed {
            // It is said; from now on it is looked at as rarely as agreement is.
            self.suspected = None;
            return Some(found);
        }
        self.suspected = Some((found, fact.clone()));
        None
    }
}
