//! One file a command.

pub mod bench;
pub mod chaos;
pub mod check;
pub mod compose_test;
pub mod corpus;
pub mod demo;
pub mod fuzz;
pub mod mutants;
pub mod schemas;
pub mod sim;
pub mod test;
