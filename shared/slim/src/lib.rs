//! Leaves out of a module what the base profile provides, stamps its version,
//! and rewrites the jar exactly. Goes in: a packaged ark-biz jar, a
//! [`BaseProfile`], a [`Stamp`]. Comes out: the slimmed jar and a [`Report`].

mod archive;
mod classes;
mod classpath;
mod compatible;
mod convert;
pub mod decide;
mod diff;
mod error;
pub mod family;
mod growth;
mod inspect;
mod jdk;
mod library;
mod limits;
mod packed;
mod profile;
mod project;
mod proof;
mod rewrite;
pub mod rules;
mod shake;
mod slim;
pub mod version;
mod wishes;

pub use classpath::ClassPath;
pub use convert::{Converted, Identity, convert};
pub use decide::{Choice, Decision, Wanted, Why};
pub use diff::{Diff, LibraryChange};
pub use error::{Conflict, Kind, SlimError};
pub use family::Family;
pub use ferry_events::artifact::RulesFile;
pub use ferry_link::{Fault, Finding, Outcome, Verdict};
pub use growth::{Carried, Changed, Growth, Past};
pub use inspect::{Biz, base_version, inspect};
pub use jdk::{jdk_home, read_jdk};
pub use library::Library;
pub use limits::{Limits, MAX_ENTRIES, MAX_UNPACKED};
pub use profile::{BaseProfile, PROFILE_FORMAT};
pub use rules::{RuleTold, Rules};
pub use shake::Shaken;
pub use slim::{Report, slim, slim_as};
pub use version::Stamp;
pub use wishes::{Versions, Wishes};

fn io_error(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> SlimError {
    SlimError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}
