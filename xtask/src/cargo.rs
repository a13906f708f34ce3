//! Cargo, and the programs that it builds: run, or put in this one's place.

use std::env;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use ferry_tools::{jdk, nats_server, target_dir, workspace_root};

/// How programs are built.
#[derive(Clone, Copy)]
pub enum Profile {
    /// For the demo and the tests: quick to build.
    Dev,
    /// For what is measured.
    Release,
}

impl Profile {
    fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Cargo at the root of the workspace, with the tools in its environment.
pub fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace_root());
    with_tools(&mut cargo);
    cargo
}

/// Builds the services, `ferry` and the programs of `tests/rig`.
pub fn build_programs(profile: Profile) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--bins"]);
    if matches!(profile, Profile::Release) {
        build.arg("--release");
    }
    finish(build)
}

/// Builds the same programs and all tests. With what only tests need, crates get other features: built apart,
/// most of them would be compiled twice.
pub fn build_tests() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--all-targets"]);
    finish(build)
}

fn finish(mut build: Command) -> Result<()> {
    // Not this program: it is running.
    build.args(["--exclude", "xtask"]);
    if succeeds(&mut build)? {
        return Ok(());
    }
    bail!("the build failed")
}

/// A program of this workspace, built.
pub fn program(name: &str, profile: Profile) -> Result<Command> {
    build_programs(profile)?;
    built(name, profile)
}

/// A program that was built.
fn built(name: &str, profile: Profile) -> Result<Command> {
    let path: PathBuf = target_dir().join(profile.folder()).join(name);
    if !path.is_file() {
        bail!("the workspace has no program {name}");
    }
    let mut program = Command::new(path);
    with_tools(&mut program);
    Ok(program)
}

/// Builds a program and becomes it.
pub fn run_program(name: &str, profile: Profile, args: &[String]) -> Result<ExitCode> {
    exec(program(name, profile)?.args(args))
}

/// Becomes a program that was built.
pub fn exec_program(name: &str, profile: Profile, args: &[String]) -> Result<ExitCode> {
    exec(built(name, profile)?.args(args))
}

/// Becomes the command: signals, terminal and exit code are its own.
pub fn exec(command: &mut Command) -> Result<ExitCode> {
    let error = command.exec();
    Err(error).with_context(|| format!("cannot run {}", name_of(command)))
}

/// Runs the command and says whether it ended well.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", name_of(command)))?;
    Ok(status.success())
}

fn with_tools(command: &mut Command) {
    if let Ok(path) = nats_server() {
        command.env(ferry_tools::NATS_SERVER_ENV, path);
    }
    if let Ok(jdk) = jdk() {
        command.env("JAVA_HOME", jdk.home);
    }
}

fn name_of(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
