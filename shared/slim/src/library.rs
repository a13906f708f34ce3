//! What one nested jar is: its bytes' digest, its coordinates, what it holds.
//! Goes in: a jar of `lib/` or `BOOT-INF/lib/`. Comes out: [`Library`].
//! Source of [`Library::declared_as`]: `JarUtils.parseArtifactId` of sofa-ark.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use ferry_ark::{MANIFEST_PATH, Manifest};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::archive::Archive;
use crate::error::{Kind, SlimError};
use crate::family::Family;
use crate::limits::{Budget, MAX_MANIFEST};

/// A nested jar while it is read.
pub(crate) type Nested = std::io::BufReader<tempfile::SpooledTempFile>;

/// What else is wanted of a nested jar.
type Further<'a> = &'a mut dyn FnMut(&mut Archive<Nested>, &mut Budget) -> Result<(), SlimError>;

/// A nested jar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Library {
    /// The file's name without its directory, such as `guava-32.1.3-jre.jar`.
    pub file: String,
    /// SHA-256 of its bytes, as 64 hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Maven's groupId, where the jar tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Maven's artifactId, where the jar or its name tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<String>,
    /// Maven's version, where the jar or its name tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Maven's classifier, such as `linux-x86_64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<String>,
    /// The artifactId by which a base finds this jar in `declared-libraries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_as: Option<String>,
    /// The entries by which frameworks find things at run time:
    /// `META-INF/spring*`, `META-INF/services/*` and the like.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// Its classes: simple names by package, as in `org/slf4j` → `Logger`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub classes: BTreeMap<String, BTreeSet<String>>,
    /// Whether it holds anything that can be loaded; Spring Boot's starters do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty: bool,
}

impl Library {
    /// Reads a nested jar. One that is no sound zip is known by its bytes and
    /// its file name only.
    pub(crate) fn read<R: Read + Seek>(
        outer: &mut Archive<R>,
        index: usize,
        budget: &mut Budget,
    ) -> Result<Self, SlimError> {
        Self::read_with(outer, index, budget, &mut |_, _| Ok(()))
    }

    /// Reads a nested jar, and hands it on for what else is wanted of it.
    pub(crate) fn read_with<R: Read + Seek>(
        outer: &mut Archive<R>,
        index: usize,
        budget: &mut Budget,
        further: Further<'_>,
    ) -> Result<Self, SlimError> {
        let entry = outer.entries[index].name.clone();
        let bytes = outer.entries[index].size;
        let file = entry.rsplit('/').next().unwrap_or(&entry).to_owned();
        let mut hash = Sha256::new();
        let spool = outer.spool(index, budget, &mut hash)?;
        let mut library = Self {
            sha256: hex::encode(hash.finalize()),
            bytes,
            group: None,
            artifact: None,
            version: None,
            classifier: None,
            declared_as: None,
            resources: BTreeSet::new(),
            classes: BTreeMap::new(),
            empty: false,
            file,
        };
        let mut poms = Vec::new();
        let mut built = None;
        match Archive::open(std::io::BufReader::new(spool), Some(&entry), budget) {
            Ok(mut jar) => {
                (poms, built) = library.look_into(&mut jar, budget)?;
                further(&mut jar, budget)?;
            }
            Err(error) if error.kind() == Kind::TooLarge => return Err(error),
            Err(_) => {}
        }
        library.name(poms, built.as_deref());
        Ok(library)
    }

