//! Whether a verified push is worth a run.
//!
//! In: the configuration, the repository, the push. Out: nothing, or why it is
//! ignored. Where the delivery does not list all paths, the builder asks git.

use std::collections::BTreeSet;

use ferry_config::{Config, Repository, glob_set};

use super::forge::{Ignored, Push};

/// What a head commit's message says when its author wants no run. The two
/// spellings that GitHub and GitLab share; capitals do not matter.
pub const SKIP_MARKERS: [&str; 2] = ["[skip ci]", "[ci skip]"];

/// The repository that a forge's delivery names, with its name in the
/// configuration. Forges do not tell capitals apart in names.
#[must_use]
pub fn repository<'a>(
    config: &'a Config,
    forge: ferry_config::Forge,
    full_name: &str,
) -> Option<(&'a str, &'a Repository)> {
    config
        .repositories
        .iter()
        .find(|(_, it)| it.forge == forge && it.full_name().eq_ignore_ascii_case(full_name))
        .map(|(name, it)| (name.as_str(), it))
}

/// Says why a push starts nothing; nothing where it may.
#[must_use]
pub fn ignored(config: &Config, repository: &str, push: &Push) -> Option<Ignored> {
    let known = config.repositories.get(repository)?;
    let modules = config.modules_of_repository(repository);
    if modules.is_empty() {
        return Some(Ignored::NoModule);
    }
    if !matches_any(&known.branches, &push.branch) {
        return Some(Ignored::BranchNotWatched {
            branch: push.branch.clone(),
        });
    }
    if let Some(marker) = push.message.as_deref().and_then(skip_marker) {
        return Some(Ignored::SkipAsked { marker });
    }
    let paths = push.paths.as_ref()?;
    let watched: Vec<String> = modules
        .iter()
        .flat_map(|(_, module)| module.path_globs())
        .collect();
    (!touched(paths, &watched, &known.ignore)).then_some(Ignored::PathsNotWatched)
}

fn skip_marker(message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    SKIP_MARKERS
        .into_iter()
        .find(|marker| message.contains(marker))
}

fn touched(paths: &BTreeSet<String>, watched: &[String], ignored: &[String]) -> bool {
    paths
        .iter()
        .any(|path| matches_any(watched, path) && !matches_any(ignored, path))
}

// The configuration was checked: a glob that cannot be read does not get here,
// and would match nothing.
fn matches_any(globs: &[String], text: &str) -> bool {
    glob_set(globs.iter().map(String::as_str)).is_ok_and(|set| set.is_match(text))
}
