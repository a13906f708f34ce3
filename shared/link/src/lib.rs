//! Proves that a slimmed module links on its base. Goes in: the classes of the
//! module, of its base and of the Java platform. Comes out: [`Verdict`]: it
//! links, it links with gaps that are optional by nature, or it is refused,
//! with the class, the member and who needs it.
//!
//! Pure: nothing here opens a file. The rule that tells an optional reference
//! from one that must resolve is in `docs/slimming.md`, and in [`mod@prove`].

mod class;
mod members;
mod mentions;
pub mod prove;
mod shapes;
mod uses;
mod verdict;
mod world;

pub use class::{Class, ClassError, Member, access, exported};
pub use mentions::{mentions, names};
pub use prove::{Broken, Carried, Module, prove};
pub use shapes::{Builder, Shape, Shapes};
pub use uses::{Kind, Name, Names, Use, Uses};
pub use verdict::{Fault, Finding, Optional, Outcome, Verdict};
pub use world::{Exports, Found, Platform, Reach, Side, World};
