//! A disk that is really full: a small file system of its own, in memory.
//!
//! In: its size. Out: a folder whose writes fail with "no space left on device" once it is filled, and
//! work again once it is freed. Needs root, to mount it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The disk; unmounted when dropped.
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many KiB. None, said loudly: this user may mount nothing.
    ///
    /// # Errors
    /// When root cannot mount it either, or no folder can be made.
    pub fn of(kib: u32) -> Result<Option<Self>> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED: A FULL DISK IS NOT TESTED: only root can mount a small one");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={kib}k"),
                "ferry-small-disk",
            ])
            .arg(folder.path())
            .output()
            .context("mount cannot be run")?;
        if !mounted.status.success() {
            let said = String::from_utf8_lossy(&mounted.stderr).into_owned();
            // In a container root may lack the capability.
            if said.contains("permission denied") {
                eprintln!("SKIPPED: A FULL DISK IS NOT TESTED: {}", said.trim());
                return Ok(None);
            }
            bail!("a small disk cannot be mounted: {}", said.trim());
        }
        Ok(Some(Self { folder }))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills it to the last byte.
    ///
    /// # Errors
    /// When the disk fails otherwise than by being full.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.ballast())?;
        for size in [64 << 10, 4 << 10, 1] {
            loop {
                match file.write_all(&vec![0; size]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("the ballast cannot be written"),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When it was not filled.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.ballast()).context("the ballast cannot be removed")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what a test that failed still holds open must not keep it mounted.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(self.path())
            .status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path().display());
        }
    }
}
