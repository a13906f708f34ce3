//! What the gateway decides. Pure: no I/O, no clock, no chance; time comes in
//! as an argument.

pub mod access;
pub mod can;
pub mod command;
pub mod estimate;
pub mod filter;
pub mod forge;
pub mod record;
pub mod views;
pub mod why;
