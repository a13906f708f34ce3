//! Looks for secrets where none may be: in all that the bus stores, and in all logs.
//!
//! In: folders, secrets. Out: which secret stands in which file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use memchr::memmem::Finder;

/// Every place in which a secret stands. The bus does not compress what it stores, so a message's
/// bytes stand in its files as they are.
pub fn told(folders: &[&Path], secrets: &[(String, String)]) -> Result<Vec<String>> {
    let finders: Vec<(&str, Finder<'_>)> = secrets
        .iter()
        .map(|(name, secret)| (name.as_str(), Finder::new(secret.as_bytes())))
        .collect();
    let mut found = Vec::new();
    for folder in folders {
        look(folder, &finders, &mut found)?;
    }
    Ok(found)
}

fn look(folder: &Path, finders: &[(&str, Finder<'_>)], found: &mut Vec<String>) -> Result<()> {
    let failed = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(failed)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, finders, found)?;
            continue;
        }
        // The server removes files while it runs.
        let Ok(bytes) = fs::read(&path) else { continue };
        for (name, finder) in finders {
            if finder.find(&bytes).is_some() {
                found.push(format!("{name} stands in {}", path.display()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_stands() -> Result<()> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("deep"))?;
        fs::write(
            dir.path().join("deep/block"),
            b"\x00\x01before s3cret after",
        )?;
        fs::write(dir.path().join("other"), b"nothing")?;
        let secrets = [("the key".to_owned(), "s3cret".to_owned())];
        let found = told(&[dir.path()], &secrets)?;
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("the key stands in"), "{found:?}");
        Ok(())
    }
}
