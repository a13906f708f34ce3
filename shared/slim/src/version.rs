//! The stamp that tells two builds apart: `<pom version>-<commit,8>-<content,12>`.
//! Goes in: the entries that a slimmed jar will hold, the commit. Comes out:
//! the version. Times and whatever else differs between two builds of one
//! commit leave no trace in it, and it leaves none in itself.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek};

use ferry_ark::manifest::keys;
use ferry_ark::{MANIFEST_PATH, Manifest};
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::error::SlimError;
use crate::limits::{Budget, MAX_MANIFEST};
use crate::shake::Instead;

const COMMIT_DIGITS: usize = 8;
const CONTENT_DIGITS: usize = 12;

/// Manifest keys that say when, where and by whom a jar was built, and nothing
/// of what it does. Two builds of one commit differ in them, so they are not
/// part of the content. The commit itself is in the stamp by its own part; the
/// branch may differ for one commit. From sofa-ark-maven-plugin, but for the
/// last two: maven-archiver before 3.4 and bnd write those.
pub const VOLATILE_KEYS: &[&str] = &[
    keys::BUILD_TIME,
    "build-user",
    "build-email",
    "remote-origin-url",
    "commit-branch",
    keys::COMMIT_ID,
    "commit-user-name",
    "commit-user-email",
    "commit-time",
    "commit-timestamp",
    "Built-By",
    "Bnd-LastModified",
];

/// What stands for the commit in a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    commit: Option<String>,
}

impl Stamp {
    /// A stamp for a commit that is known.
    ///
    /// # Errors
    /// [`SlimError::BadCommit`] unless it has at least 8 digits, all hexadecimal.
    pub fn commit(commit: &str) -> Result<Self, SlimError> {
        if commit.len() < COMMIT_DIGITS || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SlimError::BadCommit {
                commit: commit.to_owned(),
            });
        }
        Ok(Self {
            commit: Some(commit[..COMMIT_DIGITS].to_ascii_lowercase()),
        })
    }

    /// A stamp for a jar whose commit is not known: the first digits of the
    /// packaged digest take its place. A jar that bears a stamp keeps those of
    /// that stamp, or slimming it again would give another version.
    #[must_use]
    pub fn packaged() -> Self {
        Self { commit: None }
    }

    /// The version to write in place of `version`.
    pub(crate) fn version(&self, version: &str, packaged: &str, content: &str) -> String {
        let (pom, stamped) = unstamped(version);
        let commit = self
            .commit
            .as_deref()
            .or(stamped)
            .unwrap_or(&packaged[..COMMIT_DIGITS]);
        format!("{pom}-{commit}-{}", &content[..CONTENT_DIGITS])
    }
}

