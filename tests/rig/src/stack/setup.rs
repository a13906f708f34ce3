//! The `ferry.toml` of a stack, and the secrets beside it.
//!
//! In: which bases, repositories and modules. Out: files in one folder.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ferry_config::hash_token;

use crate::git;
use crate::simulated::AnyBase;

/// The name under which the stack's own token acts.
const TOKEN_NAME: &str = "demo";

/// What a stack is made of. Everything is on this machine's loopback.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Where everything goes; made where it is missing.
    pub dir: PathBuf,
    /// The repositories.
    pub repositories: Vec<RepositoryAt>,
    /// The modules.
    pub modules: Vec<ModuleAt>,
    /// The environments, one after the other.
    pub environments: Vec<EnvironmentAt>,
    /// A Maven repository that builds read.
    pub maven_seed: Option<PathBuf>,
    /// Whether builds run in a sandbox. Without one is for machines that cannot
    /// have it; whoever sets this says so.
    pub sandbox: bool,
    /// More TOML, at the end of the file.
    pub extra: String,
}

/// A repository of a forge that signs as GitHub does.
#[derive(Debug, Clone)]
pub struct RepositoryAt {
    /// Its name.
    pub name: String,
    /// What to clone.
    pub url: String,
}

/// A module.
#[derive(Debug, Clone)]
pub struct ModuleAt {
    /// Its name.
    pub name: String,
    /// Its repository's name.
    pub repository: String,
    /// The folder of its `pom.xml` below the repository's root.
    pub path: String,
    /// For how long it must stay well: `1s`.
    pub soak: String,
    /// What must answer 200; none: being active is enough.
    pub probe: Option<ProbeAt>,
}

/// A path that a well module answers with 200.
#[derive(Debug, Clone)]
pub struct ProbeAt {
    /// The path.
    pub path: String,
    /// By when it must have answered well once, after the installation: `5s`.
    pub deadline: String,
}

/// An environment with one pool of its name.
#[derive(Debug, Clone)]
pub struct EnvironmentAt {
    /// Its name.
    pub name: String,
    /// The jar that its bases run, for slimming.
    pub base_jar: Option<PathBuf>,
    /// Its bases.
    pub bases: Vec<BaseAt>,
}

/// A base that runs.
#[derive(Debug, Clone)]
pub struct BaseAt {
    /// Its name.
    pub name: String,
    /// Where arklet listens.
    pub arklet: String,
    /// Where its modules answer.
    pub url: String,
}

impl RepositoryAt {
    /// A repository on this disk.
    pub fn of(repository: &git::Repository) -> Self {
        Self {
            name: repository.name().to_owned(),
            url: repository.clone_url(),
        }
    }
}

impl BaseAt {
    /// A base that was started.
    pub fn of(base: &AnyBase) -> Self {
        Self {
            name: base.name().to_owned(),
            arklet: base.arklet_url(),
            url: base.http_url(),
        }
    }
}

/// What was written: where it is, and what it says.
#[derive(Debug)]
pub(crate) struct Written {
    pub config: PathBuf,
    pub data: PathBuf,
    pub token_file: PathBuf,
    pub token: String,
    pub secret: String,
    pub gateway: SocketAddr,
    pub nats: SocketAddr,
}

