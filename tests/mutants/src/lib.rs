//! Mutants: patches that each break one invariant of the product, for a copy of it.
//!
//! In: the patches beside this crate. Out: what each breaks, a copy of the working tree with one of them
//! applied. A simulation that does not find a mutant proves nothing about that invariant.

mod tree;

pub use tree::{Tree, applies};

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The word before the invariant in a patch's first line.
const BREAKS: &str = "Breaks: ";

/// One patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its file's name, without the extension.
    pub name: String,
    /// The invariant that it breaks, in a line.
    pub breaks: String,
    /// Its file.
    pub patch: PathBuf,
}

/// The folder with the patches.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("patches")
}

/// Every mutant, by name.
///
/// # Errors
/// When a patch cannot be read, or does not say in its first line what it breaks.
pub fn all() -> Result<Vec<Mutant>> {
    let folder = folder();
    let mut mutants = Vec::new();
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let patch = entry?.path();
        let text = fs::read_to_string(&patch).with_context(|| patch.display().to_string())?;
        let breaks = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix(BREAKS));
        let (Some(breaks), Some(name)) = (breaks, patch.file_stem()) else {
            bail!("{} does not begin with `{BREAKS}`", patch.display());
        };
        mutants.push(Mutant {
            name: name.to_string_lossy().into_owned(),
            breaks: breaks.to_owned(),
            patch,
        });
    }
    mutants.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(mutants)
}