/// A version without the stamp that it may bear, and that stamp's commit.
#[must_use]
pub fn unstamped(version: &str) -> (&str, Option<&str>) {
    let hex = |part: &str, digits: usize| {
        part.len() == digits
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let parted = version.rsplit_once('-').and_then(|(rest, content)| {
        let (pom, commit) = rest.rsplit_once('-')?;
        let is_stamp = hex(content, CONTENT_DIGITS) && hex(commit, COMMIT_DIGITS);
        (is_stamp && !pom.is_empty()).then_some((pom, commit))
    });
    match parted {
        Some((pom, commit)) => (pom, Some(commit)),
        None => (version, None),
    }
}

/// SHA-256 over the entries that stay, by name, as hexadecimal digits.
/// `manifest` stands in for the one in the archive, and so do others.
pub(crate) fn content<R: Read + Seek>(
    archive: &mut Archive<R>,
    stays: &dyn Fn(&str) -> bool,
    manifest: &Manifest,
    instead: &Instead,
    budget: &mut Budget,
) -> Result<String, SlimError> {
    let mut digests = BTreeMap::new();
    for index in 0..archive.entries.len() {
        let entry = archive.entries[index].clone();
        if !stays(&entry.name) {
            continue;
        }
        let digest = if let Some(bytes) = instead.get(&entry.name) {
            let mut jar = Archive::open(std::io::Cursor::new(bytes), Some(&entry.name), budget)?;
            of_entries(&mut jar, budget)?
        } else if entry.name == MANIFEST_PATH {
            of_manifest(manifest)
        } else if entry.name.ends_with(".jar") {
            of_nested(archive, index, budget)?
        } else {
            of_entry(archive, index, budget)?
        };
        digests.insert(entry.name, digest);
    }
    Ok(hex::encode(combine(&digests)))
}

type Hash = [u8; 32];

fn combine(digests: &BTreeMap<String, Hash>) -> Hash {
    let mut hash = Sha256::new();
    for (name, digest) in digests {
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(digest);
    }
    hash.finalize().into()
}

/// A nested jar by its own entries, so that its zip times do not count. One
/// that cannot be read that way counts by its bytes.
fn of_nested<R: Read + Seek>(
    outer: &mut Archive<R>,
    index: usize,
    budget: &mut Budget,
) -> Result<Hash, SlimError> {
    let mut bytes = Sha256::new();
    let spool = outer.spool(index, budget, &mut bytes)?;
    let label = outer.label(index);
    match Archive::open(BufReader::new(spool), Some(&label), budget) {
        Ok(mut jar) => of_entries(&mut jar, budget),
        Err(SlimError::NotAZip { .. }) => Ok(bytes.finalize().into()),
        Err(error) => Err(error),
    }
}

fn of_entries<R: Read + Seek>(
    jar: &mut Archive<R>,
    budget: &mut Budget,
) -> Result<Hash, SlimError> {
    let mut digests = BTreeMap::new();
    for index in 0..jar.entries.len() {
        let name = jar.entries[index].name.clone();
        let manifest = match name == MANIFEST_PATH {
            true => jar.read_small(index, MAX_MANIFEST, budget)?,
            false => None,
        };
        let digest = match manifest.and_then(|bytes| Manifest::parse(&bytes).ok()) {
            Some(manifest) => of_manifest(&manifest),
            None => of_entry(jar, index, budget)?,
        };
        digests.insert(name, digest);
    }
    Ok(combine(&digests))
}

fn of_entry<R: Read + Seek>(
    archive: &mut Archive<R>,
    index: usize,
    budget: &mut Budget,
) -> Result<Hash, SlimError> {
    let name = &archive.entries[index].name;
    if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
        // maven-archiver before 3.5 wrote the time as a comment.
        if let Some(bytes) = archive.read_small(index, MAX_MANIFEST, budget)? {
            let mut hash = Sha256::new();
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                if !line.starts_with(b"#") {
                    hash.update(line);
                }
            }
            return Ok(hash.finalize().into());
        }
    }
    let mut hash = Sha256::new();
    archive.read_into(index, budget, &mut hash)?;
    Ok(hash.finalize().into())
}

/// The main section's keys in order of name, without the volatile ones and the
/// version; then the other sections as they stand.
fn of_manifest(manifest: &Manifest) -> Hash {
    let volatile = |key: &str| {
        key.eq_ignore_ascii_case(keys::VERSION)
            || VOLATILE_KEYS
                .iter()
                .any(|one| key.eq_ignore_ascii_case(one))
    };
    let mut hash = Sha256::new();
    let mut put = |key: &str, value: &str| {
        for text in [key, value] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
    };
    let main: BTreeMap<String, &str> = manifest
        .entries()
        .filter(|(key, _)| !volatile(key))
        .map(|(key, value)| (key.to_ascii_lowercase(), value))
        .collect();
    for (key, value) in main {
        put(&key, value);
    }
    for section in manifest.sections() {
        put("", "");
        for (key, value) in section {
            put(key, value);
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_taken_off_and_nothing_else() {
        for (version, pom, commit) in [
            ("1.0.0", "1.0.0", None),
            ("1.0.0-0a1b2c3d-0123456789ab", "1.0.0", Some("0a1b2c3d")),
            (
                "1.0-rc-1-0a1b2c3d-0123456789ab",
                "1.0-rc-1",
                Some("0a1b2c3d"),
            ),
            (
                "1.0.0-0A1B2C3D-0123456789ab",
                "1.0.0-0A1B2C3D-0123456789ab",
                None,
            ),
            (
                "1.0.0-0a1b2c3d-0123456789a",
                "1.0.0-0a1b2c3d-0123456789a",
                None,
            ),
            ("-0a1b2c3d-0123456789ab", "-0a1b2c3d-0123456789ab", None),
            ("0a1b2c3d-0123456789ab", "0a1b2c3d-0123456789ab", None),
        ] {
            assert_eq!(unstamped(version), (pom, commit), "{version}");
        }
    }

    #[test]
    fn a_commit_is_hexadecimal_and_long_enough() {
        assert!(Stamp::commit("0A1b2c3d4e").is_ok());
        for bad in ["", "0a1b2c3", "HEAD~1xx", "0a1b2c3g"] {
            let error = Stamp::commit(bad).expect_err(bad);
            assert!(error.to_string().contains(&format!("{bad:?}")));
        }
    }
}
