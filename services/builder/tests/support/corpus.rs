//! Repositories that are built warm and cold, with a plugin, an annotation processor and a library of our own.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use ferry_rig::maven::Maven;
use tokio::sync::OnceCell;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

/// A folder of the corpus.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/warm")
        .join(name)
}

/// The seed with all that the corpus needs.
pub async fn seed() -> PathBuf {
    static SEED: OnceCell<PathBuf> = OnceCell::const_new();
    SEED.get_or_init(async || {
        let maven = Maven::ready().await.expect("Maven");
        let (seed, jdk) = (maven.seed(), &maven.jdk().home);
        plugin(seed, jdk);
        for version in ["1", "2"] {
            money(seed, jdk, version);
        }
        for project in ["single", "multi", "plain"] {
            maven
                .complete_for(&folder(project), &[])
                .await
                .unwrap_or_else(|error| panic!("{project}: {error:#}"));
        }
        seed.to_owned()
    })
    .await
    .clone()
}

/// The plugin and the processor, compiled against the installed Maven.
fn plugin(seed: &Path, jdk: &Path) {
    let sources = folder("plugin");
    let mvn = ferry_rig::tools::maven().expect("Maven");
    let mvn = mvn.canonicalize().expect("a launcher");
    let home = mvn.parent().and_then(Path::parent).expect("a home");
    let made = tempfile::tempdir().expect("a folder");
    let java = sources.join("src/ferry/probe");
    let files = ["Listed", "Lister", "Probe"].map(|name| java.join(format!("{name}.java")));
    compile(
        jdk,
        &files,
        &format!("{}/lib/*", home.display()),
        made.path(),
    );
    let mut entries = classes(made.path());
    for name in [
        "META-INF/maven/plugin.xml",
        "META-INF/services/javax.annotation.processing.Processor",
    ] {
        entries.insert(name.into(), fs::read(sources.join(name)).expect("a file"));
    }
    let pom = fs::read_to_string(sources.join("pom.xml")).expect("a pom");
    install(seed, "probe-maven-plugin", "1", &pom, entries);
}

/// A library with a constant that is compiled into whoever uses it.
fn money(seed: &Path, jdk: &Path, version: &str) {
    let made = tempfile::tempdir().expect("a folder");
    let source = made.path().join("Money.java");
    let text = format!(
        "package ferry.probe;\npublic class Money {{ public static final String UNIT = \"unit {version}\"; }}\n"
    );
    fs::write(&source, text).expect("a file");
    compile(jdk, &[source], "", made.path());
    let pom = format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>ferry.probe</groupId>\
         <artifactId>money</artifactId><version>{version}</version></project>"
    );
    install(seed, "money", version, &pom, classes(made.path()));
}

fn compile(jdk: &Path, files: &[PathBuf], path: &str, to: &Path) {
    let output = Command::new(jdk.join("bin/javac"))
        .args(["-proc:none", "-cp", path, "-d"])
        .arg(to)
        .args(files)
        .output()
        .expect("javac");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn classes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = ferry_rig::digest::files(folder).expect("files");
    let classes = files.iter().filter(|(name, _)| name.ends_with(".class"));
    classes
        .map(|(name, path)| (name.clone(), fs::read(path).expect("a class")))
        .collect()
}

/// Puts a jar and its pom into the seed; both appear only when whole.
fn install(seed: &Path, name: &str, version: &str, pom: &str, entries: BTreeMap<String, Vec<u8>>) {
    let folder = seed.join("ferry/probe").join(name).join(version);
    fs::create_dir_all(&folder).expect("a folder");
    let mut jar = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        jar.start_file(name, SimpleFileOptions::default())
            .expect("an entry");
        jar.write_all(&bytes).expect("an entry");
    }
    let jar = jar.finish().expect("a jar").into_inner();
    for (kind, bytes) in [("jar", jar.as_slice()), ("pom", pom.as_bytes())] {
        let to = folder.join(format!("{name}-{version}.{kind}"));
        // Somebody may be copying the seed.
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let mut file = tempfile::NamedTempFile::new_in(&folder).expect("a file");
        file.write_all(bytes).expect("a file");
        file.persist(to).expect("a file");
    }
}

/// Everything in a jar but when it was made: names and bytes, of the jars in it likewise.
pub fn contents(jar: &[u8]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut archive = ZipArchive::new(Cursor::new(jar)).expect("a jar");
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).expect("an entry");
        let name = entry.name().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("an entry");
        if name.ends_with(".jar") {
            for (below, bytes) in contents(&bytes) {
                all.insert(format!("{name}!{below}"), bytes);
            }
        } else {
            all.insert(name.clone(), text(&name, &bytes));
        }
    }
    all
}

/// Bytes as text, one for one, without the lines that tell the time.
fn text(name: &str, bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    if !name.ends_with("MANIFEST.MF") && !name.ends_with("pom.properties") {
        return text;
    }
    let told = |line: &&str| !line.starts_with("build-time:") && !line.starts_with('#');
    text.lines().filter(told).collect::<Vec<_>>().join("\n")
}
