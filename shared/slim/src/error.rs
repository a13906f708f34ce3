//! Why a jar cannot be read, slimmed or written. Goes in: what a step met.
//! Comes out: [`SlimError`], which names the entry, and its [`Kind`].

use std::path::PathBuf;

use ferry_ark::ManifestError;
use ferry_events::Reason;
use serde::Serialize;

use crate::family::Family;

/// What sort of trouble it is: who calls chooses a reason code by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The jar is no module: no manifest, no name, a plain Spring Boot jar.
    NotABiz,
    /// The jar is damaged, or a name in it is none.
    Refused,
    /// An entry would be written outside the jar's directory.
    UnsafeName,
    /// Two entries have one name.
    Duplicate,
    /// An entry is encrypted.
    Encrypted,
    /// The archive goes on in other files.
    MultiDisk,
    /// An entry does not hold what the directory says.
    SizeLies,
    /// The jar is over one of the [`crate::Limits`], or packed so that a small
    /// file unpacks to a large one.
    TooLarge,
    /// The base profile, or the jar to make one from, is no such thing.
    Profile,
    /// The module is built for another base.
    Mismatch,
    /// A file could not be read or written; the same jar may work again.
    Io,
    /// The caller gave a commit that is none.
    Caller,
}

/// A library of the module that only the base's version can serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The entry, such as `lib/spring-core-6.2.0.jar`.
    pub entry: String,
    /// The family that it belongs to.
    pub family: Family,
    /// The module's version, where its jar tells.
    pub module: Option<String>,
    /// The base's version, where its jar tells.
    pub base: Option<String>,
}

