//! Warm builds: a Maven that stays in its sandbox and builds one commit after the other.
//!
//! In: a commit's files, and what a cold build of them would run. Out: how that ended in a worker, or that the
//! build has to be cold, and why. A worker belongs to one module's folder of one repository. It runs offline,
//! with the paths, arguments, environment and JVM options of a cold build. A failure is believed only of a worker
//! that has run nothing before; any other is asked of a cold build, as is whatever is in doubt.

mod kit;
mod pool;
mod worker;

use std::path::{Path, PathBuf};

use ferry_config::Builder;
use ferry_runtime::Notes;
use tokio::time::Instant;
use tracing::info;

use self::{
    kit::Kits,
    pool::{Lease, Pool, Taken, Whose},
    worker::{Folder, Outcome, Worker},
};
use super::{
    Places, maven,
    run::{Ended, Run, Said},
    sandbox::{self, Jail, View},
    tools::{self, home_of},
};
use crate::decide::{build::BuildWork, classify};

pub use worker::Fit;

/// What stays for warm builds. Clones share everything.
#[derive(Clone)]
pub struct Warm {
    kits: Kits,
    pool: Pool,
    folders: PathBuf,
}

/// What came of a try to build in a worker.
pub enum Tried {
    /// It ended there.
    Ran(Box<Ran>),
    /// It has to be cold; the log says why.
    Cold(Cold),
}

/// What a try that came to nothing leaves to a cold build.
#[derive(Default)]
pub struct Cold {
    /// Whether the commit's files were moved out of where they were checked out.
    pub moved: bool,
    /// Whether the Maven repository lacks something, so that the network is needed.
    pub lacks: bool,
}

/// A build that ended in a worker.
pub struct Ran {
    /// How.
    pub ended: Ended,
    worker: Worker,
    lease: Lease,
}

impl Warm {
    /// Warm builds in a service's folder.
    pub fn new(places: &Places, notes: Notes) -> Self {
        Self {
            kits: Kits::new(places.data_dir.join("warm"), notes),
            pool: Pool::default(),
            folders: places.workers(),
        }
    }

    /// Keeps to a configuration: prepares what workers are started from, or ends them.
    pub async fn keep_to(&self, builder: &Builder) {
        self.pool.keep_to(builder);
        self.kits.forget();
        if !builder.warm {
            return;
        }
        // Without either no build runs at all, and says so itself.
        if let (Ok(java_home), Ok(mvn)) = (tools::java_home(None), tools::maven()) {
            let _ = self.kits.of(&java_home, &home_of(&mvn)).await;
        }
    }

    /// Runs Maven in a worker, or says why it has to be run cold.
    pub async fn build(
        &self,
        work: &BuildWork,
        fit: &Fit,
        run: &mut Run<'_>,
        view: &View<'_>,
        said: &mut Said,
    ) -> Tried {
        let mut cold = Cold::default();
        let taken = self.take(work, fit, run, view).await;
        // Offline Maven only reads its repository.
        let _reads = run.lock.read().await;
        // Waiting is no part of the build's time.
        let began = Instant::now();
        let tried = match taken {
            Ok((kit, taken)) => {
                let fit = fit.clone();
                self.try_build((&kit, taken, fit), run, view, &mut cold, said)
                    .await
            }
            Err(why) => Err(why),
        };
        let took = began.elapsed();
        run.left = run.left.saturating_sub(took);
        said.maven += took;
        match tried {
            Ok(ran) => Tried::Ran(Box::new(ran)),
            Err(why) => {
                info!(
                    module = work.module,
                    commit = work.commit,
                    why,
                    "a cold build"
                );
                // That it lacks something is said where it is tried again.
                if !cold.lacks {
                    said.note(&format!("a cold build: {why}"));
                }
                Tried::Cold(cold)
            }
        }
    }

    /// What a worker is started from, and a place for it.
    async fn take(
        &self,
        work: &BuildWork,
        fit: &Fit,
        run: &Run<'_>,
        view: &View<'_>,
    ) -> Result<(PathBuf, Taken), String> {
        if view.online {
            return Err("it is the first of these poms, and may need the network".into());
        }
        let kit = self.kits.of(view.java_home, &home_of(run.mvn)).await?;
        let whose = Whose {
            repository: work.repository.clone(),
            path: work.settings.path.clone(),
        };
        Ok((kit, self.pool.take(&whose, fit, run.builder).await?))
    }

