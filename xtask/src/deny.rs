//! `cargo deny`: licences, sources, bans and known vulnerabilities of the
//! dependencies, judged by `deny.toml`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use ferry_tools::{is_executable, on_path, tools_dir, workspace_root};

use crate::cargo::{cargo, succeeds};

/// Reads lock files of version 4 and manifests of edition 2024.
const VERSION: &str = "0.20.2";

/// What can be judged without the advisory database.
const OFFLINE: &[&str] = &["bans", "licenses", "sources"];

/// The database is a few MB; without an answer from the network git would wait
/// for minutes.
const FETCH_LIMIT_SECONDS: &str = "60";

/// True when nothing is amiss. Without the advisory database it says, loudly,
/// what was not looked at.
pub fn check() -> Result<bool> {
    let deny = cargo_deny()?;
    let check = || {
        let mut command = Command::new(&deny);
        command.current_dir(workspace_root()).arg("check");
        command
    };
    let fetched = Command::new("timeout")
        .current_dir(workspace_root())
        .arg(FETCH_LIMIT_SECONDS)
        .arg(&deny)
        .args(["fetch", "db"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("cannot run cargo-deny")?
        .success();
    if fetched {
        return succeeds(&mut check());
    }
    let well = succeeds(check().args(OFFLINE))?;
    eprintln!("warning: ADVISORIES WERE NOT CHECKED: the advisory database cannot be fetched from");
    eprintln!("warning: here. A known vulnerability in a dependency would not have been seen.");
    Ok(well)
}

/// cargo-deny from the `PATH` or from `target/tools`, built there once.
fn cargo_deny() -> Result<PathBuf> {
    if let Some(path) = on_path("cargo-deny") {
        return Ok(path);
    }
    let home = tools_dir().join(format!("cargo-deny-{VERSION}"));
    let path = home.join("bin").join("cargo-deny");
    if is_executable(&path) {
        return Ok(path);
    }
    eprintln!("tools: building cargo-deny {VERSION}, once; this takes some minutes");
    let work = tools_dir().join("cargo-deny-build");
    let built = succeeds(
        cargo()
            // Unoptimised builds in a third of the time and checks in a few seconds.
            .args(["install", "--quiet", "--locked", "--debug", "cargo-deny"])
            .args(["--version", VERSION, "--root"])
            .arg(&home)
            .env("CARGO_TARGET_DIR", &work),
    )?;
    // 600 MB that nobody looks at again; what is left of it does no harm.
    fs::remove_dir_all(&work).ok();
    if built && is_executable(&path) {
        return Ok(path);
    }
    bail!("cargo-deny {VERSION} could not be built; install it: cargo install --locked cargo-deny")
}
