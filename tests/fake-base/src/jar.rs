//! Module jars for tests. Goes in: name, version and how the module shall
//! behave. Comes out: the bytes of an ark-biz jar, the same each time, that
//! installs on the fake base and (as a module without Spring) on a real one.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use ferry_ark::{MANIFEST_PATH, Manifest, ManifestError, manifest::keys};
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The entry that tells the fake base how a module behaves.
pub const BEHAVIOUR_PATH: &str = "fake-base.json";
/// The entry that marks an ark-biz.
pub const MARK_PATH: &str = "com/alipay/sofa/ark/biz/mark";

/// How a module behaves on a fake base; a real base ignores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// `class: message` of the exception that its start throws.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_fails: Option<String>,
    /// How long its start takes, in milliseconds.
    pub install_ms: u64,
    /// Whether it has a Spring context. Without one it serves no HTTP, and its
    /// uninstall answers an error although it is gone.
    pub spring: bool,
    /// Metaspace that it takes, in bytes.
    pub metaspace_bytes: u64,
    /// Answers by path below the web context path, `/` being the path itself.
    /// Every other path answers 200 and `NAME VERSION`.
    pub answers: BTreeMap<String, Answer>,
    /// Whether its start ends the base's process.
    pub exit_jvm: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            start_fails: None,
            install_ms: 0,
            spring: true,
            // What a one-class web module takes of a real base.
            metaspace_bytes: 128 << 10,
            answers: BTreeMap::new(),
            exit_jvm: false,
        }
    }
}

/// One answer of a module over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The whole body.
    pub body: String,
    /// How long it takes, in milliseconds.
    pub delay_ms: u64,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            body: String::new(),
            delay_ms: 0,
        }
    }
}

/// Builds one module jar.
#[derive(Debug, Clone)]
pub struct FakeJar {
    manifest: Manifest,
    main_class: String,
    behaviour: Behaviour,
    entries: BTreeMap<String, Vec<u8>>,
}

impl FakeJar {
    /// A module of that identity: with Spring, without a web context path.
    ///
    /// # Panics
    /// Where name or version hold a line break or NUL.
    #[must_use]
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            manifest: Manifest::new(),
            main_class: "demo.Main".to_owned(),
            behaviour: Behaviour::default(),
            entries: BTreeMap::from([(
                MARK_PATH.to_owned(),
                b"a mark file included in sofa-ark module.".to_vec(),
            )]),
        }
        .manifest_key(keys::NAME, name)
        .manifest_key(keys::VERSION, version)
        .main_class("demo.Main")
    }

    /// Answers HTTP below that path, such as `hello` or `/hello`.
    #[must_use]
    pub fn web(self, path: &str) -> Self {
        self.manifest_key(keys::WEB_CONTEXT_PATH, path)
    }

    /// The class with `main`; a tiny one of that name is put into the jar.
    #[must_use]
    pub fn main_class(mut self, class: &str) -> Self {
        class.clone_into(&mut self.main_class);
        self.manifest_key(keys::MAIN_CLASS, class)
            .manifest_key(keys::START_CLASS, class)
    }

    /// Sets any key of the manifest.
    ///
    /// # Panics
    /// Where the key or the value cannot stand in a manifest.
    #[must_use]
    pub fn manifest_key(mut self, key: &str, value: &str) -> Self {
        let set: Result<(), ManifestError> = self.manifest.set(key, value);
        set.expect("a manifest can hold this");
        self
    }

    /// Takes a key out of the manifest, to make a jar that a base refuses.
    #[must_use]
    pub fn without_manifest_key(mut self, key: &str) -> Self {
        self.manifest.remove(key);
        self
    }

    /// How it behaves on a fake base.
    #[must_use]
    pub fn behaves(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// Its start throws that, such as `java.lang.IllegalStateException: why`.
    #[must_use]
    pub fn start_fails(mut self, thrown: &str) -> Self {
        self.behaviour.start_fails = Some(thrown.to_owned());
        self
    }

    /// It has no Spring context.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.behaviour.spring = false;
        self
    }

    /// Its start takes that long.
    #[must_use]
    pub fn install_ms(mut self, milliseconds: u64) -> Self {
        self.behaviour.install_ms = milliseconds;
        self
    }

    /// What it answers at a path below its web context path.
    #[must_use]
    pub fn answers(mut self, path: &str, status: u16, body: &str) -> Self {
        let answer = Answer {
            status,
            body: body.to_owned(),
            delay_ms: 0,
        };
        self.behaviour.answers.insert(path.to_owned(), answer);
        self
    }

    /// Puts any file into the jar. A `.jar` is stored, all else deflated.
    #[must_use]
    pub fn entry(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.entries.insert(path.to_owned(), bytes.into());
        self
    }

    /// Puts a library into `lib/`, stored.
    #[must_use]
    pub fn library(self, file_name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.entry(&format!("lib/{file_name}"), bytes)
    }

    /// The jar. The same builder gives the same bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut entries = self.entries.clone();
        entries
            .entry(format!("{}.class", self.main_class.replace('.', "/")))
            .or_insert_with(|| class_file(&self.main_class));
        let behaviour =
            serde_json::to_vec_pretty(&self.behaviour).expect("behaviour is plain data");
        entries
            .entry(BEHAVIOUR_PATH.to_owned())
            .or_insert(behaviour);
        let manifest = self.manifest.to_bytes();
        pack(
            std::iter::once((MANIFEST_PATH, manifest.as_slice())).chain(
                entries
                    .iter()
                    .map(|(path, bytes)| (path.as_str(), bytes.as_slice())),
            ),
        )
    }

    /// Writes `NAME-VERSION-ark-biz.jar` into a folder.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, folder: &Path) -> std::io::Result<PathBuf> {
        let part = |key| self.manifest.get(key).unwrap_or("none").replace('/', "_");
        let path = folder.join(format!(
            "{}-{}-ark-biz.jar",
            part(keys::NAME),
            part(keys::VERSION)
        ));
        std::fs::write(&path, self.bytes())?;
        Ok(path)
    }
}

