//! Everything that the demo runs on: bases, a repository, Ferry.
//!
//! In: a wish. Out: running parts, killed when dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use tokio::sync::Mutex;

use super::{MODULE, PATH, Wish};
use crate::base::{Base, Options};
use crate::git::{Push, Repository};
use crate::maven::{self, Maven};
use crate::screen::Screen;
use crate::simulated::{AnyBase, SimulatedBase};
use crate::stack::{
    BaseAt, EnvironmentAt, ModuleAt, ProbeAt, Recorder, RepositoryAt, Setup, Stack,
};
use crate::tools;

/// The environments in order, each with its bases.
const ENVIRONMENTS: [(&str, &[&str]); 2] = [("pre", &["pre-1"]), ("prod", &["prod-1", "prod-2"])];

/// The running parts.
#[derive(Debug)]
pub struct Parts {
    // In the order in which they end: Ferry first, then what it works on.
    pub(super) events: Mutex<Recorder>,
    /// Ferry.
    pub stack: Stack,
    /// The bases, in the order of the environments.
    pub bases: Vec<AnyBase>,
    pub(super) repository: Repository,
    pub(super) first: Push,
    pub(super) simulated: bool,
    /// Whether commits can be built; else modules come as jars.
    pub(super) builds: bool,
    _alone: File,
}

impl Parts {
    pub(super) async fn start(wish: Wish, screen: &Screen) -> Result<Self> {
        let home = tools::target_dir().join("demo");
        let alone = alone(&home)?;
        let run = home.join("run");
        if run.is_dir() {
            fs::remove_dir_all(&run).with_context(|| format!("cannot empty {}", run.display()))?;
        }
        if wish.simulated {
            screen.loud(
                "SIMULATED BASES: no JVM runs here. What answers as a base is ferry-fake-base,\n\
                 which speaks arklet's protocol; modules say what their jar tells it to say.",
            );
        }
        let maven = maven(wish, screen).await?;
        let (base_dir, git_dir) = (run.join("bases"), run.join("git"));
        let (bases, (repository, first)) =
            tokio::try_join!(bases(wish, &base_dir, screen), repository(wish, &git_dir))?;
        let stack = stack(&run, &bases, &repository, maven.as_ref(), screen).await?;
        let events = stack.record(&home.join("events.jsonl"))?;
        Ok(Self {
            events: Mutex::new(events),
            stack,
            bases: bases.bases,
            repository,
            first,
            simulated: wish.simulated,
            builds: maven.is_some(),
            _alone: alone,
        })
    }

    /// What a person needs to look around.
    pub fn addresses(&self) -> String {
        let stack = &self.stack;
        let ferry = tools::program("ferry").unwrap_or_else(|_| PathBuf::from("ferry"));
        let mut lines = vec![
            "It stays up; Ctrl-C ends it.".to_owned(),
            format!("  API     {}", stack.url()),
            format!("  token   {}", stack.token_file().display()),
        ];
        for base in &self.bases {
            lines.push(format!("  {:7} {}{PATH}", base.name(), base.http_url()));
        }
        lines.push(format!(
            "  logs    {}",
            stack.dir().join("data").join("log").display()
        ));
        lines.push(format!("  work    {}", self.repository.work().display()));
        lines.push("Try:".to_owned());
        lines.push(format!("  export FERRY_URL={}", stack.url()));
        lines.push(format!(
            "  export FERRY_TOKEN=$(cat {})",
            stack.token_file().display()
        ));
        lines.push(format!("  {} status", ferry.display()));
        lines.join("\n")
    }

    /// Ends all of it, one after the other.
    ///
    /// # Errors
    /// When something does not end.
    pub async fn stop(mut self) -> Result<()> {
        self.stack.stop().await
    }
}

/// One demo at a time: they would share folders, and the machine is too small.
fn alone(home: &Path) -> Result<File> {
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    let path = home.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another demo runs here (it holds {})", path.display());
    }
    Ok(file)
}

