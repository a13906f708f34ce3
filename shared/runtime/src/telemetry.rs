//! Logs and errors at the edge.
//!
//! In: the service's name and how it shall log. Out: tracing to standard error; an error's chain,
//! printed once.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt};

/// Sets up tracing: lines for people on a terminal or in a file, or JSON. `FERRY_LOG` filters
/// (default `info`).
pub fn init(json: bool) {
    let filter = EnvFilter::try_from_env("FERRY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init();
    }
}

/// Prints an error and its causes, once.
pub fn print_chain(error: &anyhow::Error) {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}
