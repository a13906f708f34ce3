//! Benchmarks. Each ends with one line to read, or with an object for machines.
//!
//! In: how often. Out: figures.

mod arkctl;
pub mod build;
mod figures;
mod follow;
mod hand;
mod herd;
mod place;
pub mod push;
pub mod rollout;
pub mod slim;
pub mod snippet;
mod steps;
pub mod thousand;

pub use figures::{Beside, Figures};
