//! Finds the tools that Ferry does not carry: nats-server, a JDK, Maven, git,
//! bubblewrap, HAProxy.
//!
//! In: the environment and the file system. Out: paths, or an error that says
//! what to do. It installs nothing: `cargo xtask tools` does. Nothing here
//! starts a JVM, so that a look-up costs milliseconds.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};

/// The nats-server that Ferry is tested with; scheduled messages and atomic
/// batches need 2.12 or newer.
pub const NATS_SERVER_VERSION: &str = "2.15.1";

/// Names a nats-server binary to use instead of the one under `target/tools`.
pub const NATS_SERVER_ENV: &str = "FERRY_NATS_SERVER";

/// The oldest Java that Spring Boot 3.2 runs on.
pub const JAVA_MIN: u32 = 17;

/// The newest Java that Spring Boot 3.2 supports; its class reader refuses
/// classes of a newer one.
pub const JAVA_MAX: u32 = 22;

/// The root of the workspace: where `Cargo.lock` is.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .find(|dir| dir.join("Cargo.lock").is_file())
        .unwrap_or(here)
        .to_path_buf()
}

/// Cargo's target directory; everything that is fetched or built lands in it.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => workspace_root().join(dir),
        _ => workspace_root().join("target"),
    }
}

/// The folder with this workspace's programs: that of the one that runs, or the
/// one above it for a test, which cargo puts into `deps`.
///
/// # Errors
/// When the system does not say which program this is.
pub fn programs_dir() -> Result<PathBuf> {
    let own = env::current_exe().context("this program's own path")?;
    let dir = own.parent().context("a program is in a folder")?;
    let above = if dir.ends_with("deps") {
        dir.parent()
    } else {
        None
    };
    Ok(above.unwrap_or(dir).to_path_buf())
}

/// A program of this workspace, built.
///
/// # Errors
/// When it is not there; the message names the command that builds it.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = programs_dir()?.join(name);
    if is_executable(&path) {
        return Ok(path);
    }
    bail!(
        "{} is not built: run `cargo build --workspace --bins`",
        path.display()
    )
}

/// Where fetched tools are kept.
pub fn tools_dir() -> PathBuf {
    target_dir().join("tools")
}

/// Where `cargo xtask tools` puts nats-server.
pub fn nats_server_home() -> PathBuf {
    tools_dir().join(format!("nats-server-{NATS_SERVER_VERSION}"))
}

/// nats-server: `FERRY_NATS_SERVER`, else the one under `target/tools`.
///
/// # Errors
/// When there is none; the message names the command that gets it.
pub fn nats_server() -> Result<PathBuf> {
    if let Some(path) = named_nats_server() {
        if is_executable(&path) {
            return Ok(path);
        }
        bail!(
            "{NATS_SERVER_ENV} is {}, which is no executable file",
            path.display()
        );
    }
    let path = nats_server_home().join("nats-server");
    if is_executable(&path) {
        return Ok(path);
    }
    bail!("nats-server {NATS_SERVER_VERSION} is not here yet: run `cargo xtask tools`")
}

/// What `FERRY_NATS_SERVER` names, whether it is there or not.
pub fn named_nats_server() -> Option<PathBuf> {
    env::var_os(NATS_SERVER_ENV)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// A Java development kit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jdk {
    /// What `JAVA_HOME` should be.
    pub home: PathBuf,
    /// The feature release, such as 17.
    pub major: u32,
}

impl Jdk {
    /// The `java` launcher.
    pub fn java(&self) -> PathBuf {
        self.home.join("bin").join("java")
    }

    /// Reads a JDK at `home`; nothing when there is no compiler there.
    pub fn at(home: &Path) -> Option<Self> {
        let javac = home.join("bin").join("javac");
        if !is_executable(&javac) {
            return None;
        }
        let major = match fs::read_to_string(home.join("release")) {
            Ok(release) => major_from_release(&release)?,
            Err(_) => major_from_version(&output_of(&javac, &["-version"])?)?,
        };
        Some(Self {
            home: home.to_path_buf(),
            major,
        })
    }

    /// True when Spring Boot 3.2 runs on it.
    pub fn fits(&self) -> bool {
        (JAVA_MIN..=JAVA_MAX).contains(&self.major)
    }
}

