//! `ferry config`. In: a tree of files, or the bus. Out: what is wrong, or what
//! is in force.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ferry_bus::config_store;
use ferry_config::{Config, Diagnostic, Loaded, load};
use serde::Serialize;

use super::Json;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::operator::{BusArgs, apply, decode};
use crate::output::{Output, say};

/// What to do with the configuration.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Check the files; every error at once
    Check(CheckArgs),
    /// Check the files and put them in force on the bus
    Apply(ApplyArgs),
    /// Print the configuration that is in force on the bus
    Show(ShowArgs),
}

/// Arguments of `ferry config check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry config check\n  ferry config check /etc/ferry/ferry.toml --json"
)]
pub struct CheckArgs {
    /// The file; conf.d/*.toml beside it are read too
    #[arg(default_value = "ferry.toml")]
    path: PathBuf,
    #[command(flatten)]
    json: Json,
}

/// Arguments of `ferry config apply`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "`ferry up` applies the files by itself whenever they change.\n\nExamples:\n  ferry config apply\n  ferry config apply ferry.toml --bus nats://nats.ferry.example:4222 --credentials keys/operator.nk"
)]
pub struct ApplyArgs {
    /// The file; conf.d/*.toml beside it are read too
    #[arg(default_value = "ferry.toml")]
    path: PathBuf,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    bus: BusArgs,
}

/// Arguments of `ferry config show`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry config show\n  ferry config show --json | jq .config.modules"
)]
pub struct ShowArgs {
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    bus: BusArgs,
}

/// What `check --json` prints.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    files: Vec<PathBuf>,
    diagnostics: Vec<Diagnostic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// What `apply --json` prints.
#[derive(Serialize)]
struct AppliedView {
    sequence: u64,
    digest: String,
    changed: bool,
}

/// What `show --json` prints.
#[derive(Serialize)]
struct InForce {
    sequence: u64,
    digest: String,
    config: Config,
}

/// Runs it.
pub async fn run(task: Task) -> Result<Exit> {
    match task {
        Task::Check(args) => check(&args),
        Task::Apply(args) => put(args).await,
        Task::Show(args) => show(args).await,
    }
}

fn check(args: &CheckArgs) -> Result<Exit> {
    let output = Output::new(args.json.json);
    match load(&args.path) {
        Ok(loaded) => {
            let digest = loaded.config.revision_digest();
            if output.json {
                let Loaded {
                    files, warnings, ..
                } = loaded;
                let checked = Checked {
                    ok: true,
                    files,
                    diagnostics: warnings,
                    digest: Some(digest),
                };
                output.print(&checked, |_| String::new())?;
            } else {
                print_diagnostics(&loaded.warnings);
                say(&format!(
                    "{}: {}",
                    args.path.display(),
                    summary(&loaded.config)
                ))?;
            }
            Ok(Exit::Success)
        }
        Err(diagnostics) => {
            if output.json {
                let checked = Checked {
                    ok: false,
                    files: Vec::new(),
                    diagnostics,
                    digest: None,
                };
                output.print(&checked, |_| String::new())?;
            } else {
                print_diagnostics(&diagnostics);
                eprintln!("{}", errors(&diagnostics));
            }
            Ok(Exit::Failed)
        }
    }
}

async fn put(args: ApplyArgs) -> Result<Exit> {
    let loaded = checked(&args.path)?;
    let bus = args.bus.connect(Some(&loaded.config)).await?;
    let applied = apply(&bus, &loaded.config).await?;
    let view = AppliedView {
        sequence: applied.sequence,
        digest: loaded.config.revision_digest(),
        changed: applied.changed,
    };
    Output::new(args.json.json).print(&view, |_| {
        let verb = if view.changed {
            "is in force now"
        } else {
            "was in force already"
        };
        format!(
            "revision {} {verb}: {}",
            &view.digest[..12],
            summary(&loaded.config)
        )
    })?;
    Ok(Exit::Success)
}

async fn show(args: ShowArgs) -> Result<Exit> {
    let here = load(Path::new("ferry.toml")).ok();
    let bus = args
        .bus
        .connect(here.as_ref().map(|loaded| &loaded.config))
        .await?;
    let Some(revision) = config_store::read(&bus).await? else {
        return Err(Stopped::new(Exit::NotFound, "no configuration is in force")
            .next("put one there with `ferry config apply`")
            .into());
    };
    let config = decode(&revision)?;
    let in_force = InForce {
        sequence: revision.sequence,
        digest: config.revision_digest(),
        config,
    };
    let text = toml::to_string(&in_force.config)?;
    Output::new(args.json.json).print(&in_force, |_| {
        format!(
            "# revision {} at {}\n{text}",
            &in_force.digest[..12],
            in_force.sequence
        )
    })?;
    Ok(Exit::Success)
}

/// Loads the files; warnings go to stderr, errors too, and end the command.
pub fn checked(path: &Path) -> Result<Loaded> {
    match load(path) {
        Ok(loaded) => {
            print_diagnostics(&loaded.warnings);
            Ok(loaded)
        }
        Err(diagnostics) => {
            print_diagnostics(&diagnostics);
            Err(Stopped::new(Exit::Failed, errors(&diagnostics))
                .next("mend them; `ferry config check` says what is left")
                .into())
        }
    }
}

fn print_diagnostics(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        eprintln!("{diagnostic}");
    }
}

fn errors(diagnostics: &[Diagnostic]) -> String {
    match diagnostics.len() {
        1 => "the configuration has an error".to_owned(),
        many => format!("the configuration has {many} errors"),
    }
}

/// What a configuration holds, in a line.
pub fn summary(config: &Config) -> String {
    let count = |number: usize, one: &str, many: &str| {
        format!("{number} {}", if number == 1 { one } else { many })
    };
    [
        count(config.repositories.len(), "repository", "repositories"),
        count(config.modules.len(), "module", "modules"),
        count(config.environments.len(), "environment", "environments"),
        count(config.bases().len(), "base", "bases"),
    ]
    .join(", ")
}
