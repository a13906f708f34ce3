//! `META-INF/MANIFEST.MF`, read and changed without touching what was not
//! meant. Goes in: the file's bytes. Comes out: [`Manifest`], which writes
//! back byte for byte what it read, and [`ArkManifest`], its meaning for a
//! base. Source: the JAR file specification, and `BizFactoryServiceImpl` of
//! sofa-ark for the keys.

mod ark;
mod lines;

pub use ark::{ArkManifest, keys};

use lines::Line;

/// No line of a manifest may be longer, its line break not counted.
pub const LINE_MAX_BYTES: usize = 72;
/// A key, its colon and one blank must leave room in a line of 72 bytes.
pub const KEY_MAX_BYTES: usize = 70;

/// Why a manifest cannot be used, or not be changed in that way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The bytes are no manifest at all.
    #[error(
        "not a manifest: line {line} is {found:?}; each line must be `Key: value` or continue one with a blank"
    )]
    NotAManifest {
        /// Counted from 1.
        line: usize,
        /// The start of the line.
        found: String,
    },
    /// There is no attribute in it.
    #[error("not a manifest: it is empty")]
    Empty,
    /// `Ark-Biz-Name` is missing or blank.
    #[error(
        "the manifest has no Ark-Biz-Name: this jar is not an ark-biz; build it with sofa-ark-maven-plugin's repackage"
    )]
    NoName,
    /// `Ark-Biz-Version` is missing or blank.
    #[error("the manifest has no Ark-Biz-Version: a base cannot tell this build from another")]
    NoVersion,
    /// Neither `Start-Class` nor `Main-Class` is there.
    #[error(
        "the manifest names no Start-Class and no Main-Class: a base would not know what to start"
    )]
    NoMainClass,
    /// `priority` is not a whole number, which a base refuses.
    #[error("the manifest's priority is {found:?}, which is not a whole number")]
    BadPriority {
        /// What stands there.
        found: String,
    },
    /// A key that a manifest cannot hold.
    #[error(
        "{key:?} cannot be a manifest key: 1 to 70 letters, digits, `-` and `_`, the first a letter or digit"
    )]
    BadKey {
        /// The key that was given.
        key: String,
    },
    /// A value that a manifest cannot hold.
    #[error("the value for {key} holds a line break or a NUL, which a manifest cannot hold")]
    BadValue {
        /// The key whose value it was.
        key: String,
    },
}

/// A manifest that remembers its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    lines: Vec<Line>,
    newline: &'static str,
}

impl Default for Manifest {
    fn default() -> Self {
        Self::new()
    }
}

impl Manifest {
    /// A manifest that holds nothing but its version, with CRLF line breaks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lines: vec![Line::attribute("Manifest-Version", "1.0", "\r\n")],
            newline: "\r\n",
        }
    }

    /// Reads the bytes of a `MANIFEST.MF`. Takes CRLF, LF and CR, mixed too.
    ///
    /// # Errors
    /// [`ManifestError::NotAManifest`] and [`ManifestError::Empty`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let (lines, newline) = lines::split(bytes)?;
        if !lines.iter().any(Line::is_attribute) {
            return Err(ManifestError::Empty);
        }
        Ok(Self { lines, newline })
    }

    /// The bytes to write. What was parsed and not set is unchanged.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.lines
            .iter()
            .flat_map(|line| line.raw())
            .copied()
            .collect()
    }

    /// The value of a key of the main section. Keys know no case; where a key
    /// stands twice the last one counts, as in Java.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.position(key).and_then(|at| self.lines[at].value())
    }

    /// The main section's keys and values, in the file's order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.main().iter().filter_map(Line::pair)
    }

    /// The sections after the main one, each as keys and values in order.
    #[must_use]
    pub fn sections(&self) -> Vec<Vec<(&str, &str)>> {
        self.lines[self.main().len()..]
            .split(|line| !line.is_attribute())
            .filter(|section| !section.is_empty())
            .map(|section| section.iter().filter_map(Line::pair).collect())
            .collect()
    }

    /// Sets one key of the main section; everything else keeps its bytes. A
    /// key that was there keeps its place and spelling, a new one goes to the
    /// section's end. The same value again changes nothing.
    ///
    /// # Errors
    /// [`ManifestError::BadKey`] and [`ManifestError::BadValue`].
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ManifestError> {
        lines::check(key, value)?;
        match self.position(key) {
            Some(at) => {
                let line = &self.lines[at];
                if line.value() != Some(value) {
                    let spelled = line.key().unwrap_or(key).to_owned();
                    self.lines[at] = Line::attribute(&spelled, value, self.newline);
                }
            }
            None => {
                let end = self.main().len();
                if let Some(last) = self.lines[..end].last_mut() {
                    last.end_with(self.newline);
                }
                self.lines
                    .insert(end, Line::attribute(key, value, self.newline));
            }
        }
        Ok(())
    }

    /// Takes a key out of the main section, each time that it stands there.
    /// Says whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        let (end, before) = (self.main().len(), self.lines.len());
        let mut at = 0;
        self.lines.retain(|line| {
            at += 1;
            at > end || !line.is_key(key)
        });
        self.lines.len() < before
    }

    /// What the manifest says to a base.
    ///
    /// # Errors
    /// [`ManifestError::NoName`], [`ManifestError::NoVersion`],
    /// [`ManifestError::NoMainClass`], [`ManifestError::BadPriority`].
    pub fn ark(&self) -> Result<ArkManifest, ManifestError> {
        ArkManifest::of(self)
    }

    fn main(&self) -> &[Line] {
        // Blank lines before the first attribute do not end the section.
        let start = self.lines.iter().position(Line::is_attribute).unwrap_or(0);
        let end = self.lines[start..]
            .iter()
            .position(|line| !line.is_attribute())
            .map_or(self.lines.len(), |length| start + length);
        &self.lines[..end]
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.main().iter().rposition(|line| line.is_key(key))
    }
}