/// A JDK that fits: `JAVA_HOME`, else `javac` on the `PATH`, else the usual
/// folders of Linux distributions.
///
/// # Errors
/// When none fits; the message names those that do not.
pub fn jdk() -> Result<Jdk> {
    let mut homes: Vec<PathBuf> = Vec::new();
    homes.extend(env::var_os("JAVA_HOME").map(PathBuf::from));
    homes.extend(on_path("javac").and_then(|javac| home_of(&javac)));
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/jvm")
        .map(|dir| dir.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    installed.sort();
    homes.extend(installed);

    let found: Vec<Jdk> = homes.iter().filter_map(|home| Jdk::at(home)).collect();
    if let Some(jdk) = found.iter().find(|jdk| jdk.fits()) {
        return Ok(jdk.clone());
    }
    let unfit: Vec<String> = found
        .iter()
        .map(|jdk| format!("Java {} in {}", jdk.major, jdk.home.display()))
        .collect();
    Err(if unfit.is_empty() {
        anyhow!("no JDK found (javac): install JDK {JAVA_MIN}")
    } else {
        anyhow!(
            "no JDK of Java {JAVA_MIN} to {JAVA_MAX} found, only {}: install JDK {JAVA_MIN} or set JAVA_HOME",
            unfit.join(", ")
        )
    })
}

/// Maven's launcher.
///
/// # Errors
/// When `mvn` is not on the `PATH`.
pub fn maven() -> Result<PathBuf> {
    on_path("mvn").context("Maven (mvn) is not on the PATH")
}

/// git.
///
/// # Errors
/// When `git` is not on the `PATH`.
pub fn git() -> Result<PathBuf> {
    on_path("git").context("git is not on the PATH")
}

/// HAProxy. Debian keeps it where only root looks for programs.
///
/// # Errors
/// When `haproxy` is neither on the `PATH` nor in `/usr/sbin`.
pub fn haproxy() -> Result<PathBuf> {
    let system = PathBuf::from("/usr/sbin/haproxy");
    on_path("haproxy")
        .or_else(|| Some(system).filter(|path| is_executable(path)))
        .context("HAProxy (haproxy) is not on the PATH")
}

/// bubblewrap, tried: a container may have the binary and forbid its
/// namespaces.
///
/// # Errors
/// When it is missing or cannot make a sandbox here, with what it said.
pub fn bubblewrap() -> Result<PathBuf> {
    let bwrap = on_path("bwrap").context("bubblewrap (bwrap) is not on the PATH")?;
    let out = Command::new(&bwrap)
        .args(["--unshare-all", "--ro-bind", "/", "/", "true"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", bwrap.display()))?;
    if out.status.success() {
        return Ok(bwrap);
    }
    let said = String::from_utf8_lossy(&out.stderr);
    bail!(
        "bubblewrap is here but cannot make a sandbox on this machine: {}",
        said.lines().next().unwrap_or("it gave no reason")
    )
}

/// The first executable file of that name on the `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

/// True for a file that somebody may execute.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// `/usr/bin/javac` is a link into the JDK: its home is two levels up.
fn home_of(javac: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(javac).ok()?;
    Some(real.parent()?.parent()?.to_path_buf())
}

/// Reads `JAVA_VERSION="17.0.15"` of a JDK's `release` file.
fn major_from_release(release: &str) -> Option<u32> {
    let line = release
        .lines()
        .find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    major_from_version(line)
}

/// The feature release in `17.0.15`, `"21"`, `javac 25.0.3` or `1.8.0_402`.
fn major_from_version(text: &str) -> Option<u32> {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut parts = digits
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (parts.next()?.ok()?, parts.next()) {
        // Java 8 and older call themselves 1.8.
        (1, Some(Ok(minor))) => Some(minor),
        (major, _) => Some(major),
    }
}

fn output_of(program: &Path, args: &[&str]) -> Option<String> {
    let out = Command::new(program)
        .args(args.iter().map(OsStr::new))
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = if out.stdout.is_empty() {
        out.stderr
    } else {
        out.stdout
    };
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_versions_are_read_in_every_spelling() {
        for (text, major) in [
            ("17.0.15", 17),
            ("\"21\"", 21),
            ("javac 25.0.3\n", 25),
            ("1.8.0_402", 8),
            ("javac 24-ea", 24),
        ] {
            assert_eq!(major_from_version(text), Some(major), "{text}");
        }
        assert_eq!(major_from_version("none"), None);
        assert_eq!(
            major_from_release("IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.15\"\n"),
            Some(17)
        );
    }

    #[test]
    fn a_folder_without_a_compiler_is_no_jdk() {
        assert_eq!(Jdk::at(Path::new("/nonexistent")), None);
    }

    #[test]
    fn the_root_holds_the_lock_file() {
        assert!(workspace_root().join("Cargo.lock").is_file());
    }
}
