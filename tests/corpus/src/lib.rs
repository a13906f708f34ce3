//! Modules that link and modules that do not. Goes in: the folders of `cases/`,
//! one a module. Comes out: what the proof says of each, and what a real base
//! does with it.
//!
//! A new case is a new folder:
//!
//! - `case.toml`: see [`Case`];
//! - `module/`: the module's sources, with a `demo.Main` that ends with
//!   `demo.Answer.say(..)`; what is no source goes into the jar as it is;
//! - `lib/NAME-VERSION/`: sources of a library that the module carries, those
//!   for newer releases below `META-INF/versions/`;
//! - `stub/`: sources that all of it is compiled against, before the base's
//!   jars: what its author had, and the base has not.

mod build;
mod case;
mod judge;

pub use build::{Built, build};
pub use case::{Case, cases};
pub use judge::{Judged, Slimmed, install, profile, slimmed, table};
