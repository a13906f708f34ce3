//! From a push to the answer: by hand and by Ferry, in turns, on one real base.
//!
//! In: how often. Out: medians, their ratio, and where Ferry's time goes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use tokio::time::{sleep, timeout};

use super::Figures;
use super::figures::{Step, Table, median, millis, spread};
use super::follow::run_of;
use super::hand::Hand;
use super::place::{fresh, sandbox, shown};
use super::steps;
use crate::base::{Base, Options};
use crate::digest;
use crate::git::{Push, Repository};
use crate::maven::{self, Maven};
use crate::screen::Screen;
use crate::simulated::AnyBase;
use crate::stack::{
    BaseAt, EnvironmentAt, ModuleAt, ProbeAt, Recorder, RepositoryAt, Setup, Stack,
};

/// Between two looks at the module, for both alike.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A busy machine takes 30 s for a build and an installation.
const ANSWER_LIMIT: Duration = Duration::from_secs(180);

/// What Ferry deploys: a copy of the module under a name and path of its own, so
/// that both can be on one base.
const COPY: &str = "hello-ferry";

const SOURCE: &str = "src/main/java/ferry/demo/hello/HelloApplication.java";

/// How to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often each is measured.
    pub runs: usize,
    /// `MAVEN_OPTS` of the build by hand; none: as a person has it.
    pub hand_maven_opts: Option<String>,
}

/// Measures.
///
/// # Errors
/// When something does not come up, or a deployment fails.
pub async fn measure(plan: &Plan, screen: &Screen) -> Result<Figures> {
    if plan.runs == 0 {
        bail!("--runs must be at least 1");
    }
    let dir = fresh("push")?;
    let mut bench = Bench::start(plan, &dir, screen).await?;

    let step = screen.step("one of each, not counted: what is new costs more the first time");
    bench.by_hand(0).await?;
    bench.by_ferry(0).await?;
    step.done("warm");

    let (mut theirs, mut ours, mut own) = (Vec::new(), Vec::new(), Vec::new());
    let (mut their_steps, mut our_steps) = (Table::default(), Table::default());
    for run in 1..=plan.runs {
        let step = screen.step(&format!("run {run} of {}", plan.runs));
        // In turns, and each first every other time: whatever the machine does
        // besides, it does to both.
        let (hand, ferry) = if run % 2 == 1 {
            let hand = bench.by_hand(run).await?;
            (hand, bench.by_ferry(run).await?)
        } else {
            let ferry = bench.by_ferry(run).await?;
            (bench.by_hand(run).await?, ferry)
        };
        step.done(&format!(
            "run {run} of {}: by hand {}, Ferry {}, of which its own {}",
            plan.runs,
            shown(hand.whole),
            shown(ferry.whole),
            shown(ferry.own)
        ));
        theirs.push(hand.whole);
        their_steps.add(&hand.steps);
        ours.push(ferry.whole);
        own.push(ferry.own);
        our_steps.add(&ferry.steps);
    }
    bench.stack.stop().await?;
    Ok(Figures {
        name: "push",
        ours: median(&ours),
        theirs: median(&theirs),
        unit: "ms",
        ratio: median(&ours) / median(&theirs),
        runs: plan.runs,
        own: spread(&own),
        steps: our_steps.medians(),
        their_steps: their_steps.medians(),
    })
}

/// What a person reads; its last line says it all.
pub fn text(figures: &Figures) -> String {
    let rows = |steps: &[Step]| -> String {
        steps
            .iter()
            .map(|step| format!("  {:<20} {:>10}\n", step.name, shown(step.median)))
            .collect()
    };
    format!(
        "\nby hand (medians)\n{}\nFerry (medians)\n{}\n\
         push to answer: Ferry {}, by hand {}, ratio {:.2}; Ferry's own {} (p50) {} (p99); {} runs each",
        rows(&figures.their_steps),
        rows(&figures.steps),
        shown(figures.ours),
        shown(figures.theirs),
        figures.ratio,
        shown(figures.own.p50),
        shown(figures.own.p99),
        figures.runs
    )
}

