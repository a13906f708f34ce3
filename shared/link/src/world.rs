//! Which class a name means, and to whom: the class loaders of a base and of
//! one module. Goes in: the platform's classes, the base's and the module's,
//! what Ark's plugins export, which of the base's jars are in reach. Comes out:
//! [`Reach`].
//!
//! The order is Ark's (`BizClassLoader` of sofa-ark, embed mode): the platform,
//! Ark's own API, what plugins export unless the module denies it, the module,
//! the base. In embed mode plugins and Ark's API are loaded by the base's
//! loader, so there are three loaders in all. What the base refers to is the
//! platform's or the base's, never the module's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::class::package;
use crate::shapes::{Shape, Shapes};

/// Ark gives these to every module before its own.
const ARK: &[&str] = &[
    "com/alipay/sofa/ark/spi/",
    "com/alipay/sofa/ark/api/",
    "com/alipay/sofa/ark/exception/",
    "com/alipay/sofa/ark/common/log/",
];

/// What may be the platform's, where its classes are not known.
const PLATFORM: &[&str] = &[
    "java/",
    "javax/",
    "jdk/",
    "sun/",
    "com/sun/",
    "org/w3c/dom/",
    "org/xml/sax/",
    "org/ietf/jgss/",
    "netscape/javascript/",
];

/// The Java platform that a base runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Such as `17.0.15`.
    pub version: String,
    /// What its modules export, and what that descends from.
    pub classes: Shapes,
    /// Packages, with slashes, that it has and exports to nobody.
    pub closed: BTreeSet<String>,
}

impl Platform {
    /// Java's release: 17 of `17.0.15`, 8 of `1.8.0_402`.
    #[must_use]
    pub fn release(&self) -> Option<u16> {
        let version = self.version.strip_prefix("1.").unwrap_or(&self.version);
        let end = version
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(version.len());
        version[..end].parse().ok()
    }
}

/// Who defines a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The Java platform.
    Platform,
    /// The base, its plugins and Ark among it.
    Base,
    /// The module.
    Module,
}

/// A class and who defines it.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Who defines it.
    pub side: Side,
    /// What it looks like.
    pub shape: Shape<'a>,
}

/// What becomes of a name.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// It is found.
    Found(Found<'a>),
    /// It is the platform's, and the platform is not known.
    Unknown,
    /// The platform has it and exports it to nobody.
    Closed,
    /// The base has it, in a jar that is not declared: the jar's name.
    OutOfReach(&'a str),
    /// Nobody has it.
    Missing,
}

/// Packages and classes as Ark's manifests list them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports {
    /// `a/b` for itself.
    pub packages: BTreeSet<String>,
    /// `a/b` for itself and all below, written `a.b.*`.
    pub stems: BTreeSet<String>,
    /// `a/b/C`.
    pub classes: BTreeSet<String>,
}

impl Exports {
    /// Adds what a manifest lists, separated by commas.
    pub fn add(&mut self, packages: &str, classes: &str) {
        let each = |list: &str| -> Vec<String> {
            let names = list.split(',').map(str::trim);
            names
                .filter(|name| !name.is_empty())
                .map(|name| name.replace('.', "/"))
                .collect()
        };
        for package in each(packages) {
            match package.strip_suffix("/*") {
                Some(stem) => self.stems.insert(stem.to_owned()),
                None => self.packages.insert(package),
            };
        }
        self.classes.extend(each(classes));
    }

    /// Whether a class is among it.
    #[must_use]
    pub fn has(&self, class: &str) -> bool {
        if self.classes.contains(class) || self.packages.contains(package(class)) {
            return true;
        }
        let mut above = package(class);
        while !above.is_empty() {
            if self.stems.contains(above) {
                return true;
            }
            above = package(above);
        }
        false
    }
}

