//! What one build of a base provides. Goes in: the base's Spring Boot jar, or
//! a profile that was stored. Comes out: [`BaseProfile`], the same bytes for
//! the same base.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use ferry_link::{Builder, Class, Exports, Platform, Shapes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::classes::{USUAL_RELEASE, each_class, manifest};
use crate::library::Library;
use crate::limits::{Budget, Limits};
use crate::{SlimError, io_error};

/// The only format of the JSON that is written and read. Format 1 knew no
/// classes to link against.
pub const PROFILE_FORMAT: u32 = 2;

/// The base's libraries.
pub(crate) const LIBRARIES: &str = "BOOT-INF/lib/";
/// The base's own classes, also as the name of where they come from.
pub(crate) const OWN: &str = "BOOT-INF/classes/";
const PLUGIN_MARK: &str = "com/alipay/sofa/ark/plugin/mark";

/// What one build of a base provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseProfile {
    /// [`PROFILE_FORMAT`].
    pub format: u32,
    /// Every `BOOT-INF/lib/*.jar`, by file name.
    pub libraries: Vec<Library>,
    /// SHA-256 over the base's own classes, as 64 hexadecimal digits; empty for
    /// a base that has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub own: String,
    /// What Ark plugins export, by the library's file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, Exports>,
    /// Every class, the base's own first, in the order of its class path. Where
    /// one comes from is the library's file, or `BOOT-INF/classes/`.
    #[serde(default, with = "crate::packed")]
    pub classes: Shapes,
    /// The Java that it runs on, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub java: Option<Java>,
}

/// A platform, as a profile holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PackedJava", into = "PackedJava")]
pub struct Java(pub Platform);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PackedJava {
    version: String,
    closed: std::collections::BTreeSet<String>,
    #[serde(with = "crate::packed")]
    classes: Shapes,
}

impl From<PackedJava> for Java {
    fn from(java: PackedJava) -> Self {
        Self(Platform {
            version: java.version,
            classes: java.classes,
            closed: java.closed,
        })
    }
}

impl From<Java> for PackedJava {
    fn from(Java(platform): Java) -> Self {
        Self {
            version: platform.version,
            closed: platform.closed,
            classes: platform.classes,
        }
    }
}

impl BaseProfile {
    /// Makes a profile from a base's jar.
    ///
    /// # Errors
    /// [`SlimError::NotABase`] for another jar, and those of reading a zip.
    pub fn from_jar<R: Read + Seek>(reader: R, limits: Limits) -> Result<Self, SlimError> {
        let mut budget = Budget::new(limits);
        let mut archive = Archive::open(reader, None, &mut budget)?;
        let (mut libraries, mut plugins) = (Vec::new(), BTreeMap::new());
        let mut builder = Builder::default();
        let mut own = Sha256::new();
        let mut has_own = false;
        let source = builder.source(OWN);
        each_class(
            &mut archive,
            OWN,
            USUAL_RELEASE,
            &mut budget,
            &mut |name, bytes| {
                has_own = true;
                own.update(name.as_bytes());
                own.update([0]);
                own.update(Sha256::digest(bytes.unwrap_or_default()));
                add(&mut builder, source, bytes);
            },
        )?;
        for index in 0..archive.entries.len() {
            let name = archive.entries[index].name.clone();
            let Some(file) = name
                .strip_prefix(LIBRARIES)
                .filter(|it| it.ends_with(".jar"))
            else {
                continue;
            };
            let source = builder.source(file);
            let further = &mut |jar: &mut Archive<_>, budget: &mut Budget| {
                if jar.position(PLUGIN_MARK).is_some() {
                    let mut exports = Exports::default();
                    if let Some(manifest) = manifest(jar, budget)? {
                        let told = |key| manifest.get(key).unwrap_or_default();
                        exports.add(told("export-packages"), told("export-classes"));
                    }
                    plugins.insert(file.to_owned(), exports);
                }
                each_class(jar, "", USUAL_RELEASE, budget, &mut |_, bytes| {
                    add(&mut builder, source, bytes);
                })
            };
            libraries.push(Library::read_with(
                &mut archive,
                index,
                &mut budget,
                further,
            )?);
        }
        if libraries.is_empty() {
            return Err(SlimError::NotABase);
        }
        libraries.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(Self {
            format: PROFILE_FORMAT,
            libraries,
            own: match has_own {
                true => hex::encode(own.finalize()),
                false => String::new(),
            },
            plugins,
            classes: builder.build(),
            java: None,
        })
    }

    /// The same profile, with the Java that the base runs on.
    #[must_use]
    pub fn with_java(self, platform: Platform) -> Self {
        Self {
            java: Some(Java(platform)),
            ..self
        }
    }

    /// Reads a profile's JSON.
    ///
    /// # Errors
    /// [`SlimError::BadProfile`] for other bytes or another format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SlimError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let bad = |what: &str, source| SlimError::BadProfile {
            what: what.to_owned(),
            source,
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| {
            bad(
                "this is neither a base's jar nor a base profile; give the jar of the base",
                Some(error),
            )
        })?;
        if format != PROFILE_FORMAT {
            return Err(bad(
                &format!(
                    "the base profile has format {format}, and {PROFILE_FORMAT} is the one known here; make it again from the base's jar"
                ),
                None,
            ));
        }
        serde_json::from_slice(bytes).map_err(|error| {
            bad(
                "the base profile is damaged; make it again from the base's jar",
                Some(error),
            )
        })
    }

    /// Reads either a base's jar or a profile's JSON, told apart by their first
    /// two bytes.
    ///
    /// # Errors
    /// Those of [`Self::from_jar`] and [`Self::from_json`], and [`SlimError::Io`].
    pub fn load(path: &Path, limits: Limits) -> Result<Self, SlimError> {
        let io = |source| io_error("read", path, source);
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        (&mut file).take(2).read_to_end(&mut start).map_err(io)?;
        file.rewind().map_err(io)?;
        if start == b"PK" {
            return Self::from_jar(BufReader::new(file), limits);
        }
        let mut bytes = Vec::new();
        // A profile is a few MB; more than the limit is not one.
        file.take(limits.max_unpacked)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        Self::from_json(&bytes)
    }

    /// The JSON to store: the same profile gives the same bytes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("strings, numbers and maps with string keys always serialize")
    }

    /// SHA-256 over what the base's build provides, as 64 hexadecimal digits:
    /// its libraries and its own classes, not the Java that it runs on.
    #[must_use]
    pub fn digest(&self) -> String {
        let provides = (self.format, &self.libraries, &self.own);
        let json = serde_json::to_vec(&provides)
            .expect("strings, numbers and maps with string keys always serialize");
        hex::encode(Sha256::digest(json))
    }
}

/// What is no class file is nothing to link against.
fn add(builder: &mut Builder, source: u16, bytes: Option<&[u8]>) {
    let Some(bytes) = bytes else { return };
    if let Ok(class) = Class::parse(bytes) {
        let print = Sha256::digest(bytes);
        let print = u64::from_be_bytes(print[..8].try_into().expect("eight bytes are eight"));
        builder.add(source, print, &class);
    }
}
