//! `ferry slim` and `ferry base inspect`. In: jars. Out: a slimmed jar, or a
//! base's profile, and a report.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ferry_slim::{BaseProfile, Limits, SlimError, Stamp, slim};
use serde::Serialize;

use super::Json;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry slim`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry slim target/hello-ark-biz.jar --base base.jar -o hello-slim.jar\n  ferry slim hello.jar --base base.profile.json -o hello-slim.jar --commit 1a2b3c4d --json"
)]
pub struct Args {
    /// The ark-biz jar as it was built
    jar: PathBuf,
    /// The base's jar, or its profile
    #[arg(long, value_name = "BASE.jar|PROFILE")]
    base: PathBuf,
    /// Where to write the slimmed jar
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// The commit that it was built from, for its version
    #[arg(long, value_name = "C")]
    commit: Option<String>,
    #[command(flatten)]
    json: Json,
}

/// Arguments of `ferry base inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ferry base inspect base.jar -o base.profile.json")]
pub struct InspectArgs {
    /// The base's jar
    jar: PathBuf,
    /// Where to write the profile
    #[arg(long, short, value_name = "PROFILE")]
    output: PathBuf,
    #[command(flatten)]
    json: Json,
}

/// What `ferry base inspect --json` prints.
#[derive(Serialize)]
struct Inspected {
    digest: String,
    libraries: usize,
    bytes: u64,
}

/// Runs `ferry slim`.
pub fn run(args: Args) -> Result<Exit> {
    let limits = Limits::default();
    let profile = BaseProfile::load(&args.base, limits)
        .map_err(told)
        .with_context(|| format!("{} is no base", args.base.display()))?;
    let stamp = match &args.commit {
        Some(commit) => Stamp::commit(commit).map_err(told)?,
        None => Stamp::packaged(),
    };
    let report = slim(&args.jar, Some(&profile), &stamp, &args.output, limits)
        .map_err(told)
        .with_context(|| format!("{} cannot be slimmed", args.jar.display()))?;
    Output::new(args.json.json).print(&report, |paint| screen::slimmed(&report, paint))?;
    Ok(Exit::Success)
}

/// Runs `ferry base inspect`.
pub fn inspect(args: InspectArgs) -> Result<Exit> {
    let profile = BaseProfile::load(&args.jar, Limits::default())
        .map_err(told)
        .with_context(|| format!("{} is no base", args.jar.display()))?;
    std::fs::write(&args.output, profile.to_json())
        .with_context(|| format!("{} cannot be written", args.output.display()))?;
    let inspected = Inspected {
        digest: profile.digest(),
        libraries: profile.libraries.len(),
        bytes: profile.libraries.iter().map(|library| library.bytes).sum(),
    };
    Output::new(args.json.json).print(&inspected, |paint| screen::profile(&profile, paint))?;
    Ok(Exit::Success)
}

/// A file that is not there, and a commit that is none, have codes of their own.
fn told(error: SlimError) -> anyhow::Error {
    match &error {
        SlimError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let exit = Stopped::new(Exit::NotFound, error.to_string());
            anyhow::Error::new(exit)
        }
        SlimError::BadCommit { .. } => Stopped::new(Exit::Usage, error.to_string()).into(),
        _ => error.into(),
    }
}
