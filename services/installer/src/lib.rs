//! The installer: changes bases through arklet. The only service that does.
//!
//! In: `task.requested`. Out: `taskrun.started` and `taskrun.finished`, and for each base the fact of
//! what was left there. One aggregate a base: `base.<name>`, which has one task in hand at a time.

pub mod decide;
pub mod effects;

pub use decide::InstallerDecide;
pub use effects::InstallerEffects;
