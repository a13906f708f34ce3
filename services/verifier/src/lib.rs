//! The verifier: looks at bases, and judges. The only service that does.
//!
//! In: `observation.requested`, `gate.requested`, `gate.finished`, and time. Out: verdicts on modules
//! (`module.answering`, `testsuiterun.finished`) and on gates (`gate.judged`), and what becomes of bases
//! (`base.joined`, `base.changed`, `base.lost`, `module.drifted`). Aggregates: `observation.<id>`,
//! `gate.<id>` and `base.<name>`.

pub mod decide;
pub mod effects;

pub use decide::VerifierDecide;
pub use effects::VerifierEffects;