/// Maven with its artifacts. Without it simulated bases get jars, and real ones
/// cannot be built.
async fn maven(wish: Wish, screen: &Screen) -> Result<Option<Maven>> {
    let step = screen.step("Maven's artifacts");
    match Maven::ready().await {
        Ok(maven) => {
            step.done("Maven's artifacts are here");
            Ok(Some(maven))
        }
        Err(error) if wish.simulated => {
            drop(step);
            let cause = error.to_string();
            screen.loud(&format!(
                "NO BUILDS: Maven cannot be had here ({}).\nModules come as finished jars, by `ferry deploy`; nothing is pushed or compiled.",
                cause.lines().next().unwrap_or_default()
            ));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The bases, and the jar that real ones run.
struct Bases {
    bases: Vec<AnyBase>,
    jar: Option<PathBuf>,
}

async fn bases(wish: Wish, dir: &Path, screen: &Screen) -> Result<Bases> {
    let jar = if wish.simulated {
        None
    } else {
        let step = screen.step("the base's jar, from demo/base");
        let jar = maven::base_jar().await?;
        step.done("the base's jar is built from demo/base");
        Some(jar)
    };
    let names = ENVIRONMENTS.iter().flat_map(|(_, names)| names.iter());
    let bases = try_join_all(names.map(|name| base(name, dir, wish, screen))).await?;
    Ok(Bases { bases, jar })
}

async fn base(name: &str, dir: &Path, wish: Wish, screen: &Screen) -> Result<AnyBase> {
    let dir = dir.join(name);
    let step = screen.step(&format!("base {name} starts"));
    let base = if wish.simulated {
        AnyBase::Simulated(Box::new(SimulatedBase::start(name, &dir).await?))
    } else {
        AnyBase::Real(Box::new(Base::start(Options::new(name, &dir)).await?))
    };
    step.done(&format!("base {name} answers at {}", base.http_url()));
    Ok(base)
}

async fn repository(wish: Wish, dir: &Path) -> Result<(Repository, Push)> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let source = dir.join("source");
    crate::digest::copy_over(&maven::demo_dir().join(MODULE), &source)?;
    if wish.simulated {
        super::jars::tell(&source, None)?;
    }
    let made = Repository::from_folder(MODULE, &source, dir).await;
    fs::remove_dir_all(&source).ok();
    made
}

async fn stack(
    run: &Path,
    bases: &Bases,
    repository: &Repository,
    maven: Option<&Maven>,
    screen: &Screen,
) -> Result<Stack> {
    let sandbox = tools::bubblewrap();
    if let (Err(error), true) = (&sandbox, maven.is_some()) {
        screen.loud(&format!(
            "NO SANDBOX: {error:#}.\nHere builds run with all rights of whoever started this ([builder] sandbox = \"none\")."
        ));
    }
    let mut rest = bases.bases.iter();
    let environments = ENVIRONMENTS
        .iter()
        .map(|(name, names)| EnvironmentAt {
            name: (*name).to_owned(),
            base_jar: bases.jar.clone(),
            bases: rest.by_ref().take(names.len()).map(BaseAt::of).collect(),
        })
        .collect();
    let setup = Setup {
        repositories: vec![RepositoryAt::of(repository)],
        modules: vec![ModuleAt {
            name: MODULE.to_owned(),
            repository: MODULE.to_owned(),
            path: ".".to_owned(),
            // Long enough for the verifier to look again, short enough to watch.
            soak: "1s".to_owned(),
            // A module answers within a second of its installation; by default Ferry has
            // more patience than somebody who watches.
            probe: Some(ProbeAt {
                path: PATH.to_owned(),
                deadline: "6s".to_owned(),
            }),
        }],
        environments,
        maven_seed: maven.map(|maven| maven.seed().to_path_buf()),
        sandbox: sandbox.is_ok(),
        ..Setup::new(&run.join("ferry"))
    };
    let step = screen.step("nats-server and six services, by `ferry up`");
    let stack = Stack::start(&setup).await?;
    step.done(&format!(
        "Ferry is up at {}: nats-server and six services",
        stack.url()
    ));
    Ok(stack)
}