    async fn try_build(
        &self,
        (kit, taken, fit): (&Path, Taken, Fit),
        run: &Run<'_>,
        view: &View<'_>,
        cold: &mut Cold,
        said: &mut Said,
    ) -> Result<Ran, String> {
        let (builder, deadline) = (run.builder, Instant::now() + run.left);
        let worker = match taken.worker {
            Some(worker) => {
                cold.moved = true;
                filled(&worker.folder, view)?;
                said.log.set_root(&root(run.jail, &worker.folder));
                said.note(&format!("warm: build {} of its worker", worker.builds + 1));
                worker
            }
            None => {
                let why = taken.ended.map(|why| format!(": {why}"));
                said.note(&format!("in a new worker{}", why.unwrap_or_default()));
                let folder = Folder::new(&self.folders, view.path)
                    .map_err(|error| format!("a folder for its worker: {error}"))?;
                cold.moved = true;
                filled(&folder, view)?;
                said.log.set_root(&root(run.jail, &folder));
                start((folder, fit), run, (view, kit), deadline).await?
            }
        };
        let (worker, ended) = run_in(worker, builder, deadline, cold, said).await?;
        Ok(Ran {
            ended,
            worker,
            lease: taken.lease,
        })
    }
}

fn filled(folder: &Folder, view: &View<'_>) -> Result<(), String> {
    let filled = folder.fill(view.sources);
    filled.map_err(|error| format!("its worker's folder: {error}"))
}

/// Where a build in a worker sees its sources.
fn root(jail: &Jail, folder: &Folder) -> String {
    if jail.is_open() {
        folder.sources.display().to_string()
    } else {
        sandbox::SOURCES.to_owned()
    }
}

async fn start(
    (folder, fit): (Folder, Fit),
    run: &Run<'_>,
    (view, kit): (&View<'_>, &Path),
    deadline: Instant,
) -> Result<Worker, String> {
    let (sources, home) = (folder.sources.clone(), folder.home.clone());
    let mut view = View {
        sources: &sources,
        home: &home,
        worker: Some(kit),
        ..view.clone()
    };
    let kit = if run.jail.is_open() {
        kit
    } else {
        Path::new(sandbox::WORKER)
    };
    // What it is in the end is the script's to say.
    view.variables
        .push(("JAVA_HOME", kit.display().to_string()));
    let arguments = maven::arguments(run.jail, &view, run.goals);
    let command = run.jail.command(&view, run.mvn.as_os_str(), &arguments);
    let open = run.jail.is_open();
    Worker::start(command, open, (folder, fit), run.builder, deadline)
        .await
        .map_err(|why| format!("its worker did not start: {why}"))
}

/// Runs one build, and ends the worker where it is no good after that.
async fn run_in(
    mut worker: Worker,
    builder: &Builder,
    deadline: Instant,
    cold: &mut Cold,
    said: &mut Said,
) -> Result<(Worker, Ended), String> {
    let fresh = worker.builds == 0;
    let Outcome { ended, left } = worker.build(builder, deadline, said).await?;
    match &ended {
        Ended::Exit(status) if status.success() => {
            // It could still write into what the build made.
            if !left.is_empty() {
                worker.end().await;
                said.note(&format!(
                    "its worker is ended: the build left {}",
                    left.join(", ")
                ));
            }
        }
        Ended::Exit(_) => {
            worker.end().await;
            if classify::wants_network(&said.log.kept()) {
                cold.lacks = true;
                return Err("the Maven repository lacks something".into());
            }
            if !fresh {
                return Err("it failed in a worker that had built before".into());
            }
        }
        Ended::Late | Ended::Over(_) => {}
    }
    Ok((worker, ended))
}

impl Ran {
    /// Where its sources are, and what it made.
    pub fn sources(&self) -> &Path {
        &self.worker.folder.sources
    }

    /// Lets the worker wait for its next build, once what it made was taken.
    pub fn done(mut self, builder: &Builder) {
        if self.worker.is_well() {
            self.lease.give_back(self.worker, builder);
        }
    }
}