/// All classes that one module can meet.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The platform; none where it is not known.
    pub platform: Option<&'a Platform>,
    /// The base's own classes and its jars, as one loader sees them.
    pub base: &'a Shapes,
    /// Which of the base's sources the module may load from, by their numbers.
    pub in_reach: &'a [bool],
    /// What plugins export.
    pub exports: &'a Exports,
    /// What the module does not take from plugins.
    pub denied: &'a Exports,
    /// What the module carries.
    pub module: &'a Shapes,
}

impl<'a> World<'a> {
    /// What a class that `side` defines means by a name.
    #[must_use]
    pub fn find(&self, side: Side, name: &str) -> Reach<'a> {
        if let Some(found) = self.in_platform(name) {
            return found;
        }
        let base = self.base.get(name).map(|shape| Found {
            side: Side::Base,
            shape,
        });
        let found = match side {
            Side::Platform => None,
            Side::Base => base,
            Side::Module => match self.for_module(name, base) {
                Ok(found) => found,
                Err(jar) => return Reach::OutOfReach(jar),
            },
        };
        match found {
            Some(found) => Reach::Found(found),
            None if self.may_be_platform(name) || side == Side::Platform => Reach::Unknown,
            None => Reach::Missing,
        }
    }

    /// Whether a class is given to the module before its own is looked for.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        let exported = (ARK.iter().any(|start| name.starts_with(start))
            || (self.exports.has(name) && !self.denied.has(name)))
            && self.base.get(name).is_some();
        exported || matches!(self.in_platform(name), Some(Reach::Found(_)))
    }

    fn for_module(
        &self,
        name: &str,
        base: Option<Found<'a>>,
    ) -> Result<Option<Found<'a>>, &'a str> {
        let given = ARK.iter().any(|start| name.starts_with(start))
            || (self.exports.has(name) && !self.denied.has(name));
        if let Some(found) = base.filter(|_| given) {
            return Ok(Some(found));
        }
        if let Some(shape) = self.module.get(name) {
            let side = Side::Module;
            return Ok(Some(Found { side, shape }));
        }
        let Some(found) = base else { return Ok(None) };
        let declared = |source: usize| self.in_reach.get(source).copied().unwrap_or(false);
        match found.shape.sources().any(declared) {
            true => Ok(Some(found)),
            false => Err(found.shape.source_name()),
        }
    }

    fn in_platform(&self, name: &str) -> Option<Reach<'a>> {
        let Some(platform) = self.platform else {
            return name.starts_with("java/").then_some(Reach::Unknown);
        };
        if let Some(shape) = platform.classes.get(name) {
            let side = Side::Platform;
            return Some(Reach::Found(Found { side, shape }));
        }
        platform
            .closed
            .contains(package(name))
            .then_some(Reach::Closed)
    }

    fn may_be_platform(&self, name: &str) -> bool {
        self.platform.is_none() && PLATFORM.iter().any(|start| name.starts_with(start))
    }

    /// Whether the module, or what it may load of the base, has a class in the
    /// package of this one: then the library is there, and not this part of it.
    #[must_use]
    pub fn knows_package_of(&self, class: &str) -> bool {
        let package = package(class);
        self.module.has_package(package) || self.base.has_package(package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_list_packages_and_classes() {
        let mut exports = Exports::default();
        exports.add("a.b.*, c.d", "e.F");
        for (class, is) in [
            ("a/b/C", true),
            ("a/b/c/D", true),
            ("a/C", false),
            ("c/d/E", true),
            ("c/d/e/F", false),
            ("e/F", true),
            ("e/G", false),
        ] {
            assert_eq!(exports.has(class), is, "{class}");
        }
        assert!(!Exports::default().has("a/B"));
    }

    #[test]
    fn releases_are_read_off_versions() {
        let of = |version: &str| {
            let platform = Platform {
                version: version.to_owned(),
                classes: Shapes::default(),
                closed: BTreeSet::new(),
            };
            platform.release()
        };
        assert_eq!(of("17.0.15"), Some(17));
        assert_eq!(of("21"), Some(21));
        assert_eq!(of("1.8.0_402"), Some(8));
        assert_eq!(of("?"), None);
    }
}
