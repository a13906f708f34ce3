//! Builds one commit: sources, the module's own file, sandbox, Maven, jar, store.
//!
//! In: what to build. Out: the jar's name in the store, or why there is none. Everything that it makes
//! outside of the store and the Maven repository goes with it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ferry_bus::BusError;
use ferry_config::{Builder, Config, ModuleFile};
use ferry_events::{Digest, Reason, Stop, artifact::RulesFile};
use ferry_runtime::{Failure, Key};
use tracing::warn;

use super::{
    BuilderEffects, artifact,
    files::Listing,
    git::GitError,
    log::LogWriter,
    maven::{self, Maven},
    mirror::Mirror,
    own, rules,
    run::{Ended, Run, Said, judge},
    sandbox::{self, Jail, View},
    snippet,
    tools::{self, home_of},
    warm::{Cold, Fit, Tried},
};
use crate::decide::{
    build::{BuildWork, Built},
    classify,
    lines::{LOG_MAX, Log},
};

/// Builds. With the result comes for how long Maven ran.
pub(super) async fn build(
    effects: &BuilderEffects,
    key: &Key,
    work: &BuildWork,
    (attempt, failed): (u32, Option<&Stop>),
    config: &Config,
) -> (Duration, Result<Built, Failure>) {
    let to = LogWriter::start(effects.hands.clone(), key.clone(), work.run);
    let mut said = Said {
        log: Log::new(sandbox::SOURCES, attempt, LOG_MAX),
        to,
        maven: Duration::ZERO,
    };
    match failed {
        Some(stop) => said.note(&format!("attempt {attempt}, after {}", stop.reason)),
        None if attempt > 1 => said.note(&format!(
            "the worker before was lost; this is attempt {attempt}"
        )),
        None => {}
    }
    let result = try_build(effects, work, config, &mut said).await;
    if let Err(failure) = &result {
        let stop = failure.clone().into_stop();
        let detail = stop.detail.lines().next().unwrap_or_default();
        said.note(&format!("stopped: {}: {detail}", stop.reason));
    }
    said.to.finish().await;
    (said.maven, result)
}

async fn try_build(
    effects: &BuilderEffects,
    work: &BuildWork,
    config: &Config,
    said: &mut Said,
) -> Result<Built, Failure> {
    let builder = &config.builder;
    if let Some(snippet) = &work.settings.snippet {
        return snippet::build(effects, work, snippet, config, said).await;
    }
    let place = Place::new(&effects.places.builds())?;
    let (jail, sources) = tokio::join!(
        Jail::find(builder.sandbox, &effects.places.data_dir),
        sources(effects, work, config, &place),
    );
    let jail = jail.map_err(|error| Stop::new(Reason::SandboxUnavailable, error.to_string()))?;
    if jail.is_open() {
        said.note(&format!("WARNING: {}", sandbox::OPEN));
        warn!(module = work.module, "{}", sandbox::OPEN);
    }
    let mvn = tools::maven()?;
    let (mirror, listing) = sources?;
    let own = match listing.has(&own::path(&work.settings.path)) {
        true => own::read(&mirror, work, config).await?,
        false => None,
    };
    let rules = rules::read(&mirror, &listing, work).await?;
    let (work, limit) = own::put_in(work, own.as_ref(), config);
    let work = &work;
    own::note(said, own.as_ref(), work);
    let java_home = tools::java_home(work.settings.jdk.as_deref())?;
    let (maven, fit) =
        maven_repository(effects, work, builder, &listing, (&jail, &mvn, &java_home)).await?;

    // For files that a worker took.
    let anew;
    let mut view = View {
        sources: &place.sources,
        repository: maven.folder(),
        home: &place.home,
        settings: builder.maven_settings.as_deref(),
        java_home: &java_home,
        path: &work.settings.path,
        online: !maven::begins_offline(maven.is_warm(), builder.maven_seed.is_some()),
        processes: builder.processes,
        worker: None,
        programs: vec![java_home.clone(), home_of(&mvn)],
        variables: vec![
            ("MAVEN_OPTS", maven::options(builder.memory)),
            ("MAVEN_SKIP_RC", "1".into()),
        ],
    };
    let lock = effects.locks.of("maven", &work.repository);
    let mut run = Run {
        jail: &jail,
        mvn: &mvn,
        goals: &work.settings.goals,
        builder,
        lock: &lock,
        left: limit,
    };
    let tried = if builder.warm {
        effects.warm.build(work, &fit, &mut run, &view, said).await
    } else {
        Tried::Cold(Cold::default())
    };
    let left = match tried {
        Tried::Cold(cold) => cold,
        Tried::Ran(ran) => {
            judge(&ran.ended, said, builder, limit)?;
            match find(work, builder, ran.sources()).await {
                Ok(found) => {
                    let stored = store(effects, &found).await;
                    ran.done(builder);
                    stored?;
                    good(&maven);
                    return Ok(with(found.1, own, rules));
                }
                Err(failure) => {
                    let why = failure.into_stop().reason;
                    said.note(&format!(
                        "a cold build: what its worker made is no module: {why}"
                    ));
                    Cold {
                        moved: true,
                        lacks: false,
                    }
                }
            }
        }
    };
    if left.moved {
        said.log.forget();
        anew = Place::new(&effects.places.builds())?;
        self::sources(effects, work, config, &anew).await?;
        (view.sources, view.home) = (&anew.sources, &anew.home);
    }
    said.log.set_root(&jail.sources(&view));
    let ended = cold(&mut run, &mut view, left.lacks, said).await;
    let ended = ended.map_err(|error| trouble("Maven", &error))?;
    judge(&ended, said, builder, limit)?;
    good(&maven);
    let found = find(work, builder, view.sources).await?;
    store(effects, &found).await?;
    Ok(with(found.1, own, rules))
}

