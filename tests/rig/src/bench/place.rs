//! What benchmarks need before they measure, and how they show a time.
//!
//! In: a benchmark's name. Out: its empty folder; whether builds can have a sandbox; milliseconds in words; quiet
//! between two turns.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use ferry_cli::screen::took;

use crate::screen::Screen;
use crate::tools;

/// So long a worker of the builder takes to make itself ready, and more.
const BETWEEN_TURNS: Duration = Duration::from_secs(4);

/// Waits before a turn, so that what the one before does for itself takes nothing from this one.
pub(super) async fn between_turns() {
    tokio::time::sleep(BETWEEN_TURNS).await;
}

/// The folder of a benchmark, with nothing in it.
pub(super) fn fresh(name: &str) -> Result<PathBuf> {
    let dir = tools::target_dir().join("bench").join(name);
    if dir.is_dir() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}

/// Whether builds run in a sandbox; says it loudly where they do not.
pub(super) fn sandbox(screen: &Screen) -> bool {
    let found = tools::bubblewrap();
    if let Err(error) = &found {
        screen.loud(&format!("NO SANDBOX for Ferry's builds: {error:#}"));
    }
    found.is_ok()
}

/// Milliseconds as a person reads them.
pub(super) fn shown(millis: f64) -> String {
    if millis.abs() < 1000.0 {
        return format!("{millis:.1}ms");
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and small"
    )]
    took(millis.max(0.0).round() as u64)
}
