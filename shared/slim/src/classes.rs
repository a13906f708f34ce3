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
pub(crate) const MAX_CLASS: u64 = 16 << 20;

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
    let mut batch = Batch::default();
    for (_, index) in picked.into_values() {
        batch.read(jar, index, budget)?;
        if batch.bytes.len() > BATCH {
            batch.hand_out(each);
        }
    }
    batch.hand_out(each);
    Ok(())
}

/// Classes are unpacked some at a time and then handed out. Unpacking needs large buffers for a
/// moment, and what is kept of a class is many small things: in turns, class by class, each buffer
/// would leave a hole behind, and a proof of 22,500 classes took three times the memory.
const BATCH: usize = 4 << 20;

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Each entry's name, and where its bytes end; none for one that cannot be read.
    entries: Vec<(String, Option<usize>)>,
}

impl Batch {
    fn read<R: Read + Seek>(
        &mut self,
        jar: &mut Archive<R>,
        index: usize,
        budget: &mut Budget,
    ) -> Result<(), SlimError> {
        let start = self.bytes.len();
        let fits = jar.entries[index].size <= MAX_CLASS;
        let read = match fits {
            true => jar.read_into(index, budget, &mut self.bytes),
            false => Ok(()),
        };
        let end = match read {
            Ok(()) => fits.then_some(self.bytes.len()),
            Err(error) if matches!(error.kind(), Kind::Refused | Kind::SizeLies) => {
                self.bytes.truncate(start);
                None
            }
            Err(error) => return Err(error),
        };
        self.entries.push((jar.label(index), end));
        Ok(())
    }

    fn hand_out(&mut self, each: &mut dyn FnMut(&str, Option<&[u8]>)) {
        let mut start = 0;
        for (name, end) in self.entries.drain(..) {
            each(&name, end.map(|end| &self.bytes[start..end]));
            start = end.unwrap_or(start);
        }
        self.bytes.clear();
    }
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
