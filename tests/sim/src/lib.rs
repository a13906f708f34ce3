//! All services' real handlers on the bus in memory, under virtual time, with seeded faults.
//!
//! In: a seed. Out: what was broken, and the story of how; the same each time. What is simulated is the
//! world outside: git, builds, slimming, bases (with arklet's semantics and lies), disks, the network,
//! clocks, and processes that die or stand still at every boundary.

mod alone;
mod balancer;
mod bus;
mod care;
mod check;
mod describe;
pub mod drive;
pub mod exhaustive;
mod gates;
pub mod guard;
mod outside;
mod panics;
mod parts;
pub mod people;
mod process;
mod restore;
pub mod script;
pub mod shrink;
mod web;
pub mod world;

pub use drive::{Outcome, run};
pub use script::Script;
