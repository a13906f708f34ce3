//! `ferry-gateway`: the gateway as a process.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    ferry_gateway::start(&ferry_gateway::GatewayArgs::parse())
}
