//! Builds the cases. Goes in: their sources, the base's jar. Comes out: an
//! ark-biz jar each. One JVM compiles them all.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::case::Case;

/// A case, and the jar that was made of it.
#[derive(Debug)]
pub struct Built {
    /// The case.
    pub case: Case,
    /// Its jar, as a build would leave it: not slimmed.
    pub jar: PathBuf,
}

/// Builds all cases into a folder.
///
/// # Errors
/// When one does not compile; the compiler's words are in the message.
pub fn build(cases: Vec<Case>, base_jar: &Path, folder: &Path) -> Result<Vec<Built>> {
    let base = folder.join("base-libraries");
    unpack_libraries(base_jar, &base)?;
    let base_path: Vec<PathBuf> = ferry_rig::digest::files(&base)?.into_values().collect();
    let java = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
    let mut tasks = String::new();
    for case in &cases {
        let classes = folder.join(&case.name);
        let mut path = base_path.clone();
        let mut task = |from: &Path, to: PathBuf, more: Option<PathBuf>| -> Result<()> {
            let mut sources = sources(from)?;
            sources.extend(more);
            if sources.is_empty() {
                return Ok(());
            }
            let list = |paths: &[PathBuf], by: &str| {
                let texts: Vec<String> = paths.iter().map(|it| it.display().to_string()).collect();
                texts.join(by)
            };
            let (path_text, sources) = (list(&path, ":"), list(&sources, "\t"));
            writeln!(tasks, "{}\t{path_text}\t{sources}", to.display())?;
            // What is compiled later meets this first.
            path.insert(0, to);
            Ok(())
        };
        task(&case.folder.join("stub"), classes.join("stub"), None)?;
        for library in libraries(case)? {
            task(
                &case.folder.join("lib").join(&library),
                classes.join("lib").join(&library),
                None,
            )?;
        }
        let answer = Some(java.join("demo/Answer.java"));
        task(&case.folder.join("module"), classes.join("module"), answer)?;
    }
    let list = folder.join("tasks");
    fs::write(&list, tasks)?;
    let output = Command::new(ferry_rig::tools::jdk()?.java())
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg(java.join("Compile.java"))
        .arg(&list)
        .output()
        .context("java does not start")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    cases
        .into_iter()
        .map(|case| {
            let jar = pack(&case, &folder.join(&case.name), &base)
                .with_context(|| format!("case {}", case.name))?;
            Ok(Built { case, jar })
        })
        .collect()
}

fn libraries(case: &Case) -> Result<Vec<String>> {
    let folder = case.folder.join("lib");
    let mut names = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = ferry_rig::digest::files(folder)?;
    Ok(files.into_values().collect())
}

/// The base's jars, so that javac and the cases find them.
fn unpack_libraries(base_jar: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut base = ZipArchive::new(File::open(base_jar)?)?;
    for index in 0..base.len() {
        let mut entry = base.by_index(index)?;
        let name = entry.name().to_owned();
        if let Some(file) = name
            .strip_prefix("BOOT-INF/lib/")
            .filter(|it| !it.is_empty())
        {
            std::io::copy(&mut entry, &mut File::create(to.join(file))?)?;
        }
    }
    Ok(())
}

/// The manifest, the classes at the root, the libraries stored in `lib/`.
fn pack(case: &Case, classes: &Path, base: &Path) -> Result<PathBuf> {
    let mut manifest = format!(
        "Manifest-Version: 1.0\r\nMain-Class: demo.Main\r\nArk-Biz-Name: {}\r\nArk-Biz-Version: 1.0.0\r\n",
        case.name
    );
    if !case.declared.is_empty() {
        write!(
            manifest,
            "declared-libraries: {}\r\n",
            case.declared.join(",")
        )?;
    }
    for (key, value) in &case.manifest {
        write!(manifest, "{key}: {value}\r\n")?;
    }
    manifest.push_str("\r\n");
    let mut entries = vec![
        ("META-INF/MANIFEST.MF".to_owned(), manifest.into_bytes()),
        ("corpus-case".to_owned(), case.name.clone().into_bytes()),
    ];
    entries.extend(class_files(&classes.join("module"), case)?);
    for library in libraries(case)? {
        let classes = class_files(&classes.join("lib").join(&library), case)?;
        entries.push((format!("lib/{library}.jar"), zip(&classes)?));
    }
    for file in &case.carry {
        let mut bytes = Vec::new();
        File::open(base.join(file))
            .with_context(|| format!("the base has no {file}"))?
            .read_to_end(&mut bytes)?;
        entries.push((format!("lib/{file}"), bytes));
    }
    let jar = classes.with_extension("jar");
    fs::write(&jar, zip(&entries)?)?;
    Ok(jar)
}

fn class_files(folder: &Path, case: &Case) -> Result<Vec<(String, Vec<u8>)>> {
    let mut entries = Vec::new();
    for (name, path) in ferry_rig::digest::files(folder)? {
        let mut bytes = fs::read(path)?;
        if let Some(major) = case.major {
            bytes[6..8].copy_from_slice(&major.to_be_bytes());
        }
        entries.push((name, bytes));
    }
    Ok(entries)
}

fn zip(entries: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut writer = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        writer.start_file(name, options)?;
        writer.write_all(bytes)?;
    }
    Ok(writer.finish()?.into_inner())
}
