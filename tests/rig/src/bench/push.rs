//! From a push to the answer: by hand, by Ferry and by arkctl where it is on the PATH, in turns, on one real base.
//!
//! In: how often. Out: medians, their ratio, and where Ferry's time goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use tokio::time::{sleep, timeout};

use super::arkctl::Arkctl;
use super::figures::{Step, Table, median, millis, spread};
use super::follow::run_of;
use super::hand::Hand;
use super::place::{between_turns, fresh, sandbox, shown};
use super::steps;
use super::{Beside, Figures};
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
/// that all can be on one base.
const COPY: &str = "hello-ferry";
/// What arkctl deploys.
const ARKCTL_COPY: &str = "hello-arkctl";

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
    let mut who = vec![Who::Hand, Who::Ferry];
    who.extend(bench.arkctl.is_some().then_some(Who::Arkctl));
    for one in &who {
        bench.deploy(*one, 0).await?;
    }
    step.done("warm");

    let mut all: BTreeMap<Who, Vec<Measured>> = BTreeMap::new();
    for run in 1..=plan.runs {
        let step = screen.step(&format!("run {run} of {}", plan.runs));
        // In turns, and another first each time: whatever the machine does
        // besides, it does to all.
        let mut told = Vec::new();
        for one in turns(&who, run) {
            between_turns().await;
            let measured = bench.deploy(one, run).await?;
            let (whole, own) = (shown(measured.whole), shown(measured.own));
            told.push(match one {
                Who::Hand => format!("by hand {whole}"),
                Who::Ferry => format!("Ferry {whole}, of which its own {own}"),
                Who::Arkctl => format!("arkctl {whole}"),
            });
            all.entry(one).or_default().push(measured);
        }
        step.done(&format!("run {run} of {}: {}", plan.runs, told.join("; ")));
    }
    bench.stack.stop().await?;
    let none = Vec::new();
    let of = |one| all.get(&one).unwrap_or(&none);
    let (hand, ferry, arkctl) = (of(Who::Hand), of(Who::Ferry), of(Who::Arkctl));
    let ours = median(&wholes(ferry));
    let own: Vec<f64> = ferry.iter().map(|one| one.own).collect();
    let beside = |theirs: f64| Beside {
        name: "arkctl",
        theirs,
        ratio: ours / theirs,
        steps: medians(arkctl),
    };
    let theirs = median(&wholes(hand));
    Ok(Figures {
        name: "push",
        ours,
        theirs,
        unit: "ms",
        ratio: ours / theirs,
        runs: plan.runs,
        own: spread(&own),
        steps: medians(ferry),
        their_steps: medians(hand),
        besides: match arkctl.as_slice() {
            [] => Vec::new(),
            all => vec![beside(median(&wholes(all)))],
        },
    })
}

/// Who deploys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Hand,
    Ferry,
    Arkctl,
}

/// In which order, in a run.
fn turns(who: &[Who], run: usize) -> Vec<Who> {
    let mut turns = who.to_vec();
    turns.rotate_left((run - 1) % who.len());
    turns
}

fn wholes(all: &[Measured]) -> Vec<f64> {
    all.iter().map(|one| one.whole).collect()
}

fn medians(all: &[Measured]) -> Vec<Step> {
    let mut table = Table::default();
    for one in all {
        table.add(&one.steps);
    }
    table.medians()
}

