//! One class file, as linking sees it. Goes in: its bytes. Comes out:
//! [`Class`]: name, ancestors, fields and methods.

use noak::reader;
use std::collections::BTreeSet;

use noak::reader::cpool::{self, Index};

/// A field or a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, such as `<init>`.
    pub name: String,
    /// Its descriptor, such as `(I)Ljava/lang/String;`.
    pub descriptor: String,
    /// Its [`access`] flags.
    pub access: u16,
}

/// A class, an interface or an enum. Names have slashes, as in class files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Such as `java/util/Map$Entry`.
    pub name: String,
    /// The class file's major version: 61 is Java 17.
    pub major: u16,
    /// Its [`access`] flags.
    pub access: u16,
    /// None for `java/lang/Object` alone.
    pub super_class: Option<String>,
    /// What it implements, or extends where it is an interface.
    pub interfaces: Vec<String>,
    /// Its own fields.
    pub fields: Vec<Member>,
    /// Its own methods, constructors and initialisers among them.
    pub methods: Vec<Member>,
}

/// The access flags that linking asks for, of chapter 4 of the JVM's
/// specification.
pub mod access {
    /// For everyone.
    pub const PUBLIC: u16 = 0x0001;
    /// For the class and its nest.
    pub const PRIVATE: u16 = 0x0002;
    /// For subclasses and the package.
    pub const PROTECTED: u16 = 0x0004;
    /// Of the class, not of an object.
    pub const STATIC: u16 = 0x0008;
    /// Nobody extends or overrides it.
    pub const FINAL: u16 = 0x0010;
    /// Takes any number of arguments.
    pub const VARARGS: u16 = 0x0080;
    /// Written in another language.
    pub const NATIVE: u16 = 0x0100;
    /// An interface.
    pub const INTERFACE: u16 = 0x0200;
    /// Without a body.
    pub const ABSTRACT: u16 = 0x0400;
    /// It names who may extend it. No flag of the specification, which has none
    /// in this place for classes: it says so in an attribute.
    pub const SEALED: u16 = 0x0800;
}

/// Bytes that are no class file.
#[derive(Debug, thiserror::Error)]
#[error("not a class file that can be read; build it again")]
pub struct ClassError(#[from] noak::error::DecodeError);

impl Class {
    /// Reads a class file; code is not looked at.
    ///
    /// # Errors
    /// [`ClassError`] where the bytes are no class file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClassError> {
        Self::of(&reader::Class::new(bytes)?)
    }

    pub(crate) fn of(class: &reader::Class<'_>) -> Result<Self, ClassError> {
        let pool = class.pool();
        let name = |index: Index<cpool::Class<'_>>| -> Result<String, ClassError> {
            Ok(text(pool.retrieve(index)?.name))
        };
        let mut parsed = Self {
            name: name(class.this_class())?,
            major: class.version().major,
            access: class.access_flags().bits(),
            super_class: class.super_class().map(name).transpose()?,
            interfaces: Vec::new(),
            fields: Vec::new(),
            methods: Vec::new(),
        };
        for attribute in class.attributes() {
            if pool.retrieve(attribute?.name())?.as_bytes() == b"PermittedSubclasses" {
                parsed.access |= access::SEALED;
            }
        }
        for interface in class.interfaces() {
            parsed.interfaces.push(name(interface?)?);
        }
        for field in class.fields() {
            let field = field?;
            parsed.fields.push(Member {
                name: text(pool.retrieve(field.name())?),
                descriptor: text(pool.retrieve(field.descriptor())?),
                access: field.access_flags().bits(),
            });
        }
        for method in class.methods() {
            let method = method?;
            parsed.methods.push(Member {
                name: text(pool.retrieve(method.name())?),
                descriptor: text(pool.retrieve(method.descriptor())?),
                access: method.access_flags().bits(),
            });
        }
        Ok(parsed)
    }
}

/// The packages that a `module-info.class` exports to everyone, with slashes.
///
/// The attribute is read by hand: the crate takes the version that a module
/// requires another in for one that is always there.
///
/// # Errors
/// [`ClassError`] where the bytes are no class file.
pub fn exported(module_info: &[u8]) -> Result<BTreeSet<String>, ClassError> {
    let class = reader::Class::new(module_info)?;
    let pool = class.pool();
    let mut packages = BTreeSet::new();
    for attribute in class.attributes() {
        let attribute = attribute?;
        if pool.retrieve(attribute.name())?.as_bytes() != b"Module" {
            continue;
        }
        for package in exports(attribute.content()).unwrap_or_default() {
            let index: Index<cpool::Package<'_>> = Index::new(package)?;
            packages.insert(text(pool.retrieve(index)?.name));
        }
    }
    Ok(packages)
}

/// The constants of the packages that a `Module` attribute exports to everyone;
/// none where it is cut short.
fn exports(mut content: &[u8]) -> Option<Vec<u16>> {
    let mut next = || {
        let (two, rest) = content.split_first_chunk::<2>()?;
        content = rest;
        Some(u16::from_be_bytes(*two))
    };
    // Its name, flags and version; then three numbers for each that it requires.
    for _ in 0..3 {
        next()?;
    }
    for _ in 0..u32::from(next()?) * 3 {
        next()?;
    }
    let mut packages = Vec::new();
    for _ in 0..next()? {
        let (package, _, to) = (next()?, next()?, next()?);
        for _ in 0..to {
            next()?;
        }
        if to == 0 {
            packages.push(package);
        }
    }
    Some(packages)
}

/// A name of a class file: Java's own UTF-8, in which half a character can
/// stand alone; such a name is shown with a mark in its place.
pub(crate) fn text(name: &noak::MStr) -> String {
    match name.to_str() {
        Some(text) => text.to_owned(),
        None => name.display().to_string(),
    }
}

/// The package of a class: `java/util` of `java/util/Map`; empty for none.
pub(crate) fn package(class: &str) -> &str {
    class.rsplit_once('/').map_or("", |(package, _)| package)
}

/// The class that an array or a plain name is about: `a/B` of `[[La/B;`; none
/// for numbers.
pub(crate) fn element(name: &str) -> Option<&str> {
    let inner = name.trim_start_matches('[');
    if inner.len() == name.len() {
        return Some(name);
    }
    inner.strip_prefix('L')?.strip_suffix(';')
}

/// Every class that a descriptor names.
pub(crate) fn types(descriptor: &str) -> impl Iterator<Item = &str> {
    let mut rest = descriptor;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once('L')?;
        let (name, after) = after.split_once(';')?;
        rest = after;
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_name_classes() {
        let of = |text| types(text).collect::<Vec<_>>();
        assert_eq!(of("(I[La/B;J)Lc/LD;"), ["a/B", "c/LD"]);
        assert_eq!(of("()V"), [""; 0]);
        assert_eq!(element("[[La/B;"), Some("a/B"));
        assert_eq!(element("[I"), None);
        assert_eq!(element("a/B"), Some("a/B"));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(Class::parse(b"").is_err());
        assert!(Class::parse(b"\xca\xfe\xba\xbe\0\0\0\x3d").is_err());
    }
}
