//! `ferry init`. In: a module and its repository. Out: ferry.toml, an admin token
//! and a webhook's secret, and what to do next.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ferry_config::{hash_token, init_text};

use super::token;
use crate::data::{DATA_DIR, Data, new_secret_file, secret_dir};
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::output::say;

/// Stands in the file until somebody writes the real one.
const EXAMPLE_MODULE: &str = "hello";
const EXAMPLE_URL: &str = "https://git.example/acme/hello.git";

/// Arguments of `ferry init`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ferry init\n  ferry init --module hello --repository https://git.example/acme/hello.git"
)]
pub struct Args {
    /// The module's name; default: the repository's
    #[arg(long, value_name = "NAME", requires = "repository")]
    module: Option<String>,
    /// The repository's address, as git clones it
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "ferry.toml")]
    config: PathBuf,
    /// The folder of `ferry up`, for the token
    #[arg(long, value_name = "DIR", default_value = DATA_DIR)]
    data: PathBuf,
}

/// Runs it.
pub fn run(args: &Args) -> Result<Exit> {
    let url = args.repository.as_deref().unwrap_or(EXAMPLE_URL);
    let module = match (&args.module, &args.repository) {
        (Some(module), _) => module.clone(),
        (None, Some(url)) => module_of(url),
        (None, None) => EXAMPLE_MODULE.to_owned(),
    };
    let text =
        init_text(&module, url).map_err(|error| Stopped::new(Exit::Usage, error.to_string()))?;
    if args.config.exists() {
        return Err(there_already(&args.config).into());
    }

    let data = Data::create(&args.data)?;
    let token_file = data.token();
    let fresh = token::random()?;
    // A token that is there stays: somebody may use it.
    let token = if new_secret_file(&token_file, &format!("{fresh}\n"))? {
        fresh
    } else {
        let kept = std::fs::read_to_string(&token_file)
            .with_context(|| format!("{} cannot be read", token_file.display()))?;
        kept.trim().to_owned()
    };
    let all = ["*".to_owned()];
    let text = format!(
        "{text}{}",
        token::lines("admin", &hash_token(&token), "admin", &all, &all)
    );
    write_new(&args.config, &text)?;

    let secrets = args
        .config
        .parent()
        .unwrap_or(Path::new(""))
        .join("secrets");
    secret_dir(&secrets)?;
    let secret = secrets.join(&module);
    new_secret_file(&secret, &format!("{}\n", token::random()?))?;

    say(&next_steps(args, &secret))?;
    Ok(Exit::Success)
}

fn next_steps(args: &Args, secret: &Path) -> String {
    let config = args.config.display();
    let address = match args.repository {
        Some(_) => "the forge and the base's addresses".to_owned(),
        None => "the repository, the forge and the base's addresses".to_owned(),
    };
    let elsewhere = if args.config == Path::new("ferry.toml") {
        String::new()
    } else {
        format!(" --config {config}")
    };
    format!(
        "{config} is written; {} holds the admin's API token, {} the webhook's secret.\n\n\
         Next:\n  \
         1. look through {config}: {address}\n  \
         2. ferry config check {config}\n  \
         3. ferry up{elsewhere}\n  \
         4. at the forge, add the webhook that `ferry up` names, with the secret of {}",
        args.data.join("token").display(),
        secret.display(),
        secret.display(),
    )
}

fn there_already(path: &Path) -> Stopped {
    Stopped::new(Exit::Failed, format!("{} is there already", path.display()))
        .next("change it by hand, or name another file with --config")
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(there_already(path).into()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be written", path.display())),
    }
}

/// `https://git.example/acme/Hello.git` → `hello`; what is no name is refused by
/// `init_text`, which says what a name is.
fn module_of(url: &str) -> String {
    let last = url
        .trim_end_matches('/')
        .rsplit(['/', ':'])
        .next()
        .unwrap_or(url);
    last.strip_suffix(".git")
        .unwrap_or(last)
        .to_lowercase()
        .replace(['_', '.'], "-")
}
