//! What is known of each base, by its name: a map that is copied with every decision, so copies share all that
//! is the same.
//!
//! In: names and values. Out: the same, in the order of the names. As JSON it is an object.

use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};

/// A map from a base's name. A copy costs nothing; a change costs the way to one entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByBase<V>(RedBlackTreeMapSync<String, V>);

impl<V> Default for ByBase<V> {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl<V> ByBase<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.size()
    }

    pub(super) fn get(&self, base: &str) -> Option<&V> {
        self.0.get(base)
    }

    pub(super) fn contains_key(&self, base: &str) -> bool {
        self.0.contains_key(base)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &V)> {
        self.0.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }

    pub(super) fn insert(&mut self, base: String, value: V) {
        self.0.insert_mut(base, value);
    }

    pub(super) fn remove(&mut self, base: &str) {
        self.0.remove_mut(base);
    }
}

impl<V: Clone> ByBase<V> {
    /// An entry to change. One that is looked up is copied: ask `get` first where it may stay as it is.
    pub(super) fn get_mut(&mut self, base: &str) -> Option<&mut V> {
        self.0.get_mut(base)
    }

    /// An entry to change, made where there is none.
    pub(super) fn entry(&mut self, base: &str) -> &mut V
    where
        V: Default,
    {
        if !self.contains_key(base) {
            self.insert(base.to_owned(), V::default());
        }
        self.get_mut(base).expect("it was just made")
    }

    /// Changes every entry, and drops those for which this gives false.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str, &mut V) -> bool) {
        let kept = self.iter().filter_map(|(base, value)| {
            let mut value = value.clone();
            keep(base, &mut value).then(|| (base.clone(), value))
        });
        self.0 = kept.collect();
    }
}

impl<V> Extend<(String, V)> for ByBase<V> {
    fn extend<T: IntoIterator<Item = (String, V)>>(&mut self, entries: T) {
        for (base, value) in entries {
            self.insert(base, value);
        }
    }
}
