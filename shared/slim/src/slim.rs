//! The whole way of one jar. Goes in: paths of a packaged jar and of the one
//! to write, a base profile, a stamp, limits. Comes out: the slimmed file,
//! written whole or not at all, and a [`Report`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Permissions};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ferry_ark::manifest::keys;
use ferry_ark::{ArkManifest, Manifest};
use ferry_link::Verdict;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::compatible::settle;
use crate::decide::{Choice, Decision, Wanted, Why, decide, entry};
use crate::growth::Growth;
use crate::inspect::{is_library, read_manifest};
use crate::library::Library;
use crate::limits::{Budget, Limits};
use crate::profile::BaseProfile;
use crate::project::{blame, carried, indirect, same_only};
use crate::proof::{Told, prove_module};
use crate::rewrite::{Failed, rewrite};
use crate::rules::RuleTold;
use crate::shake::{Instead, Shaken, shake};
use crate::version::{Stamp, content};
use crate::wishes::{Versions, Wishes};
use crate::{SlimError, io_error};

/// What slimming did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version`, stamped.
    pub version: String,
    /// `web-context-path` with a leading slash, where the module has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What the base provides, by entry.
    pub left_out: Vec<Choice>,
    /// What the module carries, by entry.
    pub kept: Vec<Choice>,
    /// `declared-libraries` of the slimmed jar.
    pub declared_libraries: Vec<String>,
    /// What the module's owner should know, a sentence each.
    pub notes: Vec<String>,
    /// What the project's own rules got wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleTold>,
    /// Libraries that are carried in part, and why the others are not, where
    /// the module asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shaken: Vec<Shaken>,
    /// Whether the slimmed jar links on the base; none without a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Verdict>,
    /// The difference to an earlier version, where one was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Growth>,
}

/// Slims one jar that wants nothing of its own: see [`slim_as`].
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
    slim_as(input, profile, &Wishes::default(), stamp, output, limits)
}

/// Slims one jar. Without a profile nothing is left out and the version is
/// stamped all the same. Slimming the output again changes no byte.
///
/// # Errors
/// [`SlimError`]; nothing is then written at `output`.
pub fn slim_as(
    input: &Path,
    profile: Option<&BaseProfile>,
    wishes: &Wishes,
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
    let rules = wishes
        .rules
        .clone()
        .and(&carried(&mut archive, &mut budget)?);
    let mut way = Way {
        archive: &mut archive,
        libraries: &libraries,
        ark: &ark,
        manifest: &manifest,
        profile,
        wanted: Wanted {
            rules,
            ..Wanted::default()
        },
        instead: Instead::new(),
        limits,
    };
    let mut decision = way.decided()?;
    let mut proof = None;
    if wishes.versions == Versions::Compatible
        && let Some(first) = way.proof(&decision)?
    {
        let (settled, last) = settle(&libraries, decision, first, &mut |compatible| {
            way.with(compatible)
        })?;
        (decision, proof) = (settled, Some(last));
    }
    let mut shaken = Vec::new();
    if wishes.shake {
        let gone = gone(&decision);
        let stays = |name: &str| !gone.contains(name);
        let budget = &mut Budget::new(limits);
        (way.instead, shaken) = shake(way.archive, &libraries, &stays, budget)?;
    }
    if proof.is_none() || !way.instead.is_empty() {
        proof = way.proof(&decision)?;
    }
    let instead = way.instead;
    if let Some(proof) = &mut proof {
        blame(&mut decision, proof, &libraries, &way.wanted.rules);
    }
    let gone = gone(&decision);
    let stays = |name: &str| !gone.contains(name);

    if decision.declared != ark.declared_libraries {
        manifest.set(keys::DECLARED_LIBRARIES, &decision.declared.join(","))?;
    }
    let content = content(&mut archive, &stays, &manifest, &instead, &mut budget)?;
    let version = stamp.version(&ark.version, &packaged, &content);
    manifest.set(keys::VERSION, &version)?;

    let (digest, bytes_after) =
        write(&mut archive, &stays, &manifest.to_bytes(), &instead, output)?;
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
        rules: decision.rules,
        shaken,
        proof,
        since: None,
    })
}

/// One jar on its way to a decision that is proven.
struct Way<'a, R> {
    archive: &'a mut Archive<R>,
    libraries: &'a [Library],
    ark: &'a ArkManifest,
    manifest: &'a Manifest,
    profile: Option<&'a BaseProfile>,
    wanted: Wanted,
    instead: Instead,
    limits: Limits,
}

impl<R: Read + Seek> Way<'_, R> {
    fn decide(&self) -> Result<Decision, SlimError> {
        let declared = &self.ark.declared_libraries;
        decide(self.libraries, declared, self.profile, &self.wanted)
            .map_err(|conflicts| SlimError::Mismatch { conflicts })
    }

    /// The decision with every other version kept.
    fn decided(&mut self) -> Result<Decision, SlimError> {
        let mut decision = self.decide()?;
        if let Some(rule) = &self.wanted.rules.same_only {
            same_only(&decision, self.libraries, rule)?;
        }
        let excluded: BTreeSet<&str> = decision
            .left_out
            .iter()
            .filter(|choice| matches!(choice.why, Why::Excluded { .. }))
            .map(|choice| choice.entry.as_str())
            .collect();
        if self.wanted.rules.indirect && !excluded.is_empty() {
            let budget = &mut Budget::new(self.limits);
            let kept: BTreeSet<&str> = decision
                .kept
                .iter()
                .filter(|choice| !matches!(choice.why, Why::Included { .. }))
                .map(|choice| choice.entry.as_str())
                .collect();
            let found = indirect(self.archive, self.libraries, &excluded, &kept, budget)?;
            if !found.is_empty() {
                self.wanted.indirect = found;
                decision = self.decide()?;
            }
        }
        Ok(decision)
    }

    fn with(&mut self, compatible: &BTreeSet<String>) -> Result<(Decision, Verdict), SlimError> {
        self.wanted.compatible.clone_from(compatible);
        let decision = self.decide()?;
        let verdict = self.proof(&decision)?;
        Ok((
            decision,
            verdict.expect("only against a profile is anything compatible"),
        ))
    }

    /// None without a profile. The jar was within the limits when it was read;
    /// reading it again is no reason to refuse it.
    fn proof(&mut self, decision: &Decision) -> Result<Option<Verdict>, SlimError> {
        let Some(profile) = self.profile else {
            return Ok(None);
        };
        let gone = gone(decision);
        let told = Told {
            ark: self.ark,
            manifest: self.manifest,
            declared: &decision.declared,
        };
        let lost = lost(self.libraries, &gone);
        let stays = |name: &str| !gone.contains(name);
        let budget = &mut Budget::new(self.limits);
        prove_module(
            self.archive,
            &stays,
            &told,
            &lost,
            &self.instead,
            profile,
            budget,
        )
        .map(Some)
    }
}

/// The entries that are left out.
fn gone(decision: &Decision) -> BTreeSet<String> {
    let entries = decision.left_out.iter().map(|choice| &choice.entry);
    entries.cloned().collect()
}

/// The classes of what is left out, and the entry of each.
fn lost(libraries: &[Library], gone: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut lost = BTreeMap::new();
    for library in libraries {
        let entry = entry(library);
        if gone.contains(&entry) {
            lost.extend(library.class_names().map(|name| (name, entry.clone())));
        }
    }
    lost
}

/// Writes beside the output and moves it there when it is whole.
fn write<R: Read + Seek>(
    archive: &mut Archive<R>,
    stays: &dyn Fn(&str) -> bool,
    manifest: &[u8],
    instead: &Instead,
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
        instead,
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
