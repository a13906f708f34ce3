//! Builds a snippet: sources from git, the base's classes, the compiler that stays, a jar made in memory, store.
//!
//! In: what to build. Out: the jar's name in the store, or why there is none. There is no checkout, no pom and no
//! Maven; the sources go from git to the compiler and nowhere else.

mod bases;
mod compiler;
mod frames;
mod jar;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    io::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ferry_config::{Against, Config};
use ferry_events::{Reason, SourceError, Stop};
use ferry_runtime::{Failure, Hands, Notes};
use tracing::{info, warn};

use super::{BuilderEffects, Places, artifact, build, own, run::Said, tools};
use crate::decide::{
    build::{BuildWork, Built},
    settings::{self, Snippet},
};
use bases::{Base, Bases};
use compiler::{Compilers, ENTRY_FILE};
use frames::{Compiled, Reply, Told};

/// Interfaces of a base that a reason lists.
const NAMED: usize = 20;
/// What `/readyz` has a note about.
const ABOUT: &str = "snippets";

/// What snippets need on this builder.
pub(super) struct Bench {
    bases: Bases,
    compilers: Compilers,
    notes: Notes,
    /// Why snippets cannot be compiled against a base.
    wrong: Mutex<BTreeMap<Against, String>>,
}

impl Bench {
    /// With its folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn new(places: &Places, hands: Hands, notes: Notes) -> io::Result<Self> {
        // The sandbox shows them under their own names, so these have to be whole.
        let data_dir = std::path::absolute(&places.data_dir)?;
        let root = data_dir.join("bases");
        std::fs::create_dir_all(&root)?;
        Ok(Self {
            bases: Bases::new(root, places.builds(), hands),
            compilers: Compilers::new(&data_dir, data_dir.join("compiler"))?,
            notes,
            wrong: Mutex::default(),
        })
    }

    /// Gets ready for the snippets of a configuration: unpacks their bases, and has the compiler read them. Where that
    /// fails, `/readyz` has it in its notes. How often the compiler had to try itself: not at all where nothing of this
    /// is new to it, whatever else has changed.
    pub async fn warm(&self, config: &Config) -> usize {
        let wanted = wanted(config);
        self.note(|wrong| wrong.retain(|against, _| wanted.contains_key(against)));
        let mut tries = 0;
        for (against, jdks) in &wanted {
            tries += self.warm_base(against, jdks, config).await;
        }
        tries
    }

    /// As [`Self::warm`], for a base of which there is another build; nothing, where no snippet needs it.
    pub async fn warm_build(&self, base: &str, config: &Config) {
        let against = Against::Base(base.to_owned());
        if let Some(jdks) = wanted(config).get(&against) {
            self.warm_base(&against, jdks, config).await;
        }
    }

    async fn warm_base(
        &self,
        against: &Against,
        jdks: &BTreeSet<Option<String>>,
        config: &Config,
    ) -> usize {
        let mut all = 0;
        for jdk in jdks {
            match self.warm_one(against, jdk.as_deref(), config).await {
                Ok(Some((0, _))) => {}
                Ok(Some((tries, took))) => {
                    let millis = took.as_millis();
                    info!(base = %against, tries, millis, "snippets can be compiled");
                    all += tries;
                }
                // No fault of anybody: a snippet that comes before that is told so.
                Ok(None) => {
                    info!(base = %against, "snippets wait for the first build of their base")
                }
                Err(failure) => {
                    let stop = failure.into_stop();
                    warn!(base = %against, %stop, "snippets cannot be compiled");
                    self.note(|wrong| wrong.insert(against.clone(), stop.to_string()));
                    return all;
                }
            }
        }
        self.good(against);
        all
    }

    /// Nothing is wrong with a base any more.
    fn good(&self, against: &Against) {
        self.note(|wrong| wrong.remove(against));
    }

    fn note<T>(&self, change: impl FnOnce(&mut BTreeMap<Against, String>) -> T) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut wrong);
        let all: Vec<String> = wrong
            .values()
            .map(|stop| format!("snippets cannot be compiled: {stop}"))
            .collect();
        let note = (!all.is_empty()).then(|| all.join("; "));
        self.notes.note(ABOUT, note);
    }

    /// How often the compiler tried itself, and how long the last time took; none: the base has no build yet.
    async fn warm_one(
        &self,
        against: &Against,
        jdk: Option<&str>,
        config: &Config,
    ) -> Result<Option<(usize, Duration)>, Failure> {
        let java_home = tools::java_home(jdk)?;
        let Some(base) = self.bases.get(against).await? else {
            return Ok(None);
        };
        let warm = self.compilers.warm(&java_home, &base, &config.builder);
        warm.await.map(Some)
    }
}

/// What a configuration's snippets are compiled against, and by which JDKs.
fn wanted(config: &Config) -> BTreeMap<Against, BTreeSet<Option<String>>> {
    let mut wanted: BTreeMap<Against, BTreeSet<Option<String>>> = BTreeMap::new();
    for name in config.modules.keys() {
        if let Some(settings) = settings::of(config, name)
            && let Some(against) = settings.snippet.as_ref().and_then(Snippet::against)
        {
            wanted.entry(against).or_default().insert(settings.jdk);
        }
    }
    wanted
}

