//! A base's jar as a class path to compile against. Goes in: the jar, an empty
//! folder, limits. Comes out: the base's own classes and its libraries in that
//! folder, and [`ClassPath`], which names them in the order of their loader.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use ferry_link::{Class, access};
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::classes::{MAX_CLASS, USUAL_RELEASE};
use crate::limits::{Budget, Limits};
use crate::profile::{LIBRARIES, OWN};
use crate::{SlimError, io_error};

/// Where the base's own classes are, in the folder.
const CLASSES: &str = "classes";
/// Where its libraries are.
const LIB: &str = "lib";
/// A class file's version is this much more than its release: 61 is Java 17.
const MAJOR_OF_RELEASE: u16 = 44;

/// What a base's jar was unpacked to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassPath {
    /// Folders and jars below the folder, the base's own classes first.
    pub entries: Vec<PathBuf>,
    /// The Java release of the base's own classes; its JVM runs that, and
    /// maybe nothing newer.
    pub release: u16,
    /// The base's own public interfaces, as sources name them, sorted.
    pub interfaces: Vec<String>,
}

impl ClassPath {
    /// Unpacks a base's jar into a folder that is there and empty.
    ///
    /// # Errors
    /// [`SlimError::NotABase`] for another jar, those of reading a zip, and of
    /// a full disk.
    pub fn unpack(jar: &Path, folder: &Path, limits: Limits) -> Result<Self, SlimError> {
        let file = File::open(jar).map_err(|source| io_error("read", jar, source))?;
        let mut budget = Budget::new(limits);
        let mut archive = Archive::open(BufReader::new(file), None, &mut budget)?;
        let mut path = Self {
            entries: vec![CLASSES.into()],
            release: 0,
            interfaces: Vec::new(),
        };
        for place in [CLASSES, LIB].map(|name| folder.join(name)) {
            fs::create_dir(&place).map_err(|source| io_error("write", &place, source))?;
        }
        for index in 0..archive.entries.len() {
            let name = archive.entries[index].name.clone();
            if let Some(class) = own_class(&name) {
                let bytes = archive.read_small(index, MAX_CLASS, &mut budget)?;
                let bytes = bytes.unwrap_or_default();
                path.take(&bytes);
                let place = folder.join(CLASSES).join(class);
                let parent = place.parent().unwrap_or(folder);
                fs::create_dir_all(parent)
                    .and_then(|()| fs::write(&place, &bytes))
                    .map_err(|source| io_error("write", &place, source))?;
            } else if let Some(library) = library(&name) {
                let below = Path::new(LIB).join(library);
                copy(&mut archive, index, &mut budget, &folder.join(&below))?;
                path.entries.push(below);
            }
        }
        if path.entries.len() == 1 {
            return Err(SlimError::NotABase);
        }
        path.interfaces.sort();
        if path.release == 0 {
            path.release = USUAL_RELEASE;
        }
        Ok(path)
    }

    fn take(&mut self, bytes: &[u8]) {
        let Ok(class) = Class::parse(bytes) else {
            return;
        };
        let release = class.major.saturating_sub(MAJOR_OF_RELEASE);
        self.release = self.release.max(release);
        let is = |flag: u16| class.access & flag != 0;
        let annotation = "java/lang/annotation/Annotation";
        let is_annotation = class.interfaces.iter().any(|above| above == annotation);
        if is(access::INTERFACE) && is(access::PUBLIC) && !is_annotation {
            self.interfaces.push(class.name.replace(['/', '$'], "."));
        }
    }
}

/// A class of the base's own, by its path.
fn own_class(entry: &str) -> Option<&str> {
    let class = entry.strip_prefix(OWN)?;
    (class.ends_with(".class") && !class.starts_with("META-INF/")).then_some(class)
}

fn library(entry: &str) -> Option<&str> {
    let file = entry.strip_prefix(LIBRARIES)?;
    (file.ends_with(".jar") && !file.contains(['/', '\\'])).then_some(file)
}

fn copy<R: Read + Seek>(
    archive: &mut Archive<R>,
    index: usize,
    budget: &mut Budget,
    to: &Path,
) -> Result<(), SlimError> {
    let mut file = File::create_new(to).map_err(|source| io_error("write", to, source))?;
    archive.read_into(index, budget, &mut file)
}
