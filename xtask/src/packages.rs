//! Packages of the system: installed when that can be done without asking,
//! else named in one line.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use ferry_tools::on_path;

/// Installs packages with apt as root, else says what to install.
///
/// `what` names them for a person: "JDK 17 and Maven".
pub fn install(what: &str, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !is_root() || on_path("apt-get").is_none() {
        bail!("missing: {what}. Install it, for example: sudo apt-get install -y {list}");
    }
    eprintln!("tools: installing {what} (apt-get install -y {list})");
    // The package lists of a fresh image may be absent or old.
    if apt(&["install", "-y", "--no-install-recommends"], packages)? {
        return Ok(());
    }
    apt(&["update"], &[])?;
    if apt(&["install", "-y", "--no-install-recommends"], packages)? {
        return Ok(());
    }
    bail!("apt-get could not install {list}; its reason stands above")
}

fn apt(verb: &[&str], packages: &[&str]) -> Result<bool> {
    let status = Command::new("apt-get")
        .arg("-q")
        .args(verb)
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        // Standard output belongs to whatever runs next, which may print JSON.
        .stdout(std::io::stderr())
        .status()
        .context("cannot run apt-get")?;
    Ok(status.success())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}
