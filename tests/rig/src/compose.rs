//! `compose.yaml`, for real: brought up on a container engine, two pushes carried
//! through it and a broken one, the walls between its containers tried.
//!
//! In: the programs of this workspace, an engine or the right to start one. Out:
//! lines as it happens; an error that says which expectation did not hold. What is
//! built and fetched stays in `target/container`, so that the next time is quick.

mod checks;
mod command;
mod engine;
mod parts;
mod project;

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::StatusCode;

use crate::maven::Maven;
use crate::screen::Screen;
use crate::tools;
use command::Ran;
use engine::Engine;
use project::Project;

/// A build, an installation and two looks take 20 s; the first build copies its
/// Maven repository, and everything may stand beside another build.
const RUN_LIMIT: Duration = Duration::from_secs(300);

/// A module answers in milliseconds.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The whole test: an engine, and what runs on it.
pub struct Compose {
    project: Project,
    // One test at a time: they share images and the engine's files.
    _lock: File,
}

impl Compose {
    /// Gathers what was built and gets an engine.
    ///
    /// # Errors
    /// When something is missing that cannot be had from here; one line says what.
    pub async fn start(screen: &Screen) -> Result<Self> {
        let home = home();
        fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        let lock = File::create(home.join("lock"))?;
        if lock.try_lock().is_err() {
            bail!("another compose-test is running in {}", home.display());
        }

        let step = screen.step("gathering what is built outside of containers");
        let seed = Maven::ready().await?.seed().to_owned();
        parts::gather(&home.join("parts")).await?;
        step.done("programs, nats-server and the demo's base gathered");

        let step = screen.step("looking for a container engine");
        let engine = Engine::start(&home).await?;
        step.done(&format!("container engine: {}", engine.what()));
        Ok(Self {
            project: Project::new(engine, &seed),
            _lock: lock,
        })
    }

    /// Makes the images.
    ///
    /// # Errors
    /// When the first image cannot be had, or a build fails.
    pub async fn prepare(&self, screen: &Screen) -> Result<()> {
        let step = screen.step("getting the image that all others stand on");
        let how = self.project.engine().ensure_debian(&home()).await?;
        step.done(&format!("{}: {how}", engine::DEBIAN));

        // What a test that was killed left.
        self.project.down().await?;
        let step = screen.step("making the images (apt fetches some 250 MB the first time)");
        self.project.build().await?;
        step.done("images made");
        Ok(())
    }

    /// Brings everything up and holds it against what is expected.
    ///
    /// # Errors
    /// At the first expectation that does not hold.
    pub async fn check(&self, screen: &Screen) -> Result<()> {
        let project = &self.project;
        let step = screen.step("bringing it up");
        project.up().await?;
        project.healthy().await?;
        step.done("every container is healthy, every one-shot has done its work");

        let step = screen.step("trying the walls between containers");
        for held in checks::all(project).await? {
            screen.line(&format!("  {held}"));
        }
        step.done("each container has its own secrets only, and reaches only what it needs");

        let base = project.port("base", 8080).await?;
        let url = format!("http://{base}/hello/");
        let (status, _) = get(&url).await?;
        ensure!(
            status == StatusCode::NOT_FOUND,
            "{url} answers {status} before the first run"
        );

        let step = screen.step("first run of main");
        succeeded(&self.run_main().await?)?;
        answers(&url, "hello, version one").await?;
        step.done("first run: the base answers \"hello, version one\"");

        let step = screen.step("version two");
        self.change("version-two").await?;
        succeeded(&self.run_main().await?)?;
        answers(&url, "hello, version two").await?;
        step.done("version two replaced it: the base answers \"hello, version two\"");

        let step = screen.step("a change that does not compile");
        self.change("does-not-compile").await?;
        let ran = self.run_main().await?;
        ensure!(
            !ran.status.success() && ran.said().contains("does-not-compile"),
            "the broken change ended with {}:\n{}",
            ran.status,
            ran.said()
        );
        answers(&url, "hello, version two").await?;
        step.done("the broken change was refused with its reason; version two still answers");
        Ok(())
    }

    /// Where a person finds it while it is up.
    ///
    /// # Errors
    /// When it is not up.
    pub async fn addresses(&self) -> Result<String> {
        let gateway = self.project.port("gateway", 8900).await?;
        let base = self.project.port("base", 8080).await?;
        Ok(format!(
            "gateway  http://{gateway}/\nmodule   http://{base}/hello/"
        ))
    }

    /// Takes everything down, volumes included, and ends the engine if it was
    /// started here.
    ///
    /// # Errors
    /// When something stays.
    pub async fn end(self) -> Result<()> {
        let down = self.project.down().await;
        self.project.stop().await?;
        down
    }

    async fn run_main(&self) -> Result<Ran> {
        let ask = ["run", "hello", "--commit", "main", "--wait"];
        self.project.once("ferry", &ask, RUN_LIMIT).await
    }

    async fn change(&self, name: &str) -> Result<()> {
        let ran = self
            .project
            .once("repository", &[name], ANSWER_LIMIT * 6)
            .await?;
        ensure!(
            ran.status.success(),
            "the repository did not take {name}:\n{}",
            ran.said()
        );
        Ok(())
    }
}

/// Everything that is built or fetched for containers.
fn home() -> PathBuf {
    tools::target_dir().join("container")
}

fn succeeded(ran: &Ran) -> Result<()> {
    ensure!(
        ran.status.success(),
        "the run ended with {}:\n{}",
        ran.status,
        ran.said()
    );
    Ok(())
}

async fn get(url: &str) -> Result<(StatusCode, String)> {
    let client = reqwest::Client::builder().timeout(ANSWER_LIMIT).build()?;
    let answer = client
        .get(url)
        .send()
        .await
        .with_context(|| format!("{url} does not answer"))?;
    Ok((answer.status(), answer.text().await?))
}

async fn answers(url: &str, text: &str) -> Result<()> {
    let (status, body) = get(url).await?;
    ensure!(
        status == StatusCode::OK && body.trim() == text,
        "{url} should answer {text:?}, and answers {status} {body:?}"
    );
    Ok(())
}
