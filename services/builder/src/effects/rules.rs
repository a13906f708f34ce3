//! The rules by which a module's project slims, at the commit that is built.
//!
//! In: the mirror, the commit. Out: `conf/ark/rules.txt` and the like, to go with the artifact. They are
//! looked for in the module's folder, then in each one above it; the nearest of a name counts. They are read
//! from git, not from the folder: a link in a repository leads nowhere.

use ferry_events::artifact::RulesFile;
use ferry_runtime::Failure;
use ferry_slim::rules;

use super::{
    files::{Blob, Listing},
    mirror::Mirror,
};
use crate::decide::build::BuildWork;

/// Reads what there is.
pub(super) async fn read(
    mirror: &Mirror,
    listing: &Listing,
    work: &BuildWork,
) -> Result<Vec<RulesFile>, Failure> {
    let mut files = Vec::new();
    for name in rules::NAMES {
        for folder in folders(&work.settings.path) {
            let name = format!("{folder}{}/{name}", rules::FOLDER);
            if !listing.has(&name) {
                continue;
            }
            let blob = mirror.blob(&work.commit, &name, rules::MAX).await;
            let text = match blob.map_err(|error| error.failure())? {
                Blob::None => continue,
                Blob::TooLarge(_) | Blob::NoFile => None,
                Blob::Bytes(bytes) => String::from_utf8(bytes).ok(),
            };
            files.push(RulesFile { name, text });
            break;
        }
    }
    Ok(files)
}

/// A module's folder and those above it, the nearest first, each with a slash at its end; the repository's
/// root is empty.
fn folders(path: &str) -> Vec<String> {
    let mut parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let mut folders = Vec::new();
    while !parts.is_empty() {
        folders.push(format!("{}/", parts.join("/")));
        parts.pop();
    }
    folders.push(String::new());
    folders
}

#[cfg(test)]
mod tests {
    use super::folders;

    #[test]
    fn rules_are_looked_for_upwards() {
        assert_eq!(folders("."), [""]);
        assert_eq!(folders("./shops/cart/"), ["shops/cart/", "shops/", ""]);
    }
}