/// Runs Maven in a JVM of its own, and once more with the network where the repository lacks something.
async fn cold(
    run: &mut Run<'_>,
    view: &mut View<'_>,
    lacks: bool,
    said: &mut Said,
) -> io::Result<Ended> {
    if !lacks {
        let ended = run.once(view, said).await?;
        let failed = matches!(&ended, Ended::Exit(status) if !status.success());
        if view.online || !failed || !classify::wants_network(&said.log.kept()) {
            return Ok(ended);
        }
    }
    said.note("the Maven repository lacks something; trying again with the network");
    said.log.forget();
    view.online = true;
    run.once(view, said).await
}

/// Remembers that a build of these poms was good.
fn good(maven: &Maven) {
    if let Err(error) = maven.set_warm() {
        warn!(%error, "the next build of these poms asks the network again");
    }
}

/// With what the module set for itself, and its project's rules.
pub(super) fn with(built: Built, own: Option<ModuleFile>, rules: Vec<RulesFile>) -> Built {
    Built {
        own: own.as_ref().map(own::carried).map(Box::new),
        rules,
        ..built
    }
}

/// A folder for one build, removed when dropped.
struct Place {
    _folder: tempfile::TempDir,
    sources: PathBuf,
    home: PathBuf,
    index: PathBuf,
}

impl Place {
    fn new(builds: &Path) -> Result<Self, Failure> {
        let make = || -> io::Result<Self> {
            let folder = tempfile::Builder::new()
                .prefix("build-")
                .tempdir_in(builds)?;
            let below = |name: &str| folder.path().join(name);
            let (sources, home, index) = (below("src"), below("home"), below("index"));
            fs::create_dir(&sources)?;
            fs::create_dir(&home)?;
            Ok(Self {
                sources,
                home,
                index,
                _folder: folder,
            })
        };
        make().map_err(|error| trouble("a folder to build in", &error))
    }
}

pub(super) fn trouble(what: &str, error: &io::Error) -> Failure {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull,
        _ => Reason::BuildFailed,
    };
    Stop::new(reason, format!("{what} on the builder: {error}")).into()
}

/// The repository's mirror, in whatever state it is.
pub(super) async fn mirror_of(
    effects: &BuilderEffects,
    work: &BuildWork,
    config: &Config,
) -> Result<Mirror, Failure> {
    let name = work.repository.as_str();
    let repository = config
        .repositories
        .get(name)
        .ok_or_else(|| Stop::new(Reason::UnknownRepository, name))?;
    Mirror::open(effects, name, repository, &config.builder).await
}

/// A commit that is not there stops its build.
pub(super) fn found(there: bool, work: &BuildWork) -> Result<(), Stop> {
    match there {
        true => Ok(()),
        false => Err(gone(work)),
    }
}

fn gone(work: &BuildWork) -> Stop {
    Stop::new(Reason::CommitNotFound, work.commit.clone())
}