/// What a person reads; its last line says it all.
pub fn text(figures: &Figures) -> String {
    let rows = |steps: &[Step]| -> String {
        steps
            .iter()
            .map(|step| format!("  {:<20} {:>10}\n", step.name, shown(step.median)))
            .collect()
    };
    let (mut tables, mut ratios) = (String::new(), String::new());
    for one in &figures.besides {
        let (name, theirs) = (one.name, shown(one.theirs));
        tables += &format!("\n{name} (medians)\n{}", rows(&one.steps));
        ratios += &format!("beside {name}: {theirs}, ratio {:.2}\n", one.ratio);
    }
    format!(
        "\nby hand (medians)\n{}{tables}\nFerry (medians)\n{}\n{ratios}\
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
    arkctl: Option<(Arkctl, Repository)>,
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
        copy_of_hello(&copy, COPY)?;
        let (by_ferry, _) = Repository::from_folder(COPY, &copy, dir).await?;

        let step = screen.step("a real base starts");
        let base = Base::start(Options::new("bench-1", &dir.join("base"))).await?;
        let (jar, port) = (base.jar().to_path_buf(), base.arklet_port());
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
        let arkctl = match Arkctl::found() {
            Some(program) => Some(by_arkctl(program, dir, port, &maven).await?),
            None => {
                screen.line("arkctl is not on the PATH: it is not measured");
                None
            }
        };
        let opts = plan.hand_maven_opts.clone();
        let hand = Hand::new(&by_hand, dir, base.arklet_url(), maven, opts).await?;
        Ok(Self {
            events: stack.record(&dir.join("events.jsonl"))?,
            stack,
            hand,
            template: fs::read_to_string(by_hand.work().join(SOURCE)).context("demo/hello")?,
            by_hand,
            by_ferry,
            arkctl,
            base,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()?,
        })
    }

    async fn deploy(&mut self, who: Who, run: usize) -> Result<Measured> {
        match (who, &self.arkctl) {
            (Who::Ferry, _) => self.by_ferry(run).await,
            (Who::Arkctl, Some((arkctl, repository))) => {
                let (text, path) = (
                    format!("hello, run {run} by arkctl"),
                    format!("/{ARKCTL_COPY}/"),
                );
                self.change(repository, &text).await?;
                self.typed(arkctl.deploy(), &path, &text).await
            }
            (Who::Arkctl, None) => bail!("arkctl is not on the PATH"),
            (Who::Hand, _) => {
                let text = format!("hello, run {run} by hand");
                self.change(&self.by_hand, &text).await?;
                self.typed(self.hand.deploy(), "/hello/", &text).await
            }
        }
    }

    /// Commands that a person types, until the module answers with `text`.
    async fn typed(
        &self,
        commands: impl Future<Output = Result<Vec<(&'static str, f64)>>>,
        path: &str,
        text: &str,
    ) -> Result<Measured> {
        let began = Instant::now();
        let (mut steps, answered) = tokio::try_join!(commands, self.answers(path, text))?;
        let whole = millis(answered - began);
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

/// What arkctl deploys, with what it needs to.
async fn by_arkctl(
    program: PathBuf,
    dir: &Path,
    port: u16,
    maven: &Maven,
) -> Result<(Arkctl, Repository)> {
    let copy = dir.join("copy-arkctl");
    copy_of_hello(&copy, ARKCTL_COPY)?;
    // It builds by `clean package`, offline here.
    maven.complete_for(&copy, &["clean"]).await?;
    let (repository, _) = Repository::from_folder(ARKCTL_COPY, &copy, dir).await?;
    let of = (maven.seed(), maven.jdk().clone());
    let arkctl = Arkctl::new(program, &repository, dir, port, of).await?;
    Ok((arkctl, repository))
}

/// `demo/hello` under another name and path.
fn copy_of_hello(copy: &Path, name: &str) -> Result<()> {
    digest::copy_over(&maven::demo_dir().join("hello"), copy)?;
    rename(
        &copy.join("pom.xml"),
        &[
            (
                "<bizName>hello</bizName>",
                &format!("<bizName>{name}</bizName>"),
            ),
            (
                "<webContextPath>hello</webContextPath>",
                &format!("<webContextPath>{name}</webContextPath>"),
            ),
        ],
    )?;
    let properties = copy
        .join("src")
        .join("main")
        .join("resources")
        .join("application.properties");
    rename(&properties, &[("name=hello", &format!("name={name}"))])
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

#[cfg(test)]
mod tests {
    use super::{Who, turns};

    #[test]
    fn each_begins_as_often_as_the_others() {
        let all = [Who::Hand, Who::Ferry, Who::Arkctl];
        let begin = |who: &[Who]| -> Vec<Who> { (1..=4).map(|run| turns(who, run)[0]).collect() };
        let (hand, ferry, arkctl) = (Who::Hand, Who::Ferry, Who::Arkctl);
        assert_eq!(begin(&all), [hand, ferry, arkctl, hand]);
        assert_eq!(begin(&all[..2]), [hand, ferry, hand, ferry]);
        assert_eq!(turns(&all, 2), [ferry, arkctl, hand]);
    }
}
