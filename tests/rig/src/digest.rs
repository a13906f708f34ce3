//! Names a folder by its content, so that what is built from it is built once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// 16 hex digits over the relative names and bytes of all files under `dir`,
/// build output (`target`) and git's own files left out.
///
/// # Errors
/// When a file cannot be read.
pub fn of_folder(dir: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    for (name, path) in files(dir)? {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for part in [name.as_bytes(), bytes.as_slice()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    Ok(hex::encode(&hash.finalize()[..8]))
}

/// All files under `dir` by their relative names, as [`of_folder`] sees them.
///
/// # Errors
/// When a folder cannot be read.
pub fn files(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if name != "target" && name != ".git" {
                    open.push(entry.path());
                }
            } else {
                let path = entry.path();
                let relative = path.strip_prefix(dir)?.to_string_lossy().into_owned();
                found.insert(relative, path);
            }
        }
    }
    Ok(found)
}

/// Copies all files under `from`, as [`files`] sees them, over `to`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn copy_over(from: &Path, to: &Path) -> Result<()> {
    for (name, path) in files(from)? {
        let target = to.join(name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(&path, &target)
            .with_context(|| format!("cannot copy {} to {}", path.display(), target.display()))?;
    }
    Ok(())
}