impl Setup {
    /// Nothing but a folder.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            repositories: Vec::new(),
            modules: Vec::new(),
            environments: Vec::new(),
            maven_seed: None,
            sandbox: true,
            extra: String::new(),
        }
    }

    pub(crate) fn write(&self) -> Result<Written> {
        let dir = &self.dir;
        let data = dir.join("data");
        for made in [dir.clone(), dir.join("secrets"), data.clone()] {
            fs::create_dir_all(&made).with_context(|| format!("cannot make {}", made.display()))?;
        }
        let written = Written {
            config: dir.join("ferry.toml"),
            token_file: data.join("token"),
            data,
            token: random("ferry_")?,
            secret: random("")?,
            gateway: ferry_ports::address()?,
            nats: ferry_ports::address()?,
        };
        secret_file(&written.token_file, &written.token)?;
        secret_file(&dir.join("secrets").join("webhook"), &written.secret)?;
        let text = self.text(&written)?;
        fs::write(&written.config, text)
            .with_context(|| format!("cannot write {}", written.config.display()))?;
        Ok(written)
    }

    fn text(&self, written: &Written) -> Result<String> {
        let mut text = String::new();
        writeln!(
            text,
            "[bus]\nurl = {}\n",
            quoted(&format!("nats://{}", written.nats))
        )?;
        writeln!(
            text,
            "[gateway]\nlisten = {}\n",
            quoted(&written.gateway.to_string())
        )?;
        writeln!(
            text,
            "[installer]\nlisten = {}\n",
            quoted(&ferry_ports::address()?.to_string())
        )?;
        self.builder(&mut text)?;
        writeln!(
            text,
            "[tokens.{TOKEN_NAME}]\nhash = {}",
            quoted(&hash_token(&written.token))
        )?;
        writeln!(text, "[[tokens.{TOKEN_NAME}.grants]]\nrole = \"admin\"\n")?;
        for repository in &self.repositories {
            let RepositoryAt { name, url } = repository;
            writeln!(
                text,
                "[repositories.{name}]\nurl = {}\nforge = \"github\"",
                quoted(url)
            )?;
            writeln!(
                text,
                "full_name = {}",
                quoted(&crate::hook::full_name(name))
            )?;
            writeln!(text, "secret = \"file:secrets/webhook\"\n")?;
        }
        for module in &self.modules {
            let ModuleAt {
                name,
                repository,
                path,
                soak,
                probe,
            } = module;
            writeln!(
                text,
                "[modules.{name}]\nrepository = {}",
                quoted(repository)
            )?;
            writeln!(text, "path = {}\nsoak = {}", quoted(path), quoted(soak))?;
            if let Some(ProbeAt { path, deadline }) = probe {
                writeln!(text, "[modules.{name}.probe]\npath = {}", quoted(path))?;
                writeln!(text, "deadline = {}", quoted(deadline))?;
            }
            writeln!(text)?;
        }
        let mut before: Option<&str> = None;
        for environment in &self.environments {
            environment.text(before, &mut text)?;
            before = Some(&environment.name);
        }
        text.push_str(&self.extra);
        Ok(text)
    }

    fn builder(&self, text: &mut String) -> Result<()> {
        writeln!(text, "[builder]")?;
        if !self.sandbox {
            writeln!(text, "sandbox = \"none\"")?;
        }
        if let Some(seed) = &self.maven_seed {
            writeln!(text, "maven_seed = {}", quoted(&seed.to_string_lossy()))?;
        }
        let urls: Vec<&str> = self
            .repositories
            .iter()
            .map(|repository| repository.url.as_str())
            .collect();
        // Each one by its folder: `file` alone would allow every path.
        let allowed: Vec<String> = urls
            .iter()
            .filter_map(|url| url.starts_with("file://").then(|| url.rsplit_once('/'))?)
            .map(|(folder, _)| quoted(&format!("{folder}/")))
            .collect();
        writeln!(
            text,
            "allow_clone = [\"https\", \"ssh\", {}]\n",
            allowed.join(", ")
        )?;
        Ok(())
    }
}

impl EnvironmentAt {
    fn text(&self, before: Option<&str>, text: &mut String) -> Result<()> {
        let name = &self.name;
        writeln!(text, "[environments.{name}]")?;
        if let Some(before) = before {
            writeln!(text, "after = {}", quoted(before))?;
        }
        writeln!(text, "\n[pools.{name}]\nenvironment = {}", quoted(name))?;
        if let Some(jar) = &self.base_jar {
            writeln!(text, "base_jar = {}", quoted(&jar.to_string_lossy()))?;
        }
        for base in &self.bases {
            writeln!(
                text,
                "[[pools.{name}.bases]]\nname = {}",
                quoted(&base.name)
            )?;
            writeln!(
                text,
                "arklet = {}\nurl = {}",
                quoted(&base.arklet),
                quoted(&base.url)
            )?;
        }
        writeln!(text)?;
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// 256 bits that nobody can guess, in hex.
fn random(prefix: &str) -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("no random bytes")?;
    Ok(format!("{prefix}{}", hex::encode(bytes)))
}

fn secret_file(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    // Of an earlier start in the same folder.
    fs::remove_file(path).ok();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)
}
