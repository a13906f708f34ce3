//! The verifier: looks at bases, and judges. The only service that does.
//!
//! In: `observation.requested`, and time. Out: verdicts on modules (`module.answering`,
//! `testsuiterun.finished`), and what becomes of bases (`base.joined`, `base.changed`, `base.lost`,
//! `module.drifted`). Aggregates: `observation.<id>` and `base.<name>`.

pub mod decide;
pub mod effects;

pub use decide::VerifierDecide;
pub use effects::VerifierEffects;
