//! A deployment as a person does it: git pull, Maven, two curls.
//!
//! In: a clone, a base. Out: how long each command took.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::figures::millis;
use crate::git::Repository;
use crate::maven::Maven;
use crate::tools;

/// A build takes 4 to 15 s on two busy cores.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);

/// What `demo/hello` calls itself.
const BIZ: &str = "hello";
const VERSION: &str = "1.0.0";

/// A person's clone, and the base that they deploy to.
pub(super) struct Hand {
    clone: PathBuf,
    arklet: String,
    maven: Maven,
    maven_opts: Option<String>,
    curl: PathBuf,
}

impl Hand {
    /// Clones the repository.
    pub(super) async fn new(
        repository: &Repository,
        dir: &Path,
        arklet: String,
        maven: Maven,
        maven_opts: Option<String>,
    ) -> Result<Self> {
        let hand = Self {
            clone: dir.join("clone"),
            arklet,
            maven,
            maven_opts,
            curl: tools::on_path("curl").context("curl is not on the PATH")?,
        };
        clone(repository, &hand.clone).await?;
        Ok(hand)
    }

    /// Deploys what was pushed, and says what each command took, in milliseconds.
    pub(super) async fn deploy(&self) -> Result<Vec<(&'static str, f64)>> {
        let mut steps = Vec::new();
        let mut began = Instant::now();
        let mut step = |name| {
            steps.push((name, millis(began.elapsed())));
            began = Instant::now();
        };
        pull(&self.clone).await?;
        step("git pull");
        self.build().await?;
        step("mvn -q -o package");
        // The first time there is none: the answer says so, and is no failure.
        self.curl(
            "uninstallBiz",
            &json!({ "bizName": BIZ, "bizVersion": VERSION }),
        )
        .await?;
        step("curl uninstallBiz");
        let jar = self
            .clone
            .join("target")
            .join(format!("{BIZ}-{VERSION}-ark-biz.jar"));
        let url = format!("file://{}", jar.display());
        let install = json!({ "bizName": BIZ, "bizVersion": VERSION, "bizUrl": url });
        let reply = self.curl("installBiz", &install).await?;
        if reply["code"] != "SUCCESS" {
            bail!("the base did not take the module: {reply}");
        }
        step("curl installBiz");
        Ok(steps)
    }

    async fn build(&self) -> Result<()> {
        let mut build = Command::new(tools::maven()?);
        build
            .args(["-q", "-o"])
            // Where the artifacts are on this machine.
            .arg(format!(
                "-Dmaven.repo.local={}",
                self.maven.seed().display()
            ))
            .arg("package")
            .env("JAVA_HOME", &self.maven.jdk().home)
            .env_remove("MAVEN_OPTS");
        if let Some(options) = &self.maven_opts {
            build.env("MAVEN_OPTS", options);
        }
        run("mvn", build, &self.clone).await.map(drop)
    }

    async fn curl(&self, command: &str, body: &Value) -> Result<Value> {
        let mut curl = Command::new(&self.curl);
        curl.args([
            "--silent",
            "--show-error",
            "--header",
            "Content-Type: application/json",
        ])
        .args(["--data", &body.to_string()])
        .arg(format!("{}/{command}", self.arklet));
        let reply = run("curl", curl, &self.clone).await?;
        serde_json::from_slice(&reply).with_context(|| format!("what {command} answered"))
    }
}

/// A person's clone of a repository.
pub(super) async fn clone(repository: &Repository, to: &Path) -> Result<()> {
    let mut clone = Command::new(tools::git()?);
    clone
        .args(["clone", "--quiet", &repository.clone_url()])
        .arg(to);
    let beside = to.parent().unwrap_or(to);
    run("git clone", clone, beside).await.map(drop)
}

/// Brings a clone up to date.
pub(super) async fn pull(clone: &Path) -> Result<()> {
    let mut pull = Command::new(tools::git()?);
    pull.args(["pull", "--quiet", "--ff-only"]);
    run("git pull", pull, clone).await.map(drop)
}

/// Runs a command that has to succeed; what it wrote.
pub(super) async fn run(name: &str, mut command: Command, dir: &Path) -> Result<Vec<u8>> {
    let running = command
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .env("GIT_TERMINAL_PROMPT", "0")
        .output();
    let ended = timeout(COMMAND_LIMIT, running).await;
    let out = ended
        .with_context(|| format!("{name} did not end within {COMMAND_LIMIT:?}"))?
        .with_context(|| format!("cannot run {name}"))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let said = [out.stdout, out.stderr].concat();
    bail!(
        "{name} ended with {}: {}",
        out.status,
        String::from_utf8_lossy(&said).trim()
    )
}
