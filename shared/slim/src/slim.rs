//! The whole way of one jar. Goes in: paths of a packaged jar and of the one
//! to write, a base profile, a stamp, limits. Comes out: the slimmed file,
//! written whole or not at all, and a [`Report`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{BufReader, BufWriter, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ferry_ark::manifest::keys;
use ferry_link::Verdict;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::decide::{Choice, decide};
use crate::growth::Growth;
use crate::inspect::{is_library, read_manifest};
use crate::library::Library;
use crate::limits::{Budget, Limits};
use crate::profile::BaseProfile;
use crate::proof::{Told, prove_module};
use crate::rewrite::{Failed, rewrite};
use crate::version::{Stamp, content};
use crate::{SlimError, io_error};

/// What slimming did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version`, stamped.
    pub version: String,
    /// `web-context-path` with a leading slash, where the module has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_context_path: Option<String>,
    /// SHA-256 of the packaged jar, as 64 hexadecimal digits.
    pub packaged: String,
    /// SHA-256 of the slimmed jar, as 64 hexadecimal digits.
    pub digest: String,
    /// Size of the packaged jar in bytes.
    pub bytes_before: u64,
    /// Size of the slimmed jar in bytes.
    pub bytes_after: u64,
    /// Digest of the base profile; none where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What the base provides, by entry.
    pub left_out: Vec<Choice>,
    /// What the module carries, by entry.
    pub kept: Vec<Choice>,
    /// `declared-libraries` of the slimmed jar.
    pub declared_libraries: Vec<String>,
    /// What the module's owner should know, a sentence each.
    pub notes: Vec<String>,
    /// Whether the slimmed jar links on the base; none without a profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Verdict>,
    /// The difference to an earlier version, where one was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Growth>,
}

/// Slims one jar. Without a profile nothing is left out and the version is
/// stamped all the same. Slimming the output again changes no byte.
///
/// # Errors
/// [`SlimError`]; nothing is then written at `output`.
pub fn slim(
    input: &Path,
    profile: Option<&BaseProfile>,
    stamp: &Stamp,
    output: &Path,
    limits: Limits,
) -> Result<Report, SlimError> {
    let reading = |source| io_error("read", input, source);
    let mut file = File::open(input).map_err(reading)?;
    let bytes_before = file.metadata().map_err(reading)?.len();
    let mut budget = Budget::new(limits);
    let packaged = digest(&mut file).map_err(reading)?;
    file.rewind().map_err(reading)?;
    let mut archive = Archive::open(BufReader::new(file), None, &mut budget)?;
    let (mut manifest, ark) = read_manifest(&mut archive, &mut budget)?;

    let mut libraries = Vec::new();
    for index in 0..archive.entries.len() {
        if is_library(&archive.entries[index].name) {
            libraries.push(Library::read(&mut archive, index, &mut budget)?);
        }
    }
    let decision = decide(&libraries, &ark.declared_libraries, profile)
        .map_err(|conflicts| SlimError::Mismatch { conflicts })?;
    let gone: BTreeSet<&str> = decision
        .left_out
        .iter()
        .map(|choice| choice.entry.as_str())
        .collect();
    let stays = |name: &str| !gone.contains(name);

    if decision.declared != ark.declared_libraries {
        manifest.set(keys::DECLARED_LIBRARIES, &decision.declared.join(","))?;
    }
    let content = content(&mut archive, &stays, &manifest, &mut budget)?;
    let version = stamp.version(&ark.version, &packaged, &content);
    manifest.set(keys::VERSION, &version)?;

    let proof = match profile {
        Some(profile) => {
            let told = Told {
                ark: &ark,
                manifest: &manifest,
                declared: &decision.declared,
            };
            let lost = lost(&libraries, &gone);
            Some(prove_module(
                &mut archive,
                &stays,
                &told,
                &lost,
                profile,
                &mut budget,
            )?)
        }
        None => None,
    };

    let (digest, bytes_after) = write(&mut archive, &stays, &manifest.to_bytes(), output)?;
    Ok(Report {
        name: ark.name,
        version,
        web_context_path: ark.web_context_path,
        packaged,
        digest,
        bytes_before,
        bytes_after,
        profile: profile.map(BaseProfile::digest),
        left_out: decision.left_out,
        kept: decision.kept,
        declared_libraries: decision.declared,
        notes: decision.notes,
        proof,
        since: None,
    })
}

/// The classes of what is left out, and the entry of each.
fn lost(libraries: &[Library], gone: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let mut lost = BTreeMap::new();
    for library in libraries {
        let entry = format!("lib/{}", library.file);
        if gone.contains(entry.as_str()) {
            for (package, class) in library.each_class() {
                let name = match package {
                    "" => class.to_owned(),
                    _ => format!("{package}/{class}"),
                };
                lost.insert(name, entry.clone());
            }
        }
    }
    lost
}

/// Writes beside the output and moves it there when it is whole.
fn write<R: std::io::Read + Seek>(
    archive: &mut Archive<R>,
    stays: &dyn Fn(&str) -> bool,
    manifest: &[u8],
    output: &Path,
) -> Result<(String, u64), SlimError> {
    let writing = |source| io_error("write", output, source);
    let directory = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        // The umask decides, as for any file; the crate's default is the owner only.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)
        .map_err(writing)?;
    let mut buffer = rewrite(
        archive,
        stays,
        manifest,
        BufWriter::new(temporary.as_file_mut()),
    )
    .map_err(|failed| match failed {
        Failed::Reading(error) => error,
        Failed::Writing(source) => writing(source),
    })?;
    buffer.flush().map_err(writing)?;
    drop(buffer);
    let written = temporary.as_file_mut();
    let bytes = written.stream_position().map_err(writing)?;
    written.rewind().map_err(writing)?;
    let digest = digest(written).map_err(writing)?;
    temporary
        .persist(output)
        .map_err(|error| writing(error.error))?;
    Ok((digest, bytes))
}

fn digest(file: &mut File) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(file, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}
