//! What goes over the wire: typed events and commands, ids, names, reasons and subjects.
//!
//! In: nothing. Out: the types that every service, the command line and other teams' consumers
//! share. No I/O and no helpers; every other crate of Ferry stands on this one.

mod about;
pub mod artifact;
pub mod audit;
pub mod base;
pub mod body;
pub mod build;
pub mod command;
pub mod contract;
pub mod envelope;
pub mod fact;
pub mod gate;
pub mod ids;
pub mod joint;
pub mod letter;
pub mod line;
pub mod name;
pub mod push;
pub mod question;
pub mod reason;
pub mod restart;
pub mod rollout;
pub mod run;
pub mod subject;
pub mod task;
pub mod trace;
pub mod verify;
pub mod work;

pub use body::{Body, Kind};
pub use command::{Command, Verb};
pub use contract::{Contract, Service};
pub use envelope::{DecodeError, Event, Scope};
pub use ids::{CommandId, Digest, EventId, LetterId, PlanId, PushId, RunId, TaskId};
pub use reason::{Reason, SourceError, Stop};
pub use trace::Traceparent;

/// A moment, in UTC, with millisecond precision on the wire.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
