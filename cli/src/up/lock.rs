//! One `ferry up` on one data folder.
//!
//! In: the lock's path. Out: a lock that the kernel drops with the process.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::exit::Exit;
use crate::failure::Stopped;

/// Held while `ferry up` runs.
pub struct Lock {
    _file: Flock<std::fs::File>,
}

/// Takes the lock, and writes this process's id into it.
pub fn take(path: &Path) -> Result<Lock> {
    let failed = || format!("{} cannot be written", path.display());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(failed)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut file) => {
            file.set_len(0).with_context(failed)?;
            file.rewind().with_context(failed)?;
            writeln!(file, "{}", std::process::id()).with_context(failed)?;
            Ok(Lock { _file: file })
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let folder = path.parent().unwrap_or(path).display();
            let what = format!(
                "a `ferry up` runs on {folder} already (process {})",
                holder.trim()
            );
            Err(Stopped::new(Exit::Failed, what)
                .next("end it first, or name another folder with --data")
                .into())
        }
        Err((_, error)) => Err(error).with_context(failed),
    }
}