    /// Collects classes and resources; hands back what tells the coordinates.
    fn look_into<R: Read + Seek>(
        &mut self,
        jar: &mut Archive<R>,
        budget: &mut Budget,
    ) -> Result<(Vec<Pom>, Option<String>), SlimError> {
        let (mut poms, mut built, mut loadable) = (Vec::new(), None, false);
        for index in 0..jar.entries.len() {
            let name = jar.entries[index].name.clone();
            if let Some((package, class)) = class_of(&name) {
                loadable = true;
                self.classes
                    .entry(package.to_owned())
                    .or_default()
                    .insert(class.to_owned());
            } else if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
                if let Some(text) = jar.read_small(index, MAX_MANIFEST, budget)? {
                    poms.push(Pom::parse(&String::from_utf8_lossy(&text)));
                }
            } else if name == MANIFEST_PATH {
                let bytes = jar.read_small(index, MAX_MANIFEST, budget)?;
                built = bytes.and_then(|bytes| version_told(&bytes));
            } else if matters(&name) {
                loadable = true;
                self.resources.insert(name);
            } else if !is_paper(&name) {
                loadable = true;
            }
        }
        self.empty = !loadable;
        Ok((poms, built))
    }

    /// Coordinates: the `pom.properties` that fits the file's name (a shaded
    /// jar holds those of others too), else the manifest's version where the
    /// name ends with it, else the name alone.
    fn name(&mut self, poms: Vec<Pom>, built: Option<&str>) {
        let stem = self.file.strip_suffix(".jar").unwrap_or(&self.file);
        let first = poms.first().and_then(|pom| pom.artifact.clone());
        let fitting = poms.into_iter().find_map(|pom| {
            let plain = format!("{}-{}", pom.artifact.as_ref()?, pom.version.as_ref()?);
            match stem.strip_prefix(&plain)? {
                "" => Some((pom, None)),
                rest => rest
                    .strip_prefix('-')
                    .map(|classifier| (pom, Some(classifier.to_owned()))),
            }
        });
        self.declared_as = declared_as(&self.file).or(first);
        if let Some((pom, classifier)) = fitting {
            (self.group, self.artifact, self.version) = (pom.group, pom.artifact, pom.version);
            self.classifier = classifier;
        } else if let Some((artifact, version)) = built
            .and_then(|version| Some((stem.strip_suffix(version)?.strip_suffix('-')?, version)))
            .or_else(|| split_name(stem))
        {
            self.artifact = Some(artifact.to_owned());
            self.version = Some(version.to_owned());
        }
    }

    /// The family by its classes.
    #[must_use]
    pub fn family(&self) -> Option<Family> {
        Family::of(self.classes.keys().map(String::as_str))
    }

    /// Whether both are the same artifact, whatever the version.
    #[must_use]
    pub fn same_artifact(&self, other: &Self) -> bool {
        let groups = match (&self.group, &other.group) {
            (Some(mine), Some(theirs)) => mine == theirs,
            _ => true,
        };
        groups
            && self.artifact.is_some()
            && self.artifact == other.artifact
            && self.classifier == other.classifier
    }

    /// Whether both are the same artifact in the same released version. Two
    /// snapshots of one version are not: its bytes are whatever was built last.
    #[must_use]
    pub fn same_version(&self, other: &Self) -> bool {
        self.same_artifact(other)
            && self.version.is_some()
            && self.version == other.version
            && !self
                .version
                .as_deref()
                .is_some_and(|version| version.ends_with("-SNAPSHOT"))
    }

    /// Each class, as in `org/slf4j/Logger`'s two halves.
    pub(crate) fn each_class(&self) -> impl Iterator<Item = (&str, &str)> {
        self.classes.iter().flat_map(|(package, classes)| {
            classes
                .iter()
                .map(move |class| (package.as_str(), class.as_str()))
        })
    }

    /// Each class's whole name.
    pub(crate) fn class_names(&self) -> impl Iterator<Item = String> {
        self.each_class().map(whole_name)
    }

    pub(crate) fn has_class(&self, package: &str, class: &str) -> bool {
        self.classes
            .get(package)
            .is_some_and(|classes| classes.contains(class))
    }
}

fn version_told(manifest: &[u8]) -> Option<String> {
    let manifest = Manifest::parse(manifest).ok()?;
    ["Implementation-Version", "Bundle-Version"]
        .iter()
        .find_map(|key| manifest.get(key))
        .map(|version| version.trim().to_owned())
}

/// Package and simple name of a class entry; a multi-release jar's versions
/// are one class.
pub(crate) fn class_of(entry: &str) -> Option<(&str, &str)> {
    let path = entry.strip_suffix(".class")?;
    let path = match path.strip_prefix("META-INF/versions/") {
        Some(rest) => rest.split_once('/')?.1,
        None => path,
    };
    let (package, class) = path.rsplit_once('/').unwrap_or(("", path));
    (class != "module-info" && class != "package-info").then_some((package, class))
}

/// A class's whole name by its entry, whatever the release; none for all else.
pub(crate) fn class_name(entry: &str) -> Option<String> {
    class_of(entry).map(whole_name)
}

fn whole_name((package, class): (&str, &str)) -> String {
    match package {
        "" => class.to_owned(),
        _ => format!("{package}/{class}"),
    }
}

