//! Rewrites each artifact against the base profiles of its target pools: a shell around `ferry-slim`.
//!
//! In: packaged artifacts. Out: a release with one slimmed jar a pool, or why there is none.

pub mod decide;
pub mod effects;

pub use decide::Slimmer;
pub use effects::SlimmerEffects;
