//! Jars for the tests: what is in them is given, the bytes come out.

#![allow(dead_code)] // Each test file uses a part of it.

use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use ferry_slim::{BaseProfile, Library, Limits, Report, SlimError, Stamp, Wishes, slim, slim_as};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

pub const COMMIT: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";

/// One entry of a jar to be.
#[derive(Debug, Clone)]
pub struct Item {
    pub name: String,
    pub bytes: Vec<u8>,
    pub stored: bool,
    pub day: u8,
}

pub fn item(name: &str, bytes: impl AsRef<[u8]>) -> Item {
    Item {
        name: name.to_owned(),
        bytes: bytes.as_ref().to_vec(),
        stored: name.ends_with(".jar"),
        day: 1,
    }
}

pub fn jar(items: &[Item]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for item in items {
        let time = DateTime::from_date_and_time(2024, 5, item.day, 10, 20, 30).unwrap();
        let method = if item.stored {
            CompressionMethod::Stored
        } else {
            CompressionMethod::Deflated
        };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(time);
        writer.start_file(&item.name, options).unwrap();
        writer.write_all(&item.bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A library as Maven packs one: coordinates, one class, and what else is given.
pub fn library(group: &str, artifact: &str, version: &str, more: &[Item]) -> Vec<u8> {
    let mut items = vec![
        item("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n"),
        item(
            &format!("META-INF/maven/{group}/{artifact}/pom.properties"),
            format!("artifactId={artifact}\ngroupId={group}\nversion={version}\n"),
        ),
    ];
    items.extend_from_slice(more);
    jar(&items)
}

pub fn class(name: &str) -> Item {
    item(&format!("{name}.class"), class_file(name))
}

/// A class file without members.
pub fn class_file(name: &str) -> Vec<u8> {
    class_file_of(name, "java/lang/Object")
}

/// A class file without members: all that linking asks for is its super class.
fn class_file_of(name: &str, super_class: &str) -> Vec<u8> {
    let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61, 0, 5];
    for (utf8, name) in [(2, name), (4, super_class)] {
        bytes.extend([7, 0, utf8, 1]);
        bytes.extend(u16::try_from(name.len()).unwrap().to_be_bytes());
        bytes.extend(name.as_bytes());
    }
    // Public; itself, its super class; no interface, field, method, attribute.
    bytes.extend([0, 0x21, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// An entry of a class that descends from another.
pub fn real_class(name: &str, super_class: &str) -> Item {
    item(&format!("{name}.class"), class_file_of(name, super_class))
}

pub fn manifest(more: &str) -> Item {
    item(
        "META-INF/MANIFEST.MF",
        format!(
            "Manifest-Version: 1.0\r\nMain-Class: demo.Hello\r\nArk-Biz-Name: hello\r\nArk-Biz-Version: 1.0.0\r\nweb-context-path: hello\r\n{more}\r\n"
        ),
    )
}

pub fn module(more: &[Item]) -> Vec<u8> {
    module_declaring("declared-libraries: hello\r\n", more)
}

pub fn module_declaring(attributes: &str, more: &[Item]) -> Vec<u8> {
    let mut items = vec![manifest(attributes), class("demo/Hello")];
    items.extend_from_slice(more);
    jar(&items)
}

/// A base's jar with these libraries, by file name.
pub fn base(libraries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut items = vec![
        item("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n"),
        class("BOOT-INF/classes/base/Base"),
    ];
    for (file, bytes) in libraries {
        items.push(item(&format!("BOOT-INF/lib/{file}"), bytes));
    }
    jar(&items)
}

pub fn profile(libraries: &[(&str, Vec<u8>)]) -> BaseProfile {
    BaseProfile::from_jar(Cursor::new(base(libraries)), Limits::default()).unwrap()
}

/// A directory with a jar in it.
pub struct Bench {
    directory: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn slim(
        &self,
        bytes: &[u8],
        profile: Option<&BaseProfile>,
    ) -> Result<(Report, Vec<u8>), SlimError> {
        self.slim_with(bytes, profile, &Stamp::commit(COMMIT)?, Limits::default())
    }

    pub fn slim_with(
        &self,
        bytes: &[u8],
        profile: Option<&BaseProfile>,
        stamp: &Stamp,
        limits: Limits,
    ) -> Result<(Report, Vec<u8>), SlimError> {
        let input = self.put("in.jar", bytes);
        let output = self.directory.path().join("out.jar");
        let report = slim(&input, profile, stamp, &output, limits)?;
        Ok((report, std::fs::read(output).unwrap()))
    }

    pub fn slim_as(
        &self,
        bytes: &[u8],
        profile: &BaseProfile,
        wishes: &Wishes,
    ) -> Result<(Report, Vec<u8>), SlimError> {
        let input = self.put("in.jar", bytes);
        let output = self.directory.path().join("out.jar");
        let (stamp, limits) = (Stamp::commit(COMMIT)?, Limits::default());
        let report = slim_as(&input, Some(profile), wishes, &stamp, &output, limits)?;
        Ok((report, std::fs::read(output).unwrap()))
    }

    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Everything that a copy must keep of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    pub name: String,
    pub crc: u32,
    pub stored: bool,
    pub size: u64,
    pub time: (u16, u8, u8, u8, u8, u8),
    pub compressed: Vec<u8>,
}

pub fn raw(bytes: &[u8]) -> Vec<Raw> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .map(|index| {
            let mut file = zip.by_index_raw(index).unwrap();
            let mut compressed = Vec::new();
            file.read_to_end(&mut compressed).unwrap();
            let at = file.last_modified().unwrap();
            Raw {
                name: file.name().to_owned(),
                crc: file.crc32(),
                stored: file.compression() == CompressionMethod::Stored,
                size: file.size(),
                time: (
                    at.year(),
                    at.month(),
                    at.day(),
                    at.hour(),
                    at.minute(),
                    at.second(),
                ),
                compressed,
            }
        })
        .collect()
}

pub fn read(bytes: &[u8], name: &str) -> Vec<u8> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut content = Vec::new();
    zip.by_name(name)
        .unwrap()
        .read_to_end(&mut content)
        .unwrap();
    content
}

/// A library that is only decided on, never read.
pub fn known(file: &str, version: &str, classes: &[&str]) -> Library {
    let artifact = file
        .strip_suffix(&format!("-{version}.jar"))
        .expect("the file is named artifact-version.jar");
    let mut library = Library {
        file: file.to_owned(),
        sha256: file.bytes().map(|byte| format!("{byte:02x}")).collect(),
        bytes: 1000,
        group: None,
        artifact: Some(artifact.to_owned()),
        version: Some(version.to_owned()),
        classifier: None,
        declared_as: Some(artifact.to_owned()),
        resources: Default::default(),
        classes: Default::default(),
        empty: classes.is_empty(),
    };
    for class in classes {
        let (package, class) = class.rsplit_once('/').unwrap();
        library
            .classes
            .entry(package.to_owned())
            .or_default()
            .insert(class.to_owned());
    }
    library
}
