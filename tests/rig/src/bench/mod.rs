//! Benchmarks. Each ends with one line to read, or with an object for machines.
//!
//! In: how often. Out: figures.

mod figures;
mod follow;
mod hand;
mod herd;
pub mod push;
pub mod rollout;
pub mod slim;
pub mod snippet;
mod steps;
pub mod thousand;

pub use figures::Figures;
