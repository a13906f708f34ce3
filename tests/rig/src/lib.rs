//! Real parts on one machine, for tests, the demo and benchmarks.
//!
//! Each module starts one kind of part as it is in production: nats-server,
//! Koupleless bases, HAProxy, git, Maven, a forge's webhook, and with [`stack`] the whole
//! of Ferry. What is started is killed when its handle is dropped; files go to
//! `target/` and to folders that the caller names.

pub mod balancer;
pub mod base;
#[cfg(feature = "collector")]
pub mod collector;
pub mod digest;
pub mod disk;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod git;
pub mod hook;
pub mod maven;
pub mod nats;
pub mod process;
#[cfg(feature = "schemas")]
pub mod schemas;
pub mod simulated;
pub mod stack;
pub mod wait;

#[cfg(feature = "programs")]
pub mod bench;
#[cfg(feature = "fleet")]
pub mod chaos;
#[cfg(feature = "programs")]
pub mod compose;
#[cfg(feature = "programs")]
pub mod demo;
#[cfg(feature = "programs")]
pub mod screen;

pub use ferry_tools as tools;
