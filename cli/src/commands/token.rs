//! `ferry token new NAME`. In: a name and what it may do. Out: the token, once,
//! and the lines of ferry.toml that hold its hash.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::ValueEnum;
use ferry_config::{glob, hash_token, text::is_name};
use serde::Serialize;

use super::Json;
use crate::exit::Exit;
use crate::output::Output;

/// Random bytes of a token: as many as its hash has.
const TOKEN_BYTES: usize = 32;

/// By which people and scanners for secrets know one.
const TOKEN_PREFIX: &str = "ferry_";

/// What to do with tokens.
#[derive(Debug, clap::Subcommand)]
pub enum Task {
    /// Make a token: it is printed once, its hash goes into ferry.toml
    New(Args),
}

/// A role, as in ferry.toml.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Read runs, bases, events and logs
    View,
    /// Also run, deploy and roll back
    Operate,
    /// Also let a waiting rollout pass
    Approve,
    /// Everything
    Admin,
}

impl RoleArg {
    fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

/// Arguments of `ferry token new`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry token new ci --role operate --module 'hello*' --environment pre\n  ferry token new ops --role admin"
)]
pub struct Args {
    /// Its name: the author of what is done with it
    #[arg(value_parser = name)]
    name: String,
    /// What it may do
    #[arg(long, value_enum, default_value_t = RoleArg::View)]
    role: RoleArg,
    /// A glob of modules; may be given several times
    #[arg(long = "module", value_name = "GLOB", default_value = "*", value_parser = a_glob)]
    modules: Vec<String>,
    /// A glob of environments; may be given several times
    #[arg(long = "environment", value_name = "GLOB", default_value = "*", value_parser = a_glob)]
    environments: Vec<String>,
    #[command(flatten)]
    json: Json,
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 63 of a-z, 0-9 and \"-\"".to_owned())
    }
}

fn a_glob(text: &str) -> Result<String, String> {
    glob(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// What `--json` prints.
#[derive(Serialize)]
struct Made {
    name: String,
    token: String,
    hash: String,
    toml: String,
}

/// Runs it.
pub fn run(task: Task) -> Result<Exit> {
    let Task::New(args) = task;
    let token = random()?;
    let hash = hash_token(&token);
    let toml = lines(
        &args.name,
        &hash,
        args.role.as_str(),
        &args.modules,
        &args.environments,
    );
    let made = Made {
        name: args.name,
        token,
        hash,
        toml,
    };
    Output::new(args.json.json).print(&made, |_| {
        format!(
            "{}\n\nThis token is shown once: keep it. Add to ferry.toml:\n\n{}",
            made.token, made.toml
        )
    })?;
    Ok(Exit::Success)
}

/// A fresh token.
pub fn random() -> Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(format!(
        "{TOKEN_PREFIX}{}",
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    ))
}

/// The lines of ferry.toml.
pub fn lines(
    name: &str,
    hash: &str,
    role: &str,
    modules: &[String],
    environments: &[String],
) -> String {
    let list = |globs: &[String]| {
        let all: Vec<String> = globs
            .iter()
            .map(|it| toml::Value::from(it.as_str()).to_string())
            .collect();
        format!("[{}]", all.join(", "))
    };
    let mut text = format!(
        "[tokens.{name}]\nhash = \"{hash}\"\n[[tokens.{name}.grants]]\nrole = \"{role}\"\n"
    );
    // What is left out means all.
    if modules != ["*"] {
        text.push_str(&format!("modules = {}\n", list(modules)));
    }
    if environments != ["*"] {
        text.push_str(&format!("environments = {}\n", list(environments)));
    }
    text
}
