//! `cargo deny`: licences, sources, bans and known vulnerabilities of the
//! dependencies, judged by `deny.toml`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use ferry_tools::workspace_root;

use crate::cargo::succeeds;
use crate::tools;

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
    let deny = tools::cargo_command("cargo-deny", VERSION)?;
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
