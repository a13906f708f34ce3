//! Benchmarks. Each ends with one line to read, or with an object for machines.
//!
//! In: how often. Out: figures.

mod figures;
mod hand;
pub mod push;
mod steps;

pub use figures::Figures;
