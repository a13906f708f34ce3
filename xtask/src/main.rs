//! `cargo xtask`: what is done with this repository, under one name.
//!
//! It gets the tools that are missing, then hands over: to cargo, or to a
//! program of `tests/rig`. It does no work of its own, so that it starts fast.

mod cargo;
mod commands;
mod deny;
mod packages;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show pushes going live on real bases, from the first to the broken one
    Demo(commands::demo::Args),
    /// Run every test on real parts
    Test(commands::test::Args),
    /// Check formatting, lints, dependencies and generated schemas
    Check(commands::check::Args),
    /// Write the schemas that are generated from the Rust types
    Schemas(commands::schemas::Args),
    /// Measure, and print one line to read (or an object, with --json)
    Bench(commands::bench::Args),
    /// Kill and freeze processes while pushes go on, then check everything
    Chaos(commands::chaos::Args),
    /// Run the real handlers of all services through seeded faults, under virtual time
    Sim(commands::sim::Args),
    /// Break each invariant on purpose, in a copy, and see whether the simulation finds it
    Mutants(commands::mutants::Args),
    /// Feed what strangers can send to cargo-fuzz, from the seeds on
    Fuzz(commands::fuzz::Args),
    /// Slim, prove and install modules that link and modules that do not, and print the confusion table
    Corpus(commands::corpus::Args),
    /// Bring compose.yaml up for real and carry one push through it
    ComposeTest(commands::compose_test::Args),
    /// Get the tools that are missing, and nothing else
    Tools,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => commands::demo::run(args),
        Command::Test(args) => commands::test::run(args),
        Command::Check(args) => commands::check::run(args),
        Command::Schemas(args) => commands::schemas::run(args),
        Command::Bench(args) => commands::bench::run(args),
        Command::Chaos(args) => commands::chaos::run(args),
        Command::Sim(args) => commands::sim::run(args),
        Command::Mutants(args) => commands::mutants::run(args),
        Command::Fuzz(args) => commands::fuzz::run(args),
        Command::Corpus(args) => commands::corpus::run(args),
        Command::ComposeTest(args) => commands::compose_test::run(args),
        Command::Tools => tools::ensure(tools::TESTS).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
