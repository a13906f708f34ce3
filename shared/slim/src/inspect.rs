//! What a jar says of itself, without slimming it. Goes in: a path. Comes out:
//! [`Biz`], or the reason why the jar is no module.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use ferry_ark::{ArkManifest, MANIFEST_PATH, Manifest, ManifestError};
use serde::Serialize;

use crate::archive::Archive;
use crate::limits::{Budget, Limits, MAX_MANIFEST};
use crate::profile::LIBRARIES;
use crate::{SlimError, io_error};

/// An ark-biz jar, as its manifest and its entries tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Biz {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version` as it stands.
    pub version: String,
    /// `Start-Class`, or where that is missing `Main-Class`.
    pub main_class: String,
    /// `web-context-path` with a leading slash, where the module has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_context_path: Option<String>,
    /// `declared-libraries` in its order.
    pub declared_libraries: Vec<String>,
    /// `commit-id`, where the build knew its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// How many libraries it carries.
    pub libraries: usize,
    /// The jar's size in bytes.
    pub bytes: u64,
}

/// Reads what a jar says of itself. Its directory and its manifest are checked,
/// its other entries are not read.
///
/// # Errors
/// [`SlimError::PlainSpringBoot`], [`SlimError::PlainJar`], [`SlimError::NoManifest`] and
/// [`SlimError::Manifest`] where it is no ark-biz; those of reading a zip.
pub fn inspect(path: &Path) -> Result<Biz, SlimError> {
    let io = |source| io_error("read", path, source);
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    let mut budget = Budget::new(Limits::default());
    let mut archive = Archive::open(BufReader::new(file), None, &mut budget)?;
    let (_, ark) = read_manifest(&mut archive, &mut budget)?;
    Ok(Biz {
        name: ark.name,
        version: ark.version,
        main_class: ark.main_class,
        web_context_path: ark.web_context_path,
        declared_libraries: ark.declared_libraries,
        commit: ark.commit,
        libraries: archive
            .entries
            .iter()
            .filter(|entry| is_library(&entry.name))
            .count(),
        bytes,
    })
}

/// What a base's jar says of its version: `Implementation-Version`, where there is one. Its directory and
/// its manifest are checked, its other entries are not read.
///
/// # Errors
/// [`SlimError::NotABase`] for another jar, and those of reading a zip.
pub fn base_version(path: &Path) -> Result<Option<String>, SlimError> {
    let io = |source| io_error("read", path, source);
    let file = File::open(path).map_err(io)?;
    let mut budget = Budget::new(Limits::default());
    let mut archive = Archive::open(BufReader::new(file), None, &mut budget)?;
    let library = |name: &str| name.starts_with(LIBRARIES) && name.ends_with(".jar");
    if !archive.entries.iter().any(|entry| library(&entry.name)) {
        return Err(SlimError::NotABase);
    }
    let Some(index) = archive.position(MANIFEST_PATH) else {
        return Ok(None);
    };
    let bytes = archive.read_small(index, MAX_MANIFEST, &mut budget)?;
    let manifest = match bytes {
        Some(bytes) => Manifest::parse(&bytes)?,
        None => return Ok(None),
    };
    Ok(manifest.get("Implementation-Version").map(str::to_owned))
}

/// Whether an entry is a library that may be left out. What lies deeper, as
/// `lib/export/` does, is not the module's alone.
pub(crate) fn is_library(entry: &str) -> bool {
    entry
        .strip_prefix("lib/")
        .is_some_and(|file| file.ends_with(".jar") && !file.contains('/'))
}

/// The manifest and its meaning.
pub(crate) fn read_manifest<R: Read + Seek>(
    archive: &mut Archive<R>,
    budget: &mut Budget,
) -> Result<(Manifest, ArkManifest), SlimError> {
    let plain = archive
        .entries
        .iter()
        .any(|entry| entry.name.starts_with("BOOT-INF/"));
    let Some(index) = archive.position(MANIFEST_PATH) else {
        return Err(if plain {
            SlimError::PlainSpringBoot
        } else {
            SlimError::NoManifest
        });
    };
    let bytes =
        archive
            .read_small(index, MAX_MANIFEST, budget)?
            .ok_or(SlimError::HugeManifest {
                limit: MAX_MANIFEST,
            })?;
    let manifest = Manifest::parse(&bytes)?;
    match manifest.ark() {
        Ok(ark) => Ok((manifest, ark)),
        Err(ManifestError::NoName) if plain => Err(SlimError::PlainSpringBoot),
        Err(error @ ManifestError::NoName) => Err(SlimError::PlainJar(error)),
        Err(error) => Err(error.into()),
    }
}
