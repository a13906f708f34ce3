//! One push that touches a thousand snippets of one repository, on one real base; and pushes of one module
//! meanwhile.
//!
//! In: how many. Out: how long it takes until all of them answer, what it costs, and how long a lone push took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use procfs::process::Process;
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::figures::{Spread, millis, spread};
use super::place::{fresh, sandbox, shown};
use super::rollout::{Used, of_process, used};
use crate::base::{Base, Options};
use crate::git::{Push, Repository};
use crate::screen::Screen;
use crate::stack::{BaseAt, EnvironmentAt, RepositoryAt, Setup, Stack};

/// Between two looks at one module.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Between two looks at all of them, each of which makes the base ask them all.
const COUNT_EVERY: Duration = Duration::from_millis(250);
/// A lone push takes a second, and longer among a thousand.
const LONE_LIMIT: Duration = Duration::from_secs(180);
/// For all of them, a second each is far too long.
const EACH_LIMIT: Duration = Duration::from_secs(2);
/// The module that is pushed by itself.
const LONE: &str = "lone";
/// A push that touches some of them must run just these.
const FEW: usize = 3;

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Which benchmark.
    pub name: &'static str,
    /// Modules that one push touched.
    pub modules: usize,
    /// From its webhook until all of them answered, in milliseconds.
    pub all_ms: f64,
    /// Of these, how many came to answer in a second.
    pub a_second: f64,
    /// Pushes of one module meanwhile.
    pub lone_pushes: usize,
    /// From the webhook to the answer of each of these, in milliseconds; none where there was none.
    pub lone: Option<Spread>,
    /// The same before, with nothing else to do.
    pub lone_before_ms: f64,
    /// A push that touches three of them afterwards: until they answer, in milliseconds.
    pub few_ms: f64,
    /// What the services, nats-server and the base took, by name.
    pub processes: BTreeMap<String, Used>,
}

/// Measures.
///
/// # Errors
/// When something does not come up, or a module does not come to answer.
pub async fn measure(modules: usize, screen: &Screen) -> Result<Measured> {
    if modules < FEW {
        bail!("--modules must be at least {FEW}");
    }
    let dir = fresh("thousand")?;
    let mut bench = Bench::start(modules, &dir, screen).await?;

    let step = screen.step("one push of one module, not counted");
    bench.lone(0).await?;
    step.done("warm");
    let before = bench.lone(1).await?;
    let before_bench = bench.used()?;

    let many: Vec<String> = (0..modules).map(module).collect();
    let push = bench.write(&many, "first").await?;
    let step = screen.step(&format!("one push of {modules} modules"));
    let began = now();
    bench.stack.deliver(&push).await?;
    let (mut lone, mut number) = (Vec::new(), 2);
    let all = {
        let all = bench.all(modules, "first", began);
        tokio::pin!(all);
        loop {
            tokio::select! {
                biased;
                all = &mut all => break all?,
                one = bench.lone(number) => lone.push(one?),
            }
            number += 1;
        }
    };
    step.done(&format!("{modules} modules answer after {}", shown(all)));
    let processes = bench.used()?.into_iter().map(|(name, used)| {
        let cpu_before = before_bench.get(&name).map_or(0.0, |it| it.cpu_ms);
        let cpu_ms = used.cpu_ms - cpu_before;
        (name, Used { cpu_ms, ..used })
    });
    let processes = processes.collect();
    // The one that was on its way must not be counted among the few.
    bench.settled().await?;

    let few = &many[..FEW];
    let push = bench.write(few, "second").await?;
    let began = now();
    let id = bench.stack.deliver(&push).await?;
    let runs = bench.stack.runs_of(id).await?;
    if runs.len() != FEW {
        bail!("a push of {FEW} modules caused {} runs", runs.len());
    }
    let few_ms = bench.all(FEW, "second", began).await?;
    bench.stack.stop().await?;
    #[allow(clippy::cast_precision_loss, reason = "some thousands")]
    let a_second = modules as f64 / all * 1000.0;
    Ok(Measured {
        name: "thousand",
        modules,
        all_ms: all,
        a_second,
        lone_pushes: lone.len(),
        lone: (!lone.is_empty()).then(|| spread(&lone)),
        lone_before_ms: before,
        few_ms,
        processes,
    })
}

/// What a person reads; its last line says it all.
pub fn text(it: &Measured) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_header(["", "memory at most", "processor"]);
    for (name, used) in &it.processes {
        table.add_row([
            name.clone(),
            format!("{:.0} MiB", used.peak_mib),
            format!("{:.1} s", used.cpu_ms / 1000.0),
        ]);
    }
    let lone = it.lone.map_or_else(
        || "no lone push came to its end meanwhile".to_owned(),
        |lone| {
            format!(
                "{} lone pushes meanwhile: {} (p50) {} (p99), {} before",
                it.lone_pushes,
                shown(lone.p50),
                shown(lone.p99),
                shown(it.lone_before_ms)
            )
        },
    );
    format!(
        "\n{table}\n\n{} modules of one push: {}, {:.1} a second; {lone}; a push of {FEW}: {}",
        it.modules,
        shown(it.all_ms),
        it.a_second,
        shown(it.few_ms)
    )
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