/// Why slimming, or making a profile, stopped. The chain of sources holds the
/// detail; it is not repeated here.
#[derive(Debug, thiserror::Error)]
pub enum SlimError {
    /// A file could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Room for unpacking, in the system's temporary directory, failed.
    #[error("cannot unpack {entry} to a temporary file: is the disk full?")]
    Spool {
        /// The entry.
        entry: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The bytes are no zip archive that can be read.
    #[error("{what} is not a zip archive that can be read; build it again")]
    NotAZip {
        /// `the jar`, or the name of the entry that should have been one.
        what: String,
        /// What the reader said.
        #[source]
        source: Option<zip::result::ZipError>,
    },
    /// Two entries have one name, so readers differ on which one counts.
    #[error(
        "the jar holds the entry {entry:?} twice; build it again from a clean target directory"
    )]
    Duplicate {
        /// The name.
        entry: String,
    },
    /// An entry's name would leave the directory that it is unpacked to.
    #[error("the jar holds the entry {entry:?}, which would be written outside its directory")]
    UnsafeName {
        /// The name.
        entry: String,
    },
    /// An entry's name is not UTF-8, or holds a NUL.
    #[error("the jar holds an entry whose name is not UTF-8: {entry:?}")]
    BadName {
        /// The name, as well as it can be shown.
        entry: String,
    },
    /// An entry is encrypted, which no class loader reads.
    #[error("the entry {entry:?} is encrypted; a base cannot read it")]
    Encrypted {
        /// The name.
        entry: String,
    },
    /// An entry's bytes do not fit its checksum, or cannot be inflated.
    #[error("the entry {entry:?} is damaged; build the jar again")]
    Corrupt {
        /// The name.
        entry: String,
        /// What the reader said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An entry's bytes reach into the next one's, so that they count twice.
    #[error(
        "the entry {entry:?} reaches into what comes next, as in a zip bomb; build the jar again"
    )]
    Overlaps {
        /// The name.
        entry: String,
    },
    /// One file of several that are an archive together.
    #[error("{what} is in another file of a split archive; build the jar in one file")]
    MultiDisk {
        /// The entry, or the archive.
        what: String,
    },
    /// An entry holds more or fewer bytes than the archive's directory says.
    #[error("the entry {entry:?} says that it holds {said} bytes and holds {held}")]
    SizeLies {
        /// The name.
        entry: String,
        /// Bytes, as the directory says.
        said: u64,
        /// Bytes, as they came.
        held: u64,
    },
    /// More entries than [`crate::Limits::max_entries`].
    #[error("{entry} brings the jar over {limit} entries, nested jars counted")]
    TooManyEntries {
        /// The archive at which the limit was crossed.
        entry: String,
        /// The limit.
        limit: u64,
    },
    /// More bytes than [`crate::Limits::max_unpacked`].
    #[error("{entry} brings the jar over {limit} bytes unpacked, nested jars counted")]
    TooLarge {
        /// The entry at which the limit was crossed.
        entry: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// There is no `META-INF/MANIFEST.MF`.
    #[error(
        "the jar has no META-INF/MANIFEST.MF, so it is no ark-biz; build it with sofa-ark-maven-plugin's repackage, or convert it with `ferry slim --convert`"
    )]
    NoManifest,
    /// The manifest is larger than any that a build writes.
    #[error("META-INF/MANIFEST.MF has more than {limit} bytes, so it is no manifest of an ark-biz")]
    HugeManifest {
        /// The limit in bytes.
        limit: u64,
    },
    /// The manifest is not one of an ark-biz.
    #[error("META-INF/MANIFEST.MF cannot be used")]
    Manifest(#[from] ManifestError),
    /// A Spring Boot jar that runs by itself.
    #[error(
        "this is a plain Spring Boot jar (it has BOOT-INF/ and no Ark-Biz-Name): a base cannot install it; add sofa-ark-maven-plugin's repackage goal to the pom and deploy the *-ark-biz.jar that it makes, or convert it with `ferry slim --convert`"
    )]
    PlainSpringBoot,
    /// A jar of classes, as `jar` or Maven make it.
    #[error(
        "this is a plain jar: a base cannot install it; add sofa-ark-maven-plugin's repackage goal to the pom and deploy the *-ark-biz.jar that it makes, or convert it with `ferry slim --convert`"
    )]
    PlainJar(#[source] ManifestError),
    /// The jar does not tell what a base must know, or is of a kind that none is made of.
    #[error("the jar cannot be made an ark-biz: {what}; {next}")]
    CannotConvert {
        /// What is missing.
        what: String,
        /// What to do.
        next: String,
    },
    /// A base profile was to be made from a jar that is no base.
    #[error(
        "this jar is no base: it has no BOOT-INF/lib/*.jar; give the jar that spring-boot-maven-plugin's repackage makes"
    )]
    NotABase,
    /// A file that is neither a base's jar nor a profile of this format.
    #[error("{what}")]
    BadProfile {
        /// What is wrong with it and what to do.
        what: String,
        /// What the JSON reader said.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The JDK that a base runs on cannot be read.
    #[error("{} is no Java 9 or newer that can be read: give the folder that holds lib/modules", path.display())]
    NoJdk {
        /// Where it was looked for.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A commit for the stamp that is none.
    #[error("{commit:?} is no commit id: at least 8 hexadecimal digits are needed")]
    BadCommit {
        /// What was given.
        commit: String,
    },
    /// The project's own rules leave out what the base has in another version,
    /// and say that this must not be.
    #[error("{rule}, and these are left out by other rules of the project: {}; take those rules away, or build against the base's versions", differing.join(", "))]
    ExcludedDiffers {
        /// The rule that forbids it.
        rule: String,
        /// Each library, and what the base has.
        differing: Vec<String>,
    },
    /// Libraries that must come from the base are of a version that the base
    /// does not serve.
    #[error("{}", conflict_text(conflicts))]
    Mismatch {
        /// Each library, by name.
        conflicts: Vec<Conflict>,
    },
}

impl Kind {
    /// Why a run stops for it, where the jar itself is to blame; of all else the caller knows best.
    #[must_use]
    pub fn reason(self) -> Option<Reason> {
        match self {
            Self::NotABiz => Some(Reason::NotABiz),
            Self::Refused => Some(Reason::JarRefused),
            Self::UnsafeName => Some(Reason::JarUnsafeName),
            Self::Duplicate => Some(Reason::JarDuplicate),
            Self::Encrypted => Some(Reason::JarEncrypted),
            Self::MultiDisk => Some(Reason::JarMultiDisk),
            Self::SizeLies => Some(Reason::JarSizeLies),
            Self::TooLarge => Some(Reason::JarBomb),
            Self::Profile | Self::Mismatch | Self::Caller | Self::Io => None,
        }
    }
}

impl SlimError {
    /// What sort of trouble it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } | Self::Spool { .. } => Kind::Io,
            Self::NotAZip { .. } | Self::BadName { .. } | Self::Corrupt { .. } => Kind::Refused,
            Self::UnsafeName { .. } => Kind::UnsafeName,
            Self::Duplicate { .. } => Kind::Duplicate,
            Self::Encrypted { .. } => Kind::Encrypted,
            Self::MultiDisk { .. } => Kind::MultiDisk,
            Self::SizeLies { .. } => Kind::SizeLies,
            Self::TooManyEntries { .. } | Self::TooLarge { .. } | Self::Overlaps { .. } => {
                Kind::TooLarge
            }
            Self::NoManifest
            | Self::HugeManifest { .. }
            | Self::Manifest(_)
            | Self::PlainSpringBoot
            | Self::PlainJar(_)
            | Self::CannotConvert { .. } => Kind::NotABiz,
            Self::NotABase | Self::BadProfile { .. } | Self::NoJdk { .. } => Kind::Profile,
            Self::BadCommit { .. } => Kind::Caller,
            Self::Mismatch { .. } | Self::ExcludedDiffers { .. } => Kind::Mismatch,
        }
    }
}

fn conflict_text(conflicts: &[Conflict]) -> String {
    let list = conflicts
        .iter()
        .map(|conflict| {
            format!(
                "{} ({}: the base has {})",
                conflict.entry,
                conflict.module.as_deref().unwrap_or("version unknown"),
                conflict.base.as_deref().unwrap_or("a version unknown")
            )
        })
        .collect::<Vec<_>>()
        .join(", ");
    format!(
        "the module carries libraries that must come from the base, in versions newer than the base has or of another line: {list}; build it against the base's versions, or move to a newer base"
    )
}