/// Exactly the commit's files, and what there is of them.
async fn sources(
    effects: &BuilderEffects,
    work: &BuildWork,
    config: &Config,
    place: &Place,
) -> Result<(Mirror, Listing), Failure> {
    let mirror = mirror_of(effects, work, config).await?;
    // Neither is dropped because the other failed: a git that is killed leaves its lock behind.
    let both = async || {
        let (written, listing) = tokio::join!(
            mirror.check_out(&work.commit, &place.sources, &place.index),
            mirror.listing(&work.commit),
        );
        written.and(listing)
    };
    let there = mirror.mended(
        |error| Some(error),
        || async {
            // Whoever resolved the commit has it; only another builder has to fetch it first.
            match both().await {
                Ok(listing) => return Ok(Some(listing)),
                Err(error @ GitError::Damaged(_)) => return Err(error),
                Err(_) => {}
            }
            if !mirror.have(&work.commit).await? {
                return Ok(None);
            }
            both().await.map(Some)
        },
    );
    let listing = there
        .await
        .map_err(|error: GitError| error.failure())?
        .ok_or_else(|| gone(work))?;
    Ok((mirror, listing))
}

async fn maven_repository(
    effects: &BuilderEffects,
    work: &BuildWork,
    builder: &Builder,
    listing: &Listing,
    (jail, mvn, java_home): (&Jail, &Path, &Path),
) -> Result<(Maven, Fit), Failure> {
    let poms = listing.poms();
    let settings = match &builder.maven_settings {
        Some(path) => {
            fs::read(path).map_err(|error| trouble("[builder] maven_settings", &error))?
        }
        None => Vec::new(),
    };
    let resolves = Digest::of(
        format!(
            "{poms} {} {} {:?}",
            Digest::of(&settings),
            java_home.display(),
            (&work.settings.path, &work.settings.goals)
        )
        .as_bytes(),
    );
    let maven = Maven::new(&effects.places.maven(), &work.repository, &resolves);
    // It appears whole; where it is there already, nobody has to wait for another build of the repository.
    if !maven.folder().is_dir() {
        let lock = effects.locks.of("maven", &work.repository);
        let _lock = lock.write_owned().await;
        let (made, seed) = (maven.clone(), builder.maven_seed.clone());
        let copied = tokio::task::spawn_blocking(move || made.make(seed.as_deref())).await;
        copied
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| trouble("the Maven repository", &error))?;
    }
    let meta = fs::metadata(maven.folder());
    let inode = meta
        .map_err(|error| trouble("the Maven repository", &error))?
        .ino();
    let fit = Fit(vec![
        ("the poms or .mvn", poms.to_string()),
        ("the goals", format!("{:?}", work.settings.goals)),
        ("the JDK", java_home.display().to_string()),
        ("Maven", mvn.display().to_string()),
        ("Maven's settings", Digest::of(&settings).to_string()),
        ("the Maven repository", inode.to_string()),
        ("the sandbox", format!("{jail:?}")),
        (
            "a limit",
            format!("{} {}", builder.memory, builder.processes),
        ),
    ]);
    Ok((maven, fit))
}

/// Finds the jar, and reads it.
async fn find(
    work: &BuildWork,
    builder: &Builder,
    sources: &Path,
) -> Result<(PathBuf, Built), Failure> {
    let (sources, settings, module, limit) = (
        sources.to_owned(),
        work.settings.clone(),
        work.module.clone(),
        builder.artifact_limit,
    );
    let found = tokio::task::spawn_blocking(move || {
        let jar = artifact::find(&sources, &settings.path, &settings.jar)?;
        let kind = match settings.base {
            true => artifact::Made::Base(&module),
            false => artifact::Made::Module,
        };
        artifact::inspect(&jar, limit, kind).map(|built| (jar, built))
    });
    let found = found
        .await
        .map_err(|error| Failure::OurFault(error.to_string()))?;
    Ok(found?)
}

/// Puts the jar into the store.
pub(super) async fn store(
    effects: &BuilderEffects,
    (jar, built): &(PathBuf, Built),
) -> Result<(), Failure> {
    // The hands are patient with a silent bus; then it is worth another build later.
    effects
        .hands
        .put_jar(&built.digest, jar)
        .await
        .map_err(|error| {
            let stop = |reason| Stop::new(reason, artifact::chain(&error));
            match &error {
                BusError::Unavailable(_) => Failure::Again(stop(Reason::StoreFailed)),
                BusError::Full(_) => stop(Reason::DiskFull).into(),
                BusError::Io(_, cause) if cause.kind() == io::ErrorKind::StorageFull => {
                    stop(Reason::DiskFull).into()
                }
                _ => stop(Reason::StoreFailed).into(),
            }
        })
}
