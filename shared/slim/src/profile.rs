//! What one build of a base provides. Goes in: the base's Spring Boot jar, or
//! a profile that was stored. Comes out: [`BaseProfile`], the same bytes for
//! the same base.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::library::Library;
use crate::limits::{Budget, Limits};
use crate::{SlimError, io_error};

/// The only format of the JSON that is written and read.
pub const PROFILE_FORMAT: u32 = 1;

const LIBRARIES: &str = "BOOT-INF/lib/";

/// The libraries of one build of a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseProfile {
    /// [`PROFILE_FORMAT`].
    pub format: u32,
    /// Every `BOOT-INF/lib/*.jar`, by file name.
    pub libraries: Vec<Library>,
}

impl BaseProfile {
    /// Makes a profile from a base's jar.
    ///
    /// # Errors
    /// [`SlimError::NotABase`] for another jar, and those of reading a zip.
    pub fn from_jar<R: Read + Seek>(reader: R, limits: Limits) -> Result<Self, SlimError> {
        let mut budget = Budget::new(limits);
        let mut archive = Archive::open(reader, None, &mut budget)?;
        let mut libraries = Vec::new();
        for index in 0..archive.entries.len() {
            let name = &archive.entries[index].name;
            if name.starts_with(LIBRARIES) && name.ends_with(".jar") {
                libraries.push(Library::read(&mut archive, index, &mut budget)?);
            }
        }
        if libraries.is_empty() {
            return Err(SlimError::NotABase);
        }
        libraries.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(Self {
            format: PROFILE_FORMAT,
            libraries,
        })
    }

    /// Reads a profile's JSON.
    ///
    /// # Errors
    /// [`SlimError::BadProfile`] for other bytes or another format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SlimError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bad = |what: &str, source| SlimError::BadProfile {
            what: what.to_owned(),
            source,
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| {
            bad(
                "this is neither a base's jar nor a base profile; give the jar of the base",
                Some(error),
            )
        })?;
        if format != PROFILE_FORMAT {
            return Err(bad(
                &format!(
                    "the base profile has format {format}, and {PROFILE_FORMAT} is the one known here; make it again from the base's jar"
                ),
                None,
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| {
            bad(
                "the base profile is damaged; make it again from the base's jar",
                Some(error),
            )
        })
    }

    /// Reads either a base's jar or a profile's JSON, told apart by their first
    /// two bytes.
    ///
    /// # Errors
    /// Those of [`Self::from_jar`] and [`Self::from_json`], and [`SlimError::Io`].
    pub fn load(path: &Path, limits: Limits) -> Result<Self, SlimError> {
        let io = |source| io_error("read", path, source);
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        (&mut file).take(2).read_to_end(&mut start).map_err(io)?;
        file.rewind().map_err(io)?;
        if start == b"PK" {
            return Self::from_jar(BufReader::new(file), limits);
        }
        let mut bytes = Vec::new();
        // A profile is a few MB; more than the limit is not one.
        file.take(limits.max_unpacked)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Self::from_json(&bytes)
    }

    /// The JSON to store: the same profile gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("strings, numbers and maps with string keys always serialize")
    }

    /// SHA-256 of [`Self::to_json`], as 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.to_json()))
    }
}
