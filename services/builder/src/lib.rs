//! From push to jar: resolves pushes into runs by git, and builds each commit in a sandbox.
//!
//! In: `push.received`, `change.merged`, and the commands `run` and `deploy`. Out: `push.resolved`,
//! `change.merged`, `build.*`, `artifact.packaged`, `command.settled`, and the build's log, line by line.
//! What is decided is in [`decide`] and pure; git, Maven and the sandbox are in [`effects`].

pub mod decide;
pub mod effects;

pub use decide::BuilderDecide;
pub use effects::{BuilderEffects, Places};
