//! `ferry report RUN`. In: a run, a pool. Out: what its slimming left out and kept, and the proof.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ferry_api::ReportQuery;
use ferry_slim::{Diff, Report};

use super::Json;
use crate::exit::Exit;
use crate::gateway::{GatewayArgs, run_id};
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry report`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reports are kept beside the jars. `ferry slim` makes the same report without the pipeline.\n\nExamples:\n  ferry report 1a2b3c4d\n  ferry report 1a2b --pool prod-a --gaps\n  ferry report 1a2b --html report.html\n  ferry report 1a2b --json | jq '.kept[].entry'"
)]
pub struct Args {
    /// The run's id, or at least four of its first digits
    #[arg(value_parser = run_id)]
    run: String,
    /// The pool whose jar it is about; default: the one that was refused, else the first
    #[arg(long)]
    pool: Option<String>,
    /// Where to write the report as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// List what is missing and optional too
    #[arg(long)]
    gaps: bool,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Runs it.
pub async fn run(args: Args) -> Result<Exit> {
    let query = ReportQuery { pool: args.pool };
    let found = args.gateway.client()?.report(&args.run, &query).await?;
    let output = Output::new(args.json.json);
    if output.json && args.html.is_none() {
        output.print(&found, |_| String::new())?;
        return Ok(Exit::Success);
    }
    let json = serde_json::Value::from(found.0.clone());
    // The run of a base has the difference between two builds of it.
    if let Ok(diff) = serde_json::from_value::<Diff>(json.clone())
        && args.html.is_none()
    {
        output.print(&found, |paint| screen::profile_diff(&diff, paint))?;
        return Ok(Exit::Success);
    }
    let report: Report = serde_json::from_value(json).context(
        "this is no report of a module's slimming that is known here; `--json` prints it",
    )?;
    if let Some(file) = &args.html {
        std::fs::write(file, screen::slim_page(&report))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    output.print(&found, |paint| screen::slimmed(&report, args.gaps, paint))?;
    Ok(Exit::Success)
}