/// Whether frameworks look for an entry by its name through the module's class
/// loader, so that it must stay in reach.
fn matters(entry: &str) -> bool {
    let Some(rest) = entry.strip_prefix("META-INF/") else {
        return false;
    };
    if entry.ends_with('/')
        || rest.ends_with("configuration-metadata.json")
        || rest == "spring.provides"
    {
        return false;
    }
    ["spring.", "spring/", "services/", "resources/"]
        .iter()
        .any(|start| rest.starts_with(start))
        || rest.ends_with(".tld")
        || matches!(rest, "web-fragment.xml" | "persistence.xml" | "orm.xml")
}

/// Whether an entry is there for people and build tools only.
fn is_paper(entry: &str) -> bool {
    let Some(rest) = entry.strip_prefix("META-INF/") else {
        return entry.ends_with('/') || entry == "module-info.class";
    };
    let upper = rest.to_ascii_uppercase();
    rest.is_empty()
        || rest.ends_with('/')
        || rest.starts_with("maven/")
        || rest == "spring.provides"
        || rest.ends_with("configuration-metadata.json")
        || [
            "LICENSE",
            "NOTICE",
            "DEPENDENCIES",
            "INDEX.LIST",
            "MANIFEST.MF",
        ]
        .iter()
        .any(|start| upper.starts_with(start))
}

/// As sofa-ark reads an artifactId off a file's name: the parts between
/// hyphens before the first that starts with digits and a dot.
fn declared_as(file: &str) -> Option<String> {
    let starts_version = |part: &str| {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        rest.len() < part.len() && rest.len() > 1 && rest.starts_with('.')
    };
    let parts: Vec<&str> = file.split('-').collect();
    let at = parts.iter().position(|part| starts_version(part))?;
    (at > 0).then(|| parts[..at].join("-"))
}

/// `artifact-version` parted at the first hyphen before a digit.
fn split_name(stem: &str) -> Option<(&str, &str)> {
    let at = stem
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    (at > 0).then(|| (&stem[..at], &stem[at + 1..]))
}

#[derive(Debug, Default)]
pub(crate) struct Pom {
    group: Option<String>,
    pub(crate) artifact: Option<String>,
    pub(crate) version: Option<String>,
}

impl Pom {
    pub(crate) fn parse(text: &str) -> Self {
        let mut pom = Self::default();
        for line in text.lines().map(str::trim) {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = Some(value.trim().to_owned());
            match key.trim() {
                "groupId" => pom.group = value,
                "artifactId" => pom.artifact = value,
                "version" => pom.version = value,
                _ => {}
            }
        }
        pom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_part_as_sofa_ark_and_as_maven_do() {
        for (file, declared, split) in [
            (
                "spring-core-6.1.8.jar",
                Some("spring-core"),
                Some(("spring-core", "6.1.8")),
            ),
            (
                "guava-32.1.3-jre.jar",
                Some("guava"),
                Some(("guava", "32.1.3-jre")),
            ),
            (
                "javax.inject-1.jar",
                Some("javax.inject"),
                Some(("javax.inject", "1")),
            ),
            ("log4j-over-slf4j.jar", None, None),
            (
                "text-ui-0.0.3.jar",
                Some("text-ui"),
                Some(("text-ui", "0.0.3")),
            ),
            ("1.2.jar", None, None),
            ("lib-2x.jar", None, Some(("lib", "2x"))),
        ] {
            assert_eq!(declared_as(file).as_deref(), declared, "{file}");
            assert_eq!(split_name(file.trim_end_matches(".jar")), split, "{file}");
        }
    }

    #[test]
    fn entries_are_told_apart() {
        assert_eq!(class_of("a/b/C.class"), Some(("a/b", "C")));
        assert_eq!(class_of("META-INF/versions/11/a/C.class"), Some(("a", "C")));
        assert_eq!(class_of("C.class"), Some(("", "C")));
        assert_eq!(class_of("module-info.class"), None);
        assert!(matters("META-INF/services/a.B"));
        assert!(matters("META-INF/spring/x.AutoConfiguration.imports"));
        assert!(matters("META-INF/spring.factories"));
        assert!(!matters("META-INF/spring-configuration-metadata.json"));
        assert!(!matters("META-INF/services/"));
        assert!(is_paper("META-INF/LICENSE.txt"));
        assert!(!is_paper("messages.properties"));
    }
}
