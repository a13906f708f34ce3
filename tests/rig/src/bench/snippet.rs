//! From a webhook to the base's own answer with a snippet's new words, on one real base.
//!
//! In: how often. Out: the median, how far it spreads, and where the time goes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::figures::{Spread, Step, Table, millis, spread};
use super::follow::run_of;
use super::place::{fresh, sandbox, shown};
use super::steps;
use crate::base::{Base, Options};
use crate::git::Repository;
use crate::maven::demo_dir;
use crate::screen::Screen;
use crate::stack::{BaseAt, EnvironmentAt, Recorder, RepositoryAt, Setup, Stack};

/// Between two looks at the base.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// It takes a second; the rest is for a machine that is busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

const FILE: &str = "Greeting.java";
/// What the demo's snippet says.
const WORDS: &str = "hello, ";

/// What is over when it answers is what is measured, so it need not stay well.
const MODULE: &str = r#"
[modules.greeting]
repository = "greeting"
build = "snippet"
soak = "0s"
[modules.greeting.probe]
path = "/greet/greeting"
deadline = "20s"
"#;

/// What was measured; times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Which benchmark.
    pub name: &'static str,
    /// From the webhook to the answer.
    pub whole: Spread,
    /// Of it, what neither the compiler nor the base takes.
    pub own: Spread,
    /// How often.
    pub runs: usize,
    /// Where it goes, in order: medians.
    pub steps: Vec<Step>,
}

/// Measures.
///
/// # Errors
/// When something does not come up, or a deployment fails.
pub async fn measure(runs: usize, screen: &Screen) -> Result<Measured> {
    if runs == 0 {
        bail!("--runs must be at least 1");
    }
    let dir = fresh("snippet")?;
    let mut bench = Bench::start(&dir, screen).await?;
    let step = screen.step("one, not counted: what is new costs more the first time");
    bench.once(0).await?;
    step.done("warm");
    let (mut whole, mut own, mut table) = (Vec::new(), Vec::new(), Table::default());
    for run in 1..=runs {
        let step = screen.step(&format!("run {run} of {runs}"));
        let (took, parts) = bench.once(run).await?;
        step.done(&format!("run {run} of {runs}: {}", shown(took)));
        whole.push(took);
        own.push(parts.own);
        table.add(&parts.steps);
    }
    bench.stack.stop().await?;
    Ok(Measured {
        name: "snippet",
        whole: spread(&whole),
        own: spread(&own),
        runs,
        steps: table.medians(),
    })
}

/// What a person reads; its last line says it all.
pub fn text(measured: &Measured) -> String {
    let steps: String = measured
        .steps
        .iter()
        .map(|step| format!("  {:<20} {:>10}\n", step.name, shown(step.median)))
        .collect();
    format!(
        "\na snippet (medians)\n{steps}\nwebhook to answer: {} (p50) {} (p99); Ferry's own {} (p50) {} (p99); {} runs",
        shown(measured.whole.p50),
        shown(measured.whole.p99),
        shown(measured.own.p50),
        shown(measured.own.p99),
        measured.runs
    )
}

struct Bench {
    // Ended before the base that it works on.
    events: Recorder,
    stack: Stack,
    repository: Repository,
    source: String,
    base: Base,
    client: reqwest::Client,
}

impl Bench {
    async fn start(dir: &Path, screen: &Screen) -> Result<Self> {
        let folder = demo_dir().join("snippet");
        let source = fs::read_to_string(folder.join(FILE)).context("demo/snippet")?;
        if !source.contains(WORDS) {
            bail!("demo/snippet does not say {WORDS:?} any more");
        }
        let (repository, _) = Repository::from_folder("greeting", &folder, dir).await?;
        let step = screen.step("a real base starts");
        let base = Base::start(Options::new("bench-1", &dir.join("base"))).await?;
        step.done(&format!("a real base answers at {}", base.http_url()));
        let setup = Setup {
            repositories: vec![RepositoryAt::of(&repository)],
            environments: vec![EnvironmentAt {
                name: "bench".to_owned(),
                base_jar: Some(base.jar().to_path_buf()),
                bases: vec![BaseAt {
                    name: "bench-1".to_owned(),
                    arklet: base.arklet_url(),
                    url: base.http_url(),
                }],
            }],
            sandbox: sandbox(screen),
            extra: MODULE.to_owned(),
            ..Setup::new(&dir.join("ferry"))
        };
        let step = screen.step("Ferry starts");
        let stack = Stack::start(&setup).await?;
        step.done(&format!("Ferry is up at {}", stack.url()));
        Ok(Self {
            events: stack.record(&dir.join("events.jsonl"))?,
            stack,
            repository,
            source,
            base,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()?,
        })
    }

    #[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    async fn once(&mut self, run: usize) -> Result<(f64, steps::Parts)> {
        let words = format!("run {run} greets ");
        let source = self.source.replace(WORDS, &words);
        let push = self.repository.commit_file(FILE, &source, &words).await?;
        let (sent, began) = (Utc::now(), Instant::now());
        let (id, answered) = tokio::try_join!(self.stack.deliver(&push), self.answers(&words))?;
        let whole = answered - began;
        let events = run_of(&mut self.events, id, || self.stack.tails()).await?;
        let parts = steps::of(&events, sent, sent + chrono::TimeDelta::from_std(whole)?)?;
        Ok((millis(whole), parts))
    }

    /// The moment at which the base answers so.
    async fn answers(&self, words: &str) -> Result<Instant> {
        let url = format!("{}/greet/greeting", self.base.http_url());
        let looks = async {
            loop {
                if let Ok(answer) = self.client.get(&url).send().await
                    && let Ok(body) = answer.text().await
                    && body.starts_with(words)
                {
                    return Instant::now();
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(ANSWER_LIMIT, looks)
            .await
            .with_context(|| format!("{url} does not answer {words:?} after {ANSWER_LIMIT:?}"))
    }
}