/// One deployment. Times in milliseconds.
struct Measured {
    whole: f64,
    own: f64,
    steps: Vec<(&'static str, f64)>,
}

struct Bench {
    // Ended before the base that it works on.
    events: Recorder,
    stack: Stack,
    hand: Hand,
    by_hand: Repository,
    by_ferry: Repository,
    template: String,
    base: AnyBase,
    client: reqwest::Client,
}

impl Bench {
    async fn start(plan: &Plan, dir: &Path, screen: &Screen) -> Result<Self> {
        let step = screen.step("Maven's artifacts");
        let maven = Maven::ready().await?;
        step.done("Maven's artifacts are here");
        let (by_hand, _) =
            Repository::from_folder("hello", &maven::demo_dir().join("hello"), dir).await?;
        let copy = dir.join("copy");
        copy_of_hello(&copy)?;
        let (by_ferry, _) = Repository::from_folder(COPY, &copy, dir).await?;

        let step = screen.step("a real base starts");
        let base = Base::start(Options::new("bench-1", &dir.join("base"))).await?;
        let jar = base.jar().to_path_buf();
        let base = AnyBase::Real(Box::new(base));
        step.done(&format!("a real base answers at {}", base.http_url()));

        let setup = Setup {
            repositories: vec![RepositoryAt::of(&by_ferry)],
            modules: vec![ModuleAt {
                name: COPY.to_owned(),
                repository: COPY.to_owned(),
                path: ".".to_owned(),
                // What is measured is over when it answers.
                soak: "0s".to_owned(),
                probe: Some(ProbeAt {
                    path: format!("/{COPY}/"),
                    deadline: "20s".to_owned(),
                }),
            }],
            environments: vec![EnvironmentAt {
                name: "bench".to_owned(),
                base_jar: Some(jar),
                bases: vec![BaseAt::of(&base)],
            }],
            maven_seed: Some(maven.seed().to_path_buf()),
            sandbox: sandbox(screen),
            ..Setup::new(&dir.join("ferry"))
        };
        let step = screen.step("Ferry starts");
        let stack = Stack::start(&setup).await?;
        step.done(&format!("Ferry is up at {}", stack.url()));
        let opts = plan.hand_maven_opts.clone();
        let hand = Hand::new(&by_hand, dir, base.arklet_url(), maven, opts).await?;
        Ok(Self {
            events: stack.record(&dir.join("events.jsonl"))?,
            stack,
            hand,
            template: fs::read_to_string(by_hand.work().join(SOURCE)).context("demo/hello")?,
            by_hand,
            by_ferry,
            base,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()?,
        })
    }

    async fn by_hand(&self, run: usize) -> Result<Measured> {
        let text = format!("hello, run {run} by hand");
        self.change(&self.by_hand, &text).await?;
        let began = Instant::now();
        let (steps, answered) =
            tokio::try_join!(self.hand.deploy(), self.answers("/hello/", &text))?;
        let (mut steps, whole) = (steps, millis(answered - began));
        let known: f64 = steps.iter().map(|(_, millis)| millis).sum();
        steps.push(("answer seen", whole - known));
        Ok(Measured {
            whole,
            own: 0.0,
            steps,
        })
    }

    #[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
    async fn by_ferry(&mut self, run: usize) -> Result<Measured> {
        let text = format!("hello, run {run} by Ferry");
        let push = self.change(&self.by_ferry, &text).await?;
        let path = format!("/{COPY}/");
        let (sent, began) = (Utc::now(), Instant::now());
        let (id, answered) =
            tokio::try_join!(self.stack.deliver(&push), self.answers(&path, &text))?;
        let whole = answered - began;
        let events = run_of(&mut self.events, id, || self.stack.tails()).await?;
        let parts = steps::of(&events, sent, sent + chrono::TimeDelta::from_std(whole)?)?;
        Ok(Measured {
            whole: millis(whole),
            own: parts.own,
            steps: parts.steps,
        })
    }

    /// Commits and pushes another text; nobody is told.
    async fn change(&self, repository: &Repository, text: &str) -> Result<Push> {
        let source = self.template.replace("hello, version one", text);
        repository.commit_file(SOURCE, &source, text).await
    }

    /// The moment at which the module answers with `text`.
    async fn answers(&self, path: &str, text: &str) -> Result<Instant> {
        let url = format!("{}{path}", self.base.http_url());
        let looks = async {
            loop {
                if let Ok(answer) = self.client.get(&url).send().await
                    && let Ok(body) = answer.text().await
                    && body.trim() == text
                {
                    return Instant::now();
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(ANSWER_LIMIT, looks)
            .await
            .with_context(|| format!("{url} does not answer {text:?} after {ANSWER_LIMIT:?}"))
    }
}

/// `demo/hello` under another name and path.
fn copy_of_hello(copy: &Path) -> Result<()> {
    digest::copy_over(&maven::demo_dir().join("hello"), copy)?;
    rename(
        &copy.join("pom.xml"),
        &[
            (
                "<bizName>hello</bizName>",
                &format!("<bizName>{COPY}</bizName>"),
            ),
            (
                "<webContextPath>hello</webContextPath>",
                &format!("<webContextPath>{COPY}</webContextPath>"),
            ),
        ],
    )?;
    let properties = copy
        .join("src")
        .join("main")
        .join("resources")
        .join("application.properties");
    rename(&properties, &[("name=hello", &format!("name={COPY}"))])
}

fn rename(file: &Path, pairs: &[(&str, &str)]) -> Result<()> {
    let mut text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    for (from, to) in pairs {
        if !text.contains(from) {
            bail!("{} has no {from} any more", file.display());
        }
        text = text.replace(from, to);
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
