//! The programs that `ferry up` starts.
//!
//! In: names. Out: their paths, or what to do where one is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::exit::Exit;
use crate::failure::Stopped;

/// Names a nats-server when no argument does.
const NATS_SERVER_ENV: &str = "FERRY_NATS_SERVER";

/// nats-server: the one named, that of the environment, the one on the `PATH`.
pub fn nats_server(named: Option<&Path>) -> Result<PathBuf> {
    let from_environment = std::env::var_os(NATS_SERVER_ENV).filter(|path| !path.is_empty());
    let (path, by) = match (named, from_environment) {
        (Some(path), _) => (path.to_owned(), "--nats-server"),
        (None, Some(path)) => (PathBuf::from(path), NATS_SERVER_ENV),
        (None, None) => {
            return on_path("nats-server").ok_or_else(|| {
                Stopped::new(Exit::NotFound, "nats-server is not on the PATH")
                    .next(
                        "get 2.12 or newer from https://nats.io/download (in Ferry's sources: `cargo xtask tools`), then name it with --nats-server or FERRY_NATS_SERVER; or name a bus that runs with --bus",
                    )
                    .into()
            });
        }
    };
    if is_executable(&path) {
        // A service's folder is another one: a relative path would be lost.
        return std::path::absolute(&path).context("the current folder is gone");
    }
    let what = format!("{by} is {}, which is no program", path.display());
    Err(Stopped::new(Exit::NotFound, what).into())
}

/// A program of Ferry: beside this one, else on the `PATH`.
pub fn beside_or_on_path(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name(name));
    beside
        .filter(|path| is_executable(path))
        .or_else(|| on_path(name))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}
