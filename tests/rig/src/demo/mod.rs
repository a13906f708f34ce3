//! The demo: pushes going live on three bases, from the first to the broken one,
//! each expectation checked.
//!
//! In: what kind of bases. Out: lines as it happens, a summary, and whether every
//! expectation held.

mod checks;
mod follow;
mod jars;
mod parts;
mod story;
mod summary;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

pub use parts::Parts;

use crate::schemas::EventSchemas;
use crate::screen::Screen;
use crate::tools;
use checks::Checks;

/// The module, its repository and its biz.
const MODULE: &str = "hello";

/// Where it answers.
const PATH: &str = "/hello/";

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Bases that speak arklet's protocol without a JVM.
    pub simulated: bool,
}

/// Shows all of it. True: every expectation held.
///
/// # Errors
/// When something does not come up, or an event does not come.
pub async fn run(wish: Wish, screen: &Screen) -> Result<(Parts, bool)> {
    let kind = if wish.simulated {
        "simulated bases"
    } else {
        "real Koupleless bases"
    };
    screen.title(&format!("Ferry: five pushes to three {kind}"));
    let parts = Parts::start(wish, screen).await?;
    let mut checks = Checks::new(screen.clone());
    let pushes = match story::tell(&parts, screen, &mut checks).await {
        Ok(pushes) => pushes,
        Err(error) => return Err(error.context(parts.stack.tails())),
    };
    let events = tools::target_dir().join("demo").join("events.jsonl");
    screen.title("What was said meanwhile");
    judge_events(&events, &mut checks)?;
    screen.line(&summary::text(&pushes, &checks, screen.paint()));
    Ok((parts, checks.all_held()))
}

/// Every event that was recorded, by the schemas that other teams read.
fn judge_events(file: &Path, checks: &mut Checks) -> Result<()> {
    checks.about("every event");
    let schemas = EventSchemas::of_folder(&tools::workspace_root().join("schemas"))?;
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let events: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let kinds: BTreeSet<&str> = events
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    let count = format!("{} events of {} types", events.len(), kinds.len());
    let broken: Vec<String> = events
        .iter()
        .filter_map(|event| schemas.check(event).err())
        .map(|error| format!("{error:#}"))
        .collect();
    let found = broken
        .first()
        .cloned()
        .unwrap_or_else(|| format!("{count}, in {}", file.display()));
    let held = broken.is_empty() && !events.is_empty();
    checks.expect(
        held,
        "every event keeps its schema (schemas/events)",
        &found,
    );
    Ok(())
}
