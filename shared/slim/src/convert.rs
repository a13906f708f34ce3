//! Makes an ark-biz jar of a jar that is none. Goes in: a plain Spring Boot jar,
//! or a plain jar of classes, and what it does not tell by itself. Comes out: a
//! jar that a base can install: the same entries where a base looks for them,
//! their compressed bytes copied as they are; the same input gives the same bytes.
//!
//! A Spring Boot jar's classes and libraries move from `BOOT-INF/classes/` and
//! `BOOT-INF/lib/` to the root and to `lib/`. Its launcher is left out, and with
//! it the file system that it registers and the two lists for it: a base starts
//! the module's own main class. Where both the root and `BOOT-INF/classes/` have
//! an entry, the latter's is the application's.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use ferry_ark::manifest::keys;
use ferry_ark::{MANIFEST_PATH, Manifest, ManifestError};
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::archive::Archive;
use crate::library::Pom;
use crate::limits::{Budget, Limits, MAX_MANIFEST};
use crate::{SlimError, io_error};

const CLASSES: &str = "BOOT-INF/classes/";
const LIBRARIES: &str = "BOOT-INF/lib/";
const LAUNCHER: &str = "org/springframework/boot/loader/";
/// The launcher registers a file system of its own here since Spring Boot 3.2.
const LAUNCHER_SERVICE: &str = "META-INF/services/java.nio.file.spi.FileSystemProvider";
/// What only the launcher reads.
const LAUNCHER_KEYS: &[&str] = &[
    "Spring-Boot-Classes",
    "Spring-Boot-Lib",
    "Spring-Boot-Classpath-Index",
    "Spring-Boot-Layers-Index",
    "Launcher-Agent-Class",
];
/// As sofa-ark-maven-plugin writes it.
const PRIORITY: &str = "100";

/// What the jar does not tell, or tells otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `Ark-Biz-Name`; else its artifactId.
    pub name: Option<String>,
    /// `Ark-Biz-Version`; else its Maven version.
    pub version: Option<String>,
    /// The class to start; else that of the manifest.
    pub main_class: Option<String>,
    /// `web-context-path`; else, where it carries Spring's web server side, its name.
    pub web_context_path: Option<String>,
}

/// What was made of a jar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// `Ark-Biz-Name`.
    pub name: String,
    /// `Ark-Biz-Version`.
    pub version: String,
    /// The class to start.
    pub main_class: String,
    /// `web-context-path` as it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_context_path: Option<String>,
    /// It was a Spring Boot jar; else a plain one.
    pub spring_boot: bool,
}

/// Converts one jar; none where it is an ark-biz already, and nothing is written.
///
/// # Errors
/// [`SlimError::CannotConvert`] where it does not tell what a base must know,
/// those of reading a zip, and [`SlimError::Io`]; nothing is then at `output`.
pub fn convert(
    input: &Path,
    identity: &Identity,
    output: &Path,
    limits: Limits,
) -> Result<Option<Converted>, SlimError> {
    let file = File::open(input).map_err(|source| io_error("read", input, source))?;
    let mut budget = Budget::new(limits);
    let mut archive = Archive::open(BufReader::new(file), None, &mut budget)?;
    let mut manifest = manifest(&mut archive, &mut budget)?;
    if manifest
        .get(keys::NAME)
        .is_some_and(|it| !it.trim().is_empty())
    {
        return Ok(None);
    }
    if archive
        .entries
        .iter()
        .any(|it| it.name.starts_with("WEB-INF/"))
    {
        return Err(cannot(
            "it is a war",
            "package it as a jar: `<packaging>jar</packaging>`",
        ));
    }
    let targets = targets(&archive);
    let made = told(&mut archive, &manifest, identity, &targets, &mut budget)?;
    apply(&mut manifest, &made)?;

    let writing = |source| io_error("write", output, source);
    let folder = match output.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(writing)?;
    write(
        &mut archive,
        &targets,
        &manifest.to_bytes(),
        BufWriter::new(temporary.as_file_mut()),
        &writing,
    )?;
    temporary
        .persist(output)
        .map_err(|error| writing(error.error))?;
    Ok(Some(made))
}

fn cannot(what: &str, next: &str) -> SlimError {
    SlimError::CannotConvert {
        what: what.to_owned(),
        next: next.to_owned(),
    }
}

fn manifest<R: Read + Seek>(
    archive: &mut Archive<R>,
    budget: &mut Budget,
) -> Result<Manifest, SlimError> {
    let Some(index) = archive.position(MANIFEST_PATH) else {
        return Ok(Manifest::new());
    };
    let bytes = archive.read_small(index, MAX_MANIFEST, budget)?;
    let limit = MAX_MANIFEST;
    Ok(Manifest::parse(
        &bytes.ok_or(SlimError::HugeManifest { limit })?,
    )?)
}

/// Where each entry goes, in their order; none for what is left out.
fn targets<R>(archive: &Archive<R>) -> Vec<Option<String>> {
    let names = || archive.entries.iter().map(|entry| entry.name.as_str());
    if !is_spring_boot(archive) {
        return names().map(|name| Some(name.to_owned())).collect();
    }
    let of_application: BTreeSet<&str> = names()
        .filter_map(|name| name.strip_prefix(CLASSES))
        .collect();
    let target = |name: &str| {
        if let Some(inner) = name.strip_prefix(CLASSES) {
            // A manifest that lies among the classes is nobody's.
            return (!inner.is_empty() && inner != MANIFEST_PATH).then(|| inner.to_owned());
        }
        if let Some(file) = name.strip_prefix(LIBRARIES) {
            return Some(format!("lib/{file}"));
        }
        let launcher = name.starts_with(LAUNCHER)
            || LAUNCHER.starts_with(name)
            || name == LAUNCHER_SERVICE
            || name.starts_with("BOOT-INF/");
        let hidden = of_application.contains(name) && name != MANIFEST_PATH;
        (!launcher && !hidden).then(|| name.to_owned())
    };
    names().map(target).collect()
}

