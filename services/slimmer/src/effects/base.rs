//! Profiles of bases that are built from pushes.
//!
//! In: a base's jar in the store. Out: its profile in the store, with the difference to the one before; and the
//! profile back from there.

use std::{path::PathBuf, sync::Arc};

use ferry_events::{
    Digest, Reason, Stop,
    artifact::{Packaged, Profiled},
};
use ferry_runtime::Failure;
use ferry_slim::{BaseProfile, Diff, Kind, Limits, SlimError};
use tracing::warn;

use super::{SlimmerEffects, chain, disk, past, refusal, store};
use crate::decide::State;

impl SlimmerEffects {
    /// Makes the profile of a base's build.
    pub(super) async fn profiled(&self, packaged: &Packaged) -> Result<Profiled, Failure> {
        let (folder, jar) = self.packaged(packaged).await?;
        let profile = load(jar.clone())
            .await?
            .map_err(|error| match error.kind() {
                Kind::Profile => Stop::new(Reason::NotABase, chain(&error)).into(),
                _ => refusal(&error),
            })?;
        let before = self.before(&packaged.module).await;
        let diff = before.map(|before| Diff::of(&before, &profile));
        let report = match &diff {
            Some(diff) => Some(self.keep(diff, &jar).await?),
            None => None,
        };
        let json = profile.to_json();
        let file = folder.path().join("profile.json");
        let stored = self.put("the profile", json, file).await?;
        let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let gone = |list: fn(&Diff) -> &Vec<String>| diff.as_ref().map_or(0, |it| list(it).len());
        Ok(Profiled {
            run: packaged.run,
            module: packaged.module.clone(),
            commit: packaged.commit.clone(),
            packaged: packaged.digest.clone(),
            profile: profile
                .digest()
                .parse()
                .map_err(|error| Failure::OurFault(format!("{error}")))?,
            stored,
            libraries: counted(profile.libraries.len()),
            classes: counted(profile.classes.len()),
            report,
            classes_gone: counted(gone(|it| &it.classes_gone)),
            members_gone: counted(gone(|it| &it.members_gone)),
        })
    }

    /// The profile before; where it cannot be read nothing is compared.
    async fn before(&self, base: &str) -> Option<Arc<BaseProfile>> {
        let last = past::last(&self.hands, base).await;
        let found = match last.map_err(|error| store(&error)) {
            Ok(state) => match state.as_ref().and_then(State::profile) {
                Some(stored) => self.stored(base, stored).await,
                None => return None,
            },
            Err(failure) => Err(failure),
        };
        found
            .inspect_err(|failure| warn!(base, ?failure, "nothing is compared"))
            .ok()
    }

    /// A profile from the store.
    pub(super) async fn stored(
        &self,
        base: &str,
        stored: &Digest,
    ) -> Result<Arc<BaseProfile>, Failure> {
        if let Some(profile) = self.profiles.known(base, stored).await {
            return Ok(profile);
        }
        let folder = tempfile::tempdir_in(&self.folder)
            .map_err(|error| disk("a folder for the profile", &error))?;
        let file = folder.path().join("profile.json");
        self.hands
            .get_jar(stored, &file)
            .await
            .map_err(|error| store(&error))?;
        let profile = load(file).await?.map_err(|error| {
            let why = format!("the profile of {base}: {}", chain(&error));
            Stop::new(Reason::ProfileUnavailable, why)
        })?;
        let profile = Arc::new(profile);
        self.profiles.keep(base, stored, profile.clone()).await;
        Ok(profile)
    }
}

/// Reads a base's jar or a profile beside what else goes on.
async fn load(file: PathBuf) -> Result<Result<BaseProfile, SlimError>, Failure> {
    tokio::task::spawn_blocking(move || BaseProfile::load(&file, Limits::default()))
        .await
        .map_err(|error| Failure::OurFault(format!("the profile panicked: {error}")))
}
