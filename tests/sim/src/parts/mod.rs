//! What stands in for the world outside: git and builds, slimming, the gateways' disks.

pub mod builder;
pub mod gateway;
pub mod git;
pub mod jars;
pub mod slimmer;
