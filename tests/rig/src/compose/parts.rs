//! What images take when it was built outside: `target/container/parts`.
//!
//! In: the programs beside this one, nats-server, the demo's base. Out: a folder
//! with all of them, and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::command::run;
use crate::{maven, tools};

/// The programs of the images.
const PROGRAMS: [&str; 7] = [
    "ferry",
    "ferry-gateway",
    "ferry-builder",
    "ferry-slimmer",
    "ferry-scheduler",
    "ferry-installer",
    "ferry-verifier",
];

/// Some 40 MB each.
const STRIP_LIMIT: Duration = Duration::from_secs(60);

/// Fills the folder.
pub async fn gather(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder)?;
    for name in PROGRAMS {
        let (from, to) = (tools::program(name)?, folder.join(name));
        // Without what only a debugger reads they are a third of the size; binutils may
        // be absent.
        let mut strip = Command::new("strip");
        strip.arg("-o").arg(&to).arg(&from);
        if !run(strip, STRIP_LIMIT)
            .await
            .is_ok_and(|ran| ran.status.success())
        {
            copy(&from, &to)?;
        }
    }
    copy(&tools::nats_server()?, &folder.join("nats-server"))?;
    copy(&maven::base_jar().await?, &folder.join("base.jar"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