fn is_spring_boot<R>(archive: &Archive<R>) -> bool {
    let mut names = archive.entries.iter().map(|entry| entry.name.as_str());
    names.any(|name| name.starts_with("BOOT-INF/"))
}

/// Who it is: as it was asked for, else by its manifest and its Maven coordinates.
fn told<R: Read + Seek>(
    archive: &mut Archive<R>,
    manifest: &Manifest,
    identity: &Identity,
    targets: &[Option<String>],
    budget: &mut Budget,
) -> Result<Converted, SlimError> {
    let mut poms = Vec::new();
    for index in 0..archive.entries.len() {
        let name = &archive.entries[index].name;
        if name.starts_with("META-INF/maven/")
            && name.ends_with("/pom.properties")
            && let Some(text) = archive.read_small(index, MAX_MANIFEST, budget)?
        {
            poms.push(Pom::parse(&String::from_utf8_lossy(&text)));
        }
    }
    // A jar that others were shaded into has theirs too; then nobody knows whose is whose.
    let pom = match poms.len() {
        1 => poms.pop(),
        _ => None,
    };
    let (artifact, pom_version) = pom
        .map(|pom| (pom.artifact, pom.version))
        .unwrap_or_default();
    let of = |key: &str| {
        let value = manifest.get(key).map(str::trim);
        value.filter(|it| !it.is_empty()).map(str::to_owned)
    };
    let main_class = (identity.main_class.clone())
        .or_else(|| of(keys::START_CLASS))
        .or_else(|| of(keys::MAIN_CLASS))
        .filter(|class| !class.starts_with("org.springframework.boot.loader."));
    let name = identity.name.clone().or(artifact);
    let name = name.or_else(|| of("Implementation-Title"));
    let version = identity.version.clone().or(pom_version);
    let version = version.or_else(|| of("Implementation-Version"));
    let missing = |what: &str, option: &str| {
        cannot(
            &format!("it does not tell its {what}"),
            &format!("give it with `{option}`"),
        )
    };
    let name = name.ok_or_else(|| missing("name", "--biz-name"))?;
    let is_web = targets.iter().flatten().any(|target| {
        let file = target.strip_prefix("lib/").unwrap_or_default();
        ["spring-webmvc-", "spring-webflux-"]
            .iter()
            .any(|start| file.starts_with(start))
    });
    let web_context_path = identity.web_context_path.clone();
    Ok(Converted {
        version: version.ok_or_else(|| missing("version", "--biz-version"))?,
        main_class: main_class.ok_or_else(|| missing("main class", "--main-class"))?,
        web_context_path: web_context_path.or_else(|| is_web.then(|| name.clone())),
        spring_boot: is_spring_boot(archive),
        name,
    })
}

fn apply(manifest: &mut Manifest, made: &Converted) -> Result<(), ManifestError> {
    for key in LAUNCHER_KEYS {
        manifest.remove(key);
    }
    manifest.set(keys::MAIN_CLASS, &made.main_class)?;
    manifest.set(keys::START_CLASS, &made.main_class)?;
    manifest.set(keys::NAME, &made.name)?;
    manifest.set(keys::VERSION, &made.version)?;
    if manifest.get(keys::PRIORITY).is_none() {
        manifest.set(keys::PRIORITY, PRIORITY)?;
    }
    if let Some(path) = &made.web_context_path {
        manifest.set(keys::WEB_CONTEXT_PATH, path)?;
    }
    Ok(())
}

fn write<R: Read + Seek, W: Write + Seek>(
    archive: &mut Archive<R>,
    targets: &[Option<String>],
    manifest: &[u8],
    output: W,
    writing: &dyn Fn(std::io::Error) -> SlimError,
) -> Result<(), SlimError> {
    let failed = |error: zip::result::ZipError| writing(error.into());
    let mut writer = ZipWriter::new(output);
    let comment = archive.zip.comment().into();
    writer.set_raw_comment(comment).map_err(failed)?;
    let put_manifest = |writer: &mut ZipWriter<W>, time: DateTime| {
        let options = SimpleFileOptions::default()
            .last_modified_time(time)
            .compression_method(CompressionMethod::Stored);
        writer.start_file(MANIFEST_PATH, options).map_err(failed)?;
        writer.write_all(manifest).map_err(writing)
    };
    if archive.position(MANIFEST_PATH).is_none() {
        put_manifest(&mut writer, DateTime::default())?;
    }
    for (index, target) in targets.iter().enumerate() {
        let Some(target) = target else { continue };
        let file = archive
            .zip
            .by_index_raw(index)
            .map_err(|error| SlimError::Corrupt {
                entry: archive.entries[index].name.clone(),
                source: error.into(),
            })?;
        if target == MANIFEST_PATH {
            let time = file.last_modified().filter(DateTime::is_valid);
            put_manifest(&mut writer, time.unwrap_or_default())?;
        } else {
            writer.raw_copy_file_rename(file, target).map_err(failed)?;
        }
    }
    writer.finish().map_err(failed)?.flush().map_err(writing)
}
