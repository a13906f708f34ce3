//! Base profiles, read once.
//!
//! In: a base's jar or a profile as JSON; what was read from the store. Out: the profile, from memory while it
//! is the same.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use ferry_events::Digest;
use ferry_slim::{BaseProfile, Limits, SlimError};
use tokio::sync::Mutex;

/// When a file was written, and its size: a base's jar is replaced by another file, not edited.
type Mark = Option<(SystemTime, u64)>;

/// The profiles in memory, one for each pool's base build: a handful.
#[derive(Default)]
pub struct Profiles {
    known: Mutex<BTreeMap<PathBuf, (Mark, Arc<BaseProfile>)>>,
    /// Those that are in the store, by the base: the last one of each.
    stored: Mutex<BTreeMap<String, (Digest, Arc<BaseProfile>)>>,
}

impl Profiles {
    /// The profile of a base of that name in the store, where it was the last that was read.
    pub async fn known(&self, base: &str, stored: &Digest) -> Option<Arc<BaseProfile>> {
        let held = self.stored.lock().await;
        let (digest, profile) = held.get(base)?;
        (digest == stored).then(|| profile.clone())
    }

    /// Holds a profile that was read from the store.
    pub async fn keep(&self, base: &str, stored: &Digest, profile: Arc<BaseProfile>) {
        let mut held = self.stored.lock().await;
        held.insert(base.to_owned(), (stored.clone(), profile));
    }

    /// The profile of a base's jar or of a profile's JSON.
    ///
    /// # Errors
    /// When the file cannot be read or is neither.
    pub async fn get(&self, path: &Path) -> Result<Arc<BaseProfile>, SlimError> {
        let mark = mark(path).await;
        let mut known = self.known.lock().await;
        if let Some((then, profile)) = known.get(path)
            && mark.is_some()
            && *then == mark
        {
            return Ok(profile.clone());
        }
        let file = path.to_owned();
        let profile =
            tokio::task::spawn_blocking(move || BaseProfile::load(&file, Limits::default()))
                .await
                .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let profile = Arc::new(profile);
        known.insert(path.to_owned(), (mark, profile.clone()));
        Ok(profile)
    }
}

async fn mark(path: &Path) -> Mark {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
