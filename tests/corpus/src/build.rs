//! Builds the cases. Goes in: their sources, the base's jar. Comes out: an
//! ark-biz jar each. One JVM compiles them all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use ferry_rig::maven::hello_with;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::case::Case;

/// The base's Lombok, which is also what compiles with it.
const LOMBOK: &str = "lombok-1.18.32.jar";

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
pub async fn build(cases: Vec<Case>, base_jar: &Path, folder: &Path) -> Result<Vec<Built>> {
    let mut demos = BTreeMap::new();
    for case in &cases {
        if let Some(properties) = &case.demo {
            let made = hello_with(properties).await?;
            let jar = folder.join(format!("{}.jar", case.name));
            fs::copy(made, &jar)?;
            demos.insert(case.name.clone(), jar);
        }
    }
    let base = folder.join("base-libraries");
    unpack_libraries(base_jar, &base)?;
    let base_path: Vec<PathBuf> = ferry_rig::digest::files(&base)?.into_values().collect();
    let java = Path::new(env!("CARGO_MANIFEST_DIR")).join("java");
    let mut tasks = String::new();
    for case in cases.iter().filter(|case| case.demo.is_none()) {
        let classes = folder.join(&case.name);
        let mut path = base_path.clone();
        let mut task = |from: &Path, to: PathBuf, more: Option<PathBuf>| -> Result<()> {
            let mut sources = sources(from)?;
            sources.extend(more);
            let lombok = base.join(LOMBOK);
            let option = match case.lombok {
                true => format!("-processorpath\t{}", lombok.display()),
                false => "-proc:none".to_owned(),
            };
            if sources.is_empty() {
                return Ok(());
            }
            let list = |paths: &[PathBuf], by: &str| {
                let texts: Vec<String> = paths.iter().map(|it| it.display().to_string()).collect();
                texts.join(by)
            };
            let (path_text, sources) = (list(&path, ":"), list(&sources, "\t"));
            writeln!(tasks, "{}\t{path_text}\t{option}\t{sources}", to.display())?;
            // What is compiled later meets this first.
            path.insert(0, to);
            Ok(())
        };
        task(&case.folder.join("stub"), classes.join("stub"), None)?;
        for library in libraries(case)? {
            let from = case.folder.join("lib").join(&library);
            let to = classes.join("lib").join(&library);
            task(&from, to.clone(), None)?;
            for release in releases(&from)? {
                task(&from.join(&release), to.join(&release), None)?;
            }
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
            let jar = match demos.get(&case.name) {
                Some(jar) => jar.clone(),
                None => pack(&case, &folder.join(&case.name), &base)
                    .with_context(|| format!("case {}", case.name))?,
            };
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

/// Where the classes of newer releases lie in a multi-release jar.
const RELEASES: &str = "META-INF/versions";

/// The releases that a library has classes of its own for.
fn releases(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join(RELEASES);
    let mut found = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            found.push(format!("{RELEASES}/{}", name.to_string_lossy()));
        }
    }
    found.sort();
    Ok(found)
}

/// The Java sources of a folder, without those of newer releases.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = files(folder)?.into_iter();
    let sources = files.filter(|(name, _)| name.ends_with(".java") && !name.starts_with(RELEASES));
    Ok(sources.map(|(_, path)| path).collect())
}

/// All else, as it lies in the jar.
fn resources(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let files = files(folder)?.into_iter();
    let resources = files.filter(|(name, _)| !name.ends_with(".java"));
    resources
        .map(|(name, path)| Ok((name, fs::read(path)?)))
        .collect()
}

fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    Ok(ferry_rig::digest::files(folder)?.into_iter().collect())
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
    entries.extend(resources(&case.folder.join("module"))?);
    entries.extend(class_files(&classes.join("module"), case)?);
    for library in libraries(case)? {
        let mut inside = resources(&case.folder.join("lib").join(&library))?;
        inside.extend(class_files(&classes.join("lib").join(&library), case)?);
        entries.push((format!("lib/{library}.jar"), zip(&inside)?));
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
    for (name, path) in files(folder)? {
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
