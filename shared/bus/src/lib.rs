//! The bus: one trait; JetStream behind it, and a deterministic bus in memory.
//!
//! In: batches to commit, consumers to read, jars to keep. Out: all or nothing, with typed errors.
//! Handlers never see it: only the runtime commits and acks. `tests/conformance/` holds both
//! implementations to the same semantics.

pub mod audit;
mod batch;
pub mod config_store;
mod contract;
mod dead;
mod error;
mod jetstream;
mod memory;
mod packed;
pub mod permissions;
mod provision;
pub mod restored;
mod server_config;
mod user;

pub use batch::{Batch, Committed, Keep, Write};
pub use contract::{
    Ack, Asked, Bus, Consumer, Delivery, LogLine, Message, Record, Reply, Source, Start,
};
pub use dead::{Advisory, DeadLetter};
pub use error::{BusError, CommitError};
pub use jetstream::{CHUNK, CONNECT_WAIT, ConnectOptions, JetStream, REQUEST_TIMEOUT};
pub use memory::{MemoryBus, Saved};
pub use provision::{
    ACK_WAIT, DEAD_BYTES, DEDUPE_WINDOW, KEEP_DEAD, KEEP_EVENTS, KEEP_LOGS, LOG_BYTES,
    MAX_ACK_PENDING, MAX_DELIVER, Provisioned, StreamLimits, UNLIMITED, provision,
};
pub use server_config::{ServerOptions, authorization, server_config};
pub use user::{User, Users};
