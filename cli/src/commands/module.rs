//! `ferry module check`. In: a module's folder, and the configuration that bounds it where there is one
//! here. Out: what is wrong with its `.ferry.toml`, in the words of the builder.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ferry_config::{Config, Diagnostic, MODULE_FILE, OwnKey, keys_in_words, load, module_file};
use serde::Serialize;

use super::{Json, config::checked};
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::output::{Output, say};

/// What to do with a module's own file.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Check a module's .ferry.toml; every error at once
    Check(CheckArgs),
}

/// Arguments of `ferry module check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Whether the module may set what it sets, ferry.toml says ([policies]). Without one only the form is\nchecked; the builder checks both, at each commit.\n\nExamples:\n  ferry module check\n  ferry module check shop/cart --config ../ops/ferry.toml --module cart"
)]
pub struct CheckArgs {
    /// The module's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The configuration that bounds it; default: ferry.toml, where it is here
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The module's name in it; default: the only one
    #[arg(long, value_name = "NAME")]
    module: Option<String>,
    #[command(flatten)]
    json: Json,
}

/// What `check --json` prints.
#[derive(Serialize)]
struct Checked {
    ok: bool,
    file: PathBuf,
    /// Whether a configuration told what the module may set.
    bounded: bool,
    sets: Vec<OwnKey>,
    diagnostics: Vec<Diagnostic>,
}

/// Runs it.
pub fn run(task: &Task) -> Result<Exit> {
    match task {
        Task::Check(args) => check(args),
    }
}

fn check(args: &CheckArgs) -> Result<Exit> {
    let file = args.dir.join(MODULE_FILE);
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let what = format!("{} cannot be read: {error}", file.display());
        Stopped::new(Exit::NotFound, what).next(
            "name the module's folder; a module without such a file is built as ferry.toml says",
        )
    })?;
    let config = configuration(args)?;
    let name = match &config {
        Some(config) => name(args, config)?,
        None => None,
    };
    let bounds = config.as_ref().zip(name.as_deref());
    let result = module_file(&file, &text, bounds);
    let (sets, diagnostics) = match result {
        Ok(own) => (own.keys(), Vec::new()),
        Err(error) => (Vec::new(), error.found().to_vec()),
    };
    let checked = Checked {
        ok: diagnostics.is_empty(),
        file,
        bounded: bounds.is_some(),
        sets,
        diagnostics,
    };
    let output = Output::new(args.json.json);
    let exit = if checked.ok {
        Exit::Success
    } else {
        Exit::Failed
    };
    if output.json {
        output.print(&checked, |_| String::new())?;
        return Ok(exit);
    }
    for diagnostic in &checked.diagnostics {
        eprintln!("{diagnostic}");
    }
    if !checked.bounded {
        eprintln!(
            "only its form was checked: what a module may set, ferry.toml says; name it with --config and the module with --module"
        );
    }
    if checked.ok {
        let sets = keys_in_words(&checked.sets);
        say(&format!("{}: sets {sets}", checked.file.display()))?;
    }
    Ok(exit)
}

/// The configuration that was named, else that of this folder.
fn configuration(args: &CheckArgs) -> Result<Option<Config>> {
    if let Some(path) = &args.config {
        return Ok(Some(checked(path)?.config));
    }
    let here = Path::new("ferry.toml");
    Ok(match here.is_file() {
        true => load(here).ok().map(|loaded| loaded.config),
        false => None,
    })
}

/// Which module of the configuration it is.
fn name(args: &CheckArgs, config: &Config) -> Result<Option<String>> {
    let mut names = config.modules.keys();
    match (&args.module, names.next(), names.next()) {
        (Some(name), ..) if config.module(name).is_none() => {
            let what = format!("there is no module {name:?} in the configuration");
            Err(Stopped::new(Exit::NotFound, what).into())
        }
        (Some(name), ..) => Ok(Some(name.clone())),
        (None, Some(only), None) => Ok(Some(only.clone())),
        _ => Ok(None),
    }
}
