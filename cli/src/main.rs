//! The `ferry` command. In: its arguments. Out: an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ferry_cli::main()
}
