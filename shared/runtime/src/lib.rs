//! The handler loop: load, decide, commit, ack; jobs, timers, drain, telemetry.
//!
//! In: a service's pure [`Decide`] and its [`Effects`]. Out: a running service. The runtime alone
//! commits and acks: a decision is data, and effects have hands that cannot write a state.
//!
//! A message is routed to aggregates. Each aggregate has one actor here, which decides on all that
//! waits for it, commits once, and only then lets the messages be acked. What an aggregate's state
//! says is to be done ([`Decide::work`]) is claimed by compare-and-set in that same commit, done
//! outside, and comes back as an input.

mod actor;
mod answers;
mod args;
mod clock;
mod decide;
mod effects;
mod jobs;
mod letters;
mod messages;
#[cfg(doctest)]
mod no_way_around;
mod notes;
mod registry;
pub mod retry;
mod room;
mod round;
mod service;
mod stored;
mod telemetry;
mod trace;
mod witness;

pub use args::{Args, Environment, start};
pub use clock::Clock;
mod health;
pub use decide::{Concern, Context, Decide, Decision, Fault, Input, Key, Reply, Say, Slot};
pub use effects::{Done, Effects, Hands, Job};
pub use notes::Notes;
pub use registry::Feeder;
pub use retry::{Failure, Policy, Retry};
pub use room::Room;
pub use service::{Running, Settings, run};
pub use stored::{Claim, Stored};
pub use telemetry::{init as init_telemetry, print_chain};
pub use trace::{Counts, Tracer, Traces};
pub use witness::{Witness, WitnessDisk};
