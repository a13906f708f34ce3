//! The class files of one archive, as a class loader picks them. Goes in: an
//! archive. Comes out: each class's bytes, once a name.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use ferry_ark::{MANIFEST_PATH, Manifest};

use crate::archive::Archive;
use crate::error::{Kind, SlimError};
use crate::limits::{Budget, MAX_MANIFEST};

/// A class file has at most 65,535 constants of at most 65,535 bytes; the
/// largest of a base's 27,000 has 0.5 MB.
const MAX_CLASS: u64 = 16 << 20;

/// The release that versions of multi-release jars are picked for, where the
/// base's is not known: the oldest that Spring Boot 3 runs on.
pub(crate) const USUAL_RELEASE: u16 = 17;

/// Hands every class below `prefix` to `each`, by entry and bytes; where a
/// multi-release jar has several, that of the newest release up to `release`.
/// None stands for an entry that cannot be read.
pub(crate) fn each_class<R: Read + Seek>(
    jar: &mut Archive<R>,
    prefix: &str,
    release: u16,
    budget: &mut Budget,
    each: &mut dyn FnMut(&str, Option<&[u8]>),
) -> Result<(), SlimError> {
    let versions = is_multi_release(jar, budget)?;
    let mut picked: BTreeMap<String, (u16, usize)> = BTreeMap::new();
    for (index, entry) in jar.entries.iter().enumerate() {
        let Some(path) = entry.name.strip_prefix(prefix) else {
            continue;
        };
        let (of, path) = match path.strip_prefix("META-INF/versions/") {
            None => (0, path),
            Some(rest) => match rest.split_once('/').map(|(of, path)| (of.parse(), path)) {
                Some((Ok(of), path)) if versions && of <= release => (of, path),
                _ => continue,
            },
        };
        let Some(name) = path.strip_suffix(".class") else {
            continue;
        };
        let simple = name.rsplit('/').next().unwrap_or_default();
        if path.starts_with("META-INF/") || matches!(simple, "module-info" | "package-info") {
            continue;
        }
        let place = picked.entry(name.to_owned()).or_insert((of, index));
        if of > place.0 {
            *place = (of, index);
        }
    }
    for (_, index) in picked.into_values() {
        let label = jar.label(index);
        match jar.read_small(index, MAX_CLASS, budget) {
            Ok(bytes) => each(&label, bytes.as_deref()),
            Err(error) if matches!(error.kind(), Kind::Refused | Kind::SizeLies) => {
                each(&label, None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_multi_release<R: Read + Seek>(
    jar: &mut Archive<R>,
    budget: &mut Budget,
) -> Result<bool, SlimError> {
    Ok(manifest(jar, budget)?.is_some_and(|manifest| {
        manifest
            .get("Multi-Release")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }))
}

/// A jar's manifest, where it has one that can be read.
pub(crate) fn manifest<R: Read + Seek>(
    jar: &mut Archive<R>,
    budget: &mut Budget,
) -> Result<Option<Manifest>, SlimError> {
    let Some(index) = jar.position(MANIFEST_PATH) else {
        return Ok(None);
    };
    let bytes = jar.read_small(index, MAX_MANIFEST, budget)?;
    Ok(bytes.and_then(|bytes| Manifest::parse(&bytes).ok()))
}
