//! How long builds take warm and cold: two Ferrys build the same commits in turns, one in a Maven that stays.
//!
//! In: how often. Out: medians, and their ratio.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ferry_events::{Event, Kind};
use ferry_fake_base::{FakeBase, Options};
use serde::Serialize;

use super::figures::{Spread, spread};
use super::follow::run_of;
use super::place::{between_turns, fresh, sandbox, shown};
use super::steps::millis_between;
use crate::git::{Push, Repository};
use crate::maven::{self, Maven};
use crate::screen::Screen;
use crate::stack::{BaseAt, EnvironmentAt, ModuleAt, Recorder, RepositoryAt, Setup, Stack};

const SOURCE: &str = "src/main/java/ferry/demo/hello/HelloApplication.java";

/// What was measured; times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Which benchmark.
    pub name: &'static str,
    /// In a worker that had built before.
    pub warm: Spread,
    /// By a Maven of its own.
    pub cold: Spread,
    /// The median of `warm` ÷ that of `cold`.
    pub ratio: f64,
    /// The worker's first build.
    pub first_ms: f64,
    /// How often each, besides the first of both.
    pub runs: usize,
}

/// Measures.
///
/// # Errors
/// When something does not come up, or a build fails.
pub async fn measure(runs: usize, screen: &Screen) -> Result<Measured> {
    if runs == 0 {
        bail!("--runs must be at least 1");
    }
    let dir = fresh("build")?;
    let maven = Maven::ready().await?;
    let folder = maven::demo_dir().join("hello");
    let (repository, _) = Repository::from_folder("hello", &folder, &dir).await?;
    let text = fs::read_to_string(folder.join(SOURCE)).context("demo/hello")?;
    let step = screen.step("two Ferrys start");
    let mut both = Vec::new();
    for warm in [true, false] {
        both.push(One::start(&dir, warm, &repository, &maven, screen).await?);
    }
    step.done("two Ferrys are up");
    let mut took = [Vec::new(), Vec::new()];
    for run in 0..=runs {
        let step = screen.step(&format!("run {run} of {runs}"));
        let source = format!("{text}// run {run}\n");
        let push = repository.commit_file(SOURCE, &source, "One more").await?;
        for (took, one) in took.iter_mut().zip(&mut both) {
            between_turns().await;
            took.push(one.build(&push).await?);
        }
        let last = took.each_ref().map(|it| it[run]);
        step.done(&format!(
            "run {run} of {runs}: warm {}, cold {}",
            shown(last[0]),
            shown(last[1])
        ));
    }
    for one in &mut both {
        one.stack.stop().await?;
    }
    let [warm, cold] = took.each_ref().map(|it| spread(&it[1..]));
    Ok(Measured {
        name: "build",
        ratio: warm.p50 / cold.p50,
        first_ms: took[0][0],
        warm,
        cold,
        runs,
    })
}

/// What a person reads.
pub fn text(it: &Measured) -> String {
    format!(
        "\na build: warm {}, cold {}, ratio {:.2}; in a new worker {}; medians of {} each",
        shown(it.warm.p50),
        shown(it.cold.p50),
        it.ratio,
        shown(it.first_ms),
        it.runs
    )
}

/// One Ferry, over a simulated base: what happens after the build is not measured.
struct One {
    events: Recorder,
    stack: Stack,
    _base: FakeBase,
}

impl One {
    async fn start(
        dir: &Path,
        warm: bool,
        repository: &Repository,
        maven: &Maven,
        screen: &Screen,
    ) -> Result<Self> {
        let dir = dir.join(if warm { "warm" } else { "cold" });
        let base = FakeBase::start(Options::default()).await?;
        let setup = Setup {
            repositories: vec![RepositoryAt::of(repository)],
            modules: vec![ModuleAt {
                name: "hello".to_owned(),
                repository: "hello".to_owned(),
                path: ".".to_owned(),
                soak: "0s".to_owned(),
                probe: None,
            }],
            environments: vec![EnvironmentAt {
                name: "bench".to_owned(),
                base_jar: None,
                bases: vec![BaseAt {
                    name: "bench-1".to_owned(),
                    arklet: base.arklet_url.clone(),
                    url: base.modules_url.clone(),
                }],
            }],
            maven_seed: Some(maven.seed().to_path_buf()),
            sandbox: sandbox(screen),
            ..Setup::new(&dir)
        };
        let beside = dir.join("conf.d");
        fs::create_dir_all(&beside)?;
        fs::write(
            beside.join("warm.toml"),
            format!("[builder]\nwarm = {warm}\n"),
        )?;
        let stack = Stack::start(&setup).await?;
        Ok(Self {
            events: stack.record(&dir.join("events.jsonl"))?,
            stack,
            _base: base,
        })
    }

    /// From the build's turn to its jar in the store, in milliseconds.
    async fn build(&mut self, push: &Push) -> Result<f64> {
        let id = self.stack.deliver(push).await?;
        let events = run_of(&mut self.events, id, || self.stack.tails()).await?;
        let at = |kind: Kind| -> Result<&Event> {
            let found = events.iter().find(|event| event.body.kind() == kind);
            found.with_context(|| format!("the run has no {}", kind.short_name()))
        };
        let (began, ended) = (at(Kind::BuildStarted)?, at(Kind::ArtifactPackaged)?);
        Ok(millis_between(began.time, ended.time))
    }
}