fn module(number: usize) -> String {
    format!("tip-{number:04}")
}

/// What a module is made of.
fn source(module: &str, words: &str) -> String {
    let package = module.replace('-', "");
    format!(
        "package tips.{package};\n\nimport ferry.demo.base.Greeter;\n\npublic class Tip implements Greeter {{\n    \
         @Override\n    public String greet(String name) {{\n        return \"{words} of {module}\";\n    }}\n}}\n"
    )
}

struct Bench {
    stack: Stack,
    repository: Repository,
    base: Base,
    base_id: i32,
    client: reqwest::Client,
}

impl Bench {
    async fn start(modules: usize, dir: &Path, screen: &Screen) -> Result<Self> {
        let first = dir.join("first");
        fs::create_dir_all(first.join(LONE))?;
        fs::write(first.join(LONE).join("Tip.java"), source(LONE, "nothing"))?;
        let (repository, _) = Repository::from_folder("tips", &first, dir).await?;
        let step = screen.step("a real base starts");
        let options = Options {
            heap_mib: 2048,
            metaspace_mib: 2048,
            ..Options::new("bench-1", &dir.join("base"))
        };
        let mut base = Base::start(options).await?;
        step.done(&format!("a real base answers at {}", base.http_url()));
        let mut extra = String::new();
        for name in (0..modules).map(module).chain([LONE.to_owned()]) {
            writeln!(
                extra,
                "[modules.{name}]\nrepository = \"tips\"\npath = \"{name}\"\nbuild = \"snippet\"\nsoak = \"0s\"\n"
            )?;
        }
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
            extra,
            ..Setup::new(&dir.join("ferry"))
        };
        let step = screen.step("Ferry starts");
        let stack = Stack::start(&setup).await?;
        step.done(&format!("Ferry is up at {}", stack.url()));
        Ok(Self {
            base_id: base.process().id(),
            stack,
            repository,
            base,
            client: reqwest::Client::builder()
                .timeout(Duration::from_secs(30))
                .build()?,
        })
    }

    /// One commit that gives some modules other words.
    async fn write(&self, modules: &[String], words: &str) -> Result<Push> {
        for module in modules {
            let folder = self.repository.work().join(module);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("Tip.java"), source(module, words))?;
        }
        self.repository.commit_all(words).await
    }

    /// A push of the lone module: until it answers, in milliseconds.
    async fn lone(&self, number: usize) -> Result<f64> {
        let words = format!("word-{number}");
        let push = self.write(&[LONE.to_owned()], &words).await?;
        let began = now();
        self.stack.deliver(&push).await?;
        let url = format!("{}/greet/{LONE}", self.base.http_url());
        let looks = async {
            loop {
                if self.said(&url).await.contains(&format!("{words} of ")) {
                    return millis(began.elapsed());
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(LONE_LIMIT, looks).await.with_context(|| {
            format!(
                "{url} does not say {words:?} after {LONE_LIMIT:?}\n{}",
                self.stack.tails()
            )
        })
    }

    /// Until so many modules say these words, in milliseconds since then.
    async fn all(&self, modules: usize, words: &str, began: Instant) -> Result<f64> {
        let url = format!("{}/greet", self.base.http_url());
        let words = format!("{words} of tip-");
        let limit = EACH_LIMIT * u32::try_from(modules.max(100))?;
        let mut there = 0;
        while began.elapsed() < limit {
            there = self.said(&url).await.matches(&words).count();
            if there >= modules {
                return Ok(millis(began.elapsed()));
            }
            sleep(COUNT_EVERY).await;
        }
        bail!(
            "{there} of {modules} modules answer after {limit:?}\n{}",
            self.stack.tails()
        )
    }

    /// What the base says; nothing where it says nothing.
    async fn said(&self, url: &str) -> String {
        match self.client.get(url).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Waits until the branch's last push is live: nothing of it is on its way any more.
    async fn settled(&self) -> Result<()> {
        self.lone(usize::MAX).await.map(drop)
    }

    fn used(&self) -> Result<BTreeMap<String, Used>> {
        let mut all = used(&self.stack)?;
        let base = Process::new(self.base_id)?;
        all.insert(
            "the base".to_owned(),
            of_process(&base, procfs::ticks_per_second())?,
        );
        Ok(all)
    }
}
