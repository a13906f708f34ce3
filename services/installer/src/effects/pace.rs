//! How long installations of each module take, so that no base is asked again and again before it can be done.
//!
//! In: how long each one took. Out: when the first look is worth it. A hint of this process alone: what it
//! says wrong costs a late look, never a wrong one.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

/// How many are remembered of each module.
const REMEMBERED: usize = 16;

/// The longest that is waited for without a look.
const BLIND_MAX: Duration = Duration::from_secs(2);

/// What was measured lately, by the module's name on bases.
#[derive(Debug, Default)]
pub(super) struct Paces {
    took: Mutex<BTreeMap<String, VecDeque<Duration>>>,
}

impl Paces {
    /// An installation was seen to be over.
    pub(super) fn took(&self, biz: &str, time: Duration) {
        let mut all = self.took.lock().expect("no panic under this lock");
        let took = all.entry(biz.to_owned()).or_default();
        took.truncate(REMEMBERED - 1);
        took.push_front(time);
    }

    /// For how long a look would be too early: three quarters of the shortest one.
    pub(super) fn too_early(&self, biz: &str) -> Duration {
        let all = self.took.lock().expect("no panic under this lock");
        let shortest = all.get(biz).and_then(|took| took.iter().min());
        shortest.map_or(Duration::ZERO, |time| (*time * 3 / 4).min(BLIND_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_of_the_last_ones_counts() {
        let paces = Paces::default();
        assert_eq!(paces.too_early("cart"), Duration::ZERO);
        paces.took("cart", Duration::from_millis(40));
        paces.took("cart", Duration::from_millis(400));
        assert_eq!(paces.too_early("cart"), Duration::from_millis(30));
        for _ in 0..REMEMBERED {
            paces.took("cart", Duration::from_secs(1));
        }
        assert_eq!(paces.too_early("cart"), Duration::from_millis(750));
        paces.took("pay", Duration::from_secs(60));
        assert_eq!(paces.too_early("pay"), BLIND_MAX);
    }
}
