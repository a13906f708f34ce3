//! The `ferry` command as a library: its screens are also those of the demo.
//!
//! In: arguments. Out: text or JSON on stdout, words for people on stderr, an
//! exit code of [`exit::Exit`].

mod args;
mod commands;
mod data;
mod edge;
pub mod exit;
mod failure;
mod gateway;
mod operator;
mod output;
pub mod screen;
pub mod timing;
mod up;

pub use args::command;
pub use edge::main;