/// A jar of these entries and a manifest, for use as a library.
#[must_use]
pub fn library_jar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = Manifest::new().to_bytes();
    pack(std::iter::once((MANIFEST_PATH, manifest.as_slice())).chain(entries.iter().copied()))
}

/// Zip entries in the order given, with the zip format's first date.
fn pack<'a>(entries: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, bytes) in entries {
        // A class loader seeks inside nested jars, so they must not be deflated.
        let method = if path.ends_with(".jar") {
            CompressionMethod::Stored
        } else {
            CompressionMethod::Deflated
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        zip.start_file(path, options)
            .and_then(|()| zip.write_all(bytes).map_err(Into::into))
            .expect("writing to memory does not fail");
    }
    zip.finish()
        .expect("writing to memory does not fail")
        .into_inner()
}

/// `public class X { public static void main(String[] a) {} }`, compiled by
/// hand for Java 8 and up. Source: JVM specification, chapter 4.
#[must_use]
pub fn class_file(class: &str) -> Vec<u8> {
    let mut file = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52, 0, 8];
    let utf8 = |file: &mut Vec<u8>, text: &str| {
        let length = u16::try_from(text.len()).expect("a class name is short");
        file.push(1);
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(text.as_bytes());
    };
    utf8(&mut file, &class.replace('.', "/"));
    file.extend_from_slice(&[7, 0, 1]);
    utf8(&mut file, "java/lang/Object");
    file.extend_from_slice(&[7, 0, 3]);
    for text in ["main", "([Ljava/lang/String;)V", "Code"] {
        utf8(&mut file, text);
    }
    // public super; this #2, super #4; no interfaces, no fields, one method.
    file.extend_from_slice(&[0, 0x21, 0, 2, 0, 4, 0, 0, 0, 0, 0, 1]);
    // public static main; one attribute, Code, of 13 bytes: no stack, one
    // local, one byte of code, which is `return`; no handlers, no attributes.
    file.extend_from_slice(&[0, 9, 0, 5, 0, 6, 0, 1, 0, 7, 0, 0, 0, 13]);
    file.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1, 0xb1, 0, 0, 0, 0]);
    file.extend_from_slice(&[0, 0]);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_builder_gives_the_same_bytes() {
        let jar = || {
            FakeJar::new("hello", "1.0.0")
                .web("hello")
                .library("a-1.jar", library_jar(&[("a/A.class", &class_file("a.A"))]))
                .answers("/", 200, "hi")
                .bytes()
        };
        assert_eq!(jar(), jar());
    }

    #[test]
    fn nested_jars_are_stored_and_the_manifest_comes_first() {
        let bytes = FakeJar::new("hello", "1")
            .library("a-1.jar", library_jar(&[]))
            .bytes();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(zip.by_index(0).unwrap().name(), MANIFEST_PATH);
        let nested = zip.by_name("lib/a-1.jar").unwrap();
        assert_eq!(nested.compression(), CompressionMethod::Stored);
    }
}