/// Builds it.
pub(super) async fn build(
    effects: &BuilderEffects,
    work: &BuildWork,
    snippet: &Snippet,
    config: &Config,
    said: &mut Said,
) -> Result<Built, Failure> {
    let builder = &config.builder;
    if let Some(open) = compiler::warns(builder) {
        said.note(&format!("WARNING: {open}"));
    }
    let against = snippet.against().ok_or_else(|| {
        let detail = format!("no pool of {} has a base_jar or a base", work.module);
        Stop::new(Reason::NoBaseJar, detail)
    })?;
    let bench = &effects.bench;
    let (base, (mirror, sources)) = tokio::try_join!(
        bench.bases.get(&against),
        sources::read(effects, work, config)
    )?;
    let base = base.ok_or_else(|| {
        let detail = format!(
            "{against} has no build yet: push to its repository, or `ferry run {against} --commit C`"
        );
        Stop::new(Reason::NoBaseJar, detail)
    })?;
    // Whatever was wrong with it before.
    bench.good(&against);
    let own = own::read(&mirror, work, config).await?;
    let (work, _) = own::put_in(work, own.as_ref(), config);
    own::note(said, own.as_ref(), &work);
    let limits = &builder.snippets;
    let limit = own
        .as_ref()
        .and_then(|own| own.timeout)
        .map_or(limits.timeout, |own| own.min(limits.timeout));
    let size: usize = sources.iter().map(|source| source.text.len()).sum();
    said.note(&format!(
        "{} Java files of {size} bytes, against {against}, {} (Java {})",
        sources.len(),
        base.jar.short(),
        base.path.release
    ));
    let java_home = tools::java_home(work.settings.jdk.as_deref())?;
    let answer = bench
        .compilers
        .compile(&java_home, &base, &sources, limit, builder)
        .await?;
    said.maven = answer.took;
    if let Some(started) = &answer.started {
        said.note(started);
    }
    let compiled = judge(answer.reply, &base, said)?;
    said.note(&format!(
        "compiled in {} ms; the base gets {}",
        answer.took.as_millis(),
        compiled.services.join(", ")
    ));
    let built = keep(effects, &work, &compiled, builder.artifact_limit).await?;
    // It carries no library that its project's rules could be about.
    Ok(build::with(built, own, Vec::new()))
}

/// Whether there is something to install, or why not.
fn judge(reply: Reply, base: &Base, said: &mut Said) -> Result<Compiled, Stop> {
    match reply {
        Reply::Done(compiled) if compiled.services.is_empty() => Err(Stop::new(
            Reason::ImplementsNothing,
            nothing(&compiled, base),
        )),
        Reply::Done(compiled) => {
            for left_out in &compiled.left_out {
                said.note(&format!("not registered: {left_out}"));
            }
            Ok(compiled)
        }
        Reply::Wrong(told) => {
            let errors = errors(told);
            for error in &errors {
                said.take(&error.to_string());
            }
            Err(Stop::of_sources(Reason::DoesNotCompile, errors))
        }
        Reply::NoEntry(told) => {
            let first = told.first().map(|one| one.message.as_str());
            let error = SourceError::new(ENTRY_FILE, (0, 0), first.unwrap_or_default());
            let detail = format!(
                "the base lacks what starts a snippet (Koupleless 2.1 and Spring): {}",
                error.message
            );
            Err(Stop::new(Reason::NoBaseJar, detail))
        }
        Reply::Broken(why) => Err(Stop::new(
            Reason::BuildFailed,
            format!("the compiler failed: {why}"),
        )),
    }
}

/// In the order of the files, each once.
fn errors(told: Vec<Told>) -> Vec<SourceError> {
    let error = |one: Told| {
        let file = match one.file.as_str() {
            "" => "(class path)",
            file => file,
        };
        SourceError::new(file, one.at, &one.message)
    };
    let mut errors: Vec<SourceError> = told.into_iter().map(error).collect();
    errors.sort_by(|one, other| {
        let place = |it: &SourceError| (it.file.clone(), it.line, it.column, it.message.clone());
        place(one).cmp(&place(other))
    });
    errors.dedup();
    errors
}

/// What could be implemented, and what is and does not do.
fn nothing(compiled: &Compiled, base: &Base) -> String {
    let mut lines = compiled.left_out.clone();
    let all = &base.path.interfaces;
    let mut names = all[..all.len().min(NAMED)].join(", ");
    if all.len() > NAMED {
        names = format!("{names} and {} more", all.len() - NAMED);
    }
    lines.push(match all.is_empty() {
        true => {
            "the base has no public interface of its own; one of a library of it does too".into()
        }
        false => format!("the base's own interfaces: {names}"),
    });
    lines.join("\n")
}

/// Puts the jar into the store.
async fn keep(
    effects: &BuilderEffects,
    work: &BuildWork,
    compiled: &Compiled,
    limit: u64,
) -> Result<Built, Failure> {
    let bytes = jar::pack(&work.module, compiled)
        .map_err(|error| Stop::new(Reason::BuildFailed, artifact::chain(&error)))?;
    let write = || -> io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::Builder::new()
            .prefix("snippet-")
            .tempfile_in(effects.places.builds())?;
        file.write_all(&bytes)?;
        Ok(file)
    };
    let file = write().map_err(|error| build::trouble("the snippet's jar", &error))?;
    let built = artifact::inspect(file.path(), limit, artifact::Made::Module)?;
    let stored = (file.path().to_owned(), built);
    build::store(effects, &stored).await?;
    Ok(stored.1)
}
