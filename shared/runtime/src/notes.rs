//! What a service does without, although it works.
//!
//! In: what its effects noticed. Out: what `/readyz` says beside "ready".

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Notes, one for each thing that they are about; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<BTreeMap<String, String>>>);

impl Notes {
    /// Notes what is to be said about something, or that there is nothing any more.
    pub fn note(&self, about: &str, text: Option<String>) {
        let mut notes = self.0.lock().expect("no panic under this lock");
        match text {
            Some(text) => notes.insert(about.to_owned(), text),
            None => notes.remove(about),
        };
    }

    /// All that is to be said, in the order of what it is about.
    pub fn all(&self) -> Vec<String> {
        let notes = self.0.lock().expect("no panic under this lock");
        notes.values().cloned().collect()
    }
}
