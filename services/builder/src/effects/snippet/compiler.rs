//! The compiler's JVMs: one for each JDK, started when first needed, asked again and again.
//!
//! In: sources and a base. Out: what the compiler says, or why there is no answer. It runs offline in the
//! builder's sandbox, sees the unpacked bases and nothing else, and runs nothing of what it compiles. When it is
//! too slow or too large it is killed, and the next snippet starts another.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ferry_config::Builder;
use ferry_events::{Reason, Stop};
use ferry_runtime::Failure;
use tempfile::TempDir;
use tokio::{sync::Mutex, time::Instant};
use tracing::warn;

use super::{
    bases::Base,
    frames::{self, Reply, Source},
};
use crate::effects::{
    resident::{Bounds, Lost, Resident},
    sandbox::{self, Jail, View},
    usage::Usage,
};

/// The compiler's own source: a JDK starts it as it is.
const COMPILER: &str = include_str!("SnippetCompiler.java");
const COMPILER_FILE: &str = "SnippetCompiler.java";
/// The source of every snippet's entry.
const ENTRY: &str = include_str!("FerryEntry.java");
/// Its file's name, by which the compiler means no source of the snippet's.
pub const ENTRY_FILE: &str = "FerryEntry.java";
/// Of a JVM's start, in which it compiles those few lines: about a second, more beside a build.
const START: Duration = Duration::from_secs(60);
/// What the JVM exits with when its heap is full, by `-XX:+ExitOnOutOfMemoryError`.
const HEAP_FULL: i32 = 3;
/// Lines of what a JVM wrote that are shown when it is lost.
const NOISE: usize = 5;

/// An answer, and how it came about.
pub struct Answer {
    /// What the compiler says.
    pub reply: Reply,
    /// For how long it compiled.
    pub took: Duration,
    /// What a person should know of it; none: a compiler that ran already answered at once.
    pub started: Option<String>,
}

/// The compilers of this builder.
pub struct Compilers {
    /// The builder's own folder.
    data_dir: PathBuf,
    /// Where the source of the compiler is shown.
    program: PathBuf,
    /// By `JAVA_HOME`. Whoever compiles holds the lock of that one.
    running: Mutex<BTreeMap<PathBuf, Arc<Mutex<Option<Running>>>>>,
}

/// A JVM with the folders that it needs to be started.
struct Running {
    jvm: Resident,
    /// In which jail it runs.
    jail: Jail,
    /// With how much memory it was started.
    memory: u64,
    /// How often it answered.
    answers: usize,
    /// Folders of the bases that it compiled against: it knows what is in them.
    seen: BTreeSet<PathBuf>,
    _folder: TempDir,
}

/// How often a new compiler tries itself before the first snippet: the first time takes half a second, the second a
/// tenth, and from the fourth on it gets no quicker.
const TRIES: usize = 4;
/// How often one that is warm tries itself with a base that is new to it: it lists the class path, which takes a quarter
/// of a second; the second time is as quick as any.
const TRIES_OF_A_BASE: usize = 1;

impl Compilers {
    /// None runs yet. `program` is a folder for the compiler's source.
    ///
    /// # Errors
    /// When the source cannot be written.
    pub fn new(data_dir: &Path, program: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&program) {
            // What an earlier process left is no reason not to start; the source is written anew.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(%error, "what an earlier compiler left cannot be removed");
            }
            _ => {}
        }
        fs::create_dir_all(&program)?;
        fs::write(program.join(COMPILER_FILE), COMPILER)?;
        Ok(Self {
            data_dir: data_dir.to_owned(),
            program,
            running: Mutex::default(),
        })
    }

    /// Compiles, in at most `limit`. A compiler that is not well is started anew, once.
    ///
    /// # Errors
    /// A sandbox that cannot be had, a compiler that does not start, and one that is over a limit.
    pub async fn compile(
        &self,
        java_home: &Path,
        base: &Base,
        sources: &[Source],
        limit: Duration,
        builder: &Builder,
    ) -> Result<Answer, Failure> {
        let slot = self.slot(java_home).await;
        let mut slot = slot.lock().await;
        let request = frames::request(base.path.release, base.class_path(), ENTRY, sources);
        let mut started = None;
        let mut tried = false;
        loop {
            let mut noise = Vec::new();
            if let Some(why) = unusable(slot.as_mut(), builder) {
                if let Some(mut old) = slot.take() {
                    old.jvm.end().await;
                }
                let began = Instant::now();
                *slot = Some(self.start(java_home, base, builder, &mut noise).await?);
                let took = began.elapsed().as_millis();
                started = Some(format!("{why}; it started in {took} ms"));
            }
            let Some(running) = slot.as_mut() else {
                continue;
            };
            let (began, memory) = (Instant::now(), running.memory);
            let over = move |usage: Usage| over(usage, memory);
            let bounds = Bounds {
                deadline: began + limit,
                over: &over,
            };
            let mut hear = |bytes: &[u8]| noise.extend_from_slice(bytes);
            let lost = match running.jvm.ask(&request, &bounds, &mut hear).await {
                Ok(bytes) => match frames::reply(&bytes) {
                    Ok(reply) => {
                        running.answers += 1;
                        running.seen.insert(base.folder.clone());
                        return Ok(Answer {
                            reply,
                            took: began.elapsed(),
                            started,
                        });
                    }
                    Err(_) => Lost::Garbled,
                },
                Err(lost) => lost,
            };
            if let Some(mut lost) = slot.take() {
                lost.jvm.end().await;
            }
            // One that was killed from outside, or hurt by an earlier snippet, is no fault of this one.
            let may_pass = matches!(lost, Lost::Ended(_) | Lost::Garbled | Lost::Io(_));
            if !may_pass || tried || started.is_some() {
                return Err(without(&lost, limit, memory, &noise).into());
            }
            tried = true;
        }
    }

    /// Has the compiler try itself with a base, as often as makes it quicker: not at all, where it is warm and knows
    /// this base already. How often, and how long the last time took.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub async fn warm(
        &self,
        java_home: &Path,
        base: &Base,
        builder: &Builder,
    ) -> Result<(usize, Duration), Failure> {
        // The entry itself is what every snippet brings along: it takes the compiler to all that it will need.
        let entry = [Source {
            path: ENTRY_FILE.into(),
            text: ENTRY.into(),
        }];
        let limit = builder.snippets.timeout;
        let tries = self.tries(java_home, base, builder).await;
        let mut took = Duration::ZERO;
        for _ in 0..tries {
            let answer = self
                .compile(java_home, base, &entry, limit, builder)
                .await?;
            took = answer.took;
        }
        Ok((tries, took))
    }

    async fn tries(&self, java_home: &Path, base: &Base, builder: &Builder) -> usize {
        let slot = self.slot(java_home).await;
        let mut slot = slot.lock().await;
        if unusable(slot.as_mut(), builder).is_some() {
            return TRIES;
        }
        slot.as_ref().map_or(TRIES, |running| {
            let of_base = match running.seen.contains(&base.folder) {
                true => 0,
                false => TRIES_OF_A_BASE,
            };
            of_base.max(TRIES.saturating_sub(running.answers))
        })
    }

    /// The compiler of a JDK.
    async fn slot(&self, java_home: &Path) -> Arc<Mutex<Option<Running>>> {
        let mut running = self.running.lock().await;
        running.entry(java_home.to_owned()).or_default().clone()
    }

    async fn start(
        &self,
        java_home: &Path,
        base: &Base,
        builder: &Builder,
        noise: &mut Vec<u8>,
    ) -> Result<Running, Failure> {
        let jail = Jail::find(builder.sandbox, &self.data_dir)
            .await
            .map_err(|error| Stop::new(Reason::SandboxUnavailable, error.to_string()))?;
        let memory = builder.snippets.memory;
        let cannot = |error: io::Error| {
            let detail = format!("the snippets' compiler cannot be started: {error}");
            Failure::from(Stop::new(Reason::BuildFailed, detail))
        };
        let folder = tempfile::Builder::new()
            .prefix("compiler-")
            .tempdir_in(&self.program)
            .map_err(cannot)?;
        let bases = base.folder.parent().unwrap_or(&base.folder);
        let view = View {
            // It gets its sources as words, and gives its classes as such: there is nothing in these.
            sources: folder.path(),
            repository: folder.path(),
            home: folder.path(),
            settings: None,
            java_home,
            path: ".",
            online: false,
            processes: builder.processes,
            worker: None,
            programs: vec![java_home.to_owned(), bases.to_owned(), self.program.clone()],
            variables: Vec::new(),
        };
        let java = java_home.join("bin/java");
        let arguments = self.arguments(memory);
        let command = jail.command(&view, java.as_os_str(), &arguments);
        let mut jvm = Resident::start(command).map_err(cannot)?;
        let over = move |usage: Usage| over(usage, memory);
        let bounds = Bounds {
            deadline: Instant::now() + START,
            over: &over,
        };
        let mut hear = |bytes: &[u8]| noise.extend_from_slice(bytes);
        if let Err(lost) = jvm.hear(&bounds, &mut hear).await {
            jvm.end().await;
            return Err(without(&lost, START, memory, noise).into());
        }
        Ok(Running {
            jvm,
            jail,
            memory,
            answers: 0,
            seen: BTreeSet::new(),
            _folder: folder,
        })
    }

    /// Half of the memory for the heap: beside it are the JVM itself, its code and what it mapped of the JDK. Without
    /// its second compiler it is warm in half the time, and no slower later (docs/performance.md).
    fn arguments(&self, memory: u64) -> Vec<OsString> {
        let heap = (memory / 2 / (1024 * 1024)).max(48);
        let mut words: Vec<OsString> = vec![
            format!("-Xmx{heap}m").into(),
            "-XX:+UseSerialGC".into(),
            "-XX:TieredStopAtLevel=1".into(),
            "-XX:+ExitOnOutOfMemoryError".into(),
            "-Xshare:auto".into(),
        ];
        words.push(self.program.join(COMPILER_FILE).into());
        words
    }
}

/// Why the next snippet needs another JVM; none: this one does.
fn unusable(running: Option<&mut Running>, builder: &Builder) -> Option<&'static str> {
    let Some(running) = running else {
        return Some("no compiler was running");
    };
    let open = matches!(builder.sandbox, ferry_config::Sandbox::None);
    if !running.jvm.is_well() {
        return Some("the compiler had ended");
    }
    if running.memory != builder.snippets.memory || running.jail.is_open() != open {
        return Some("the compiler's settings changed");
    }
    // Better between two snippets than within one.
    let nearly = running.memory / 10 * 9;
    (running.jvm.usage().memory > nearly).then_some("the compiler had grown to its limit")
}

fn over(usage: Usage, memory: u64) -> Option<String> {
    (usage.memory > memory).then(|| {
        let (used, limit) = (usage.memory >> 20, memory >> 20);
        format!("the compiler used {used} MiB of memory; [builder.snippets] memory is {limit} MiB")
    })
}

/// Why there is no answer.
fn without(lost: &Lost, limit: Duration, memory: u64, noise: &[u8]) -> Stop {
    let said = String::from_utf8_lossy(noise);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let said = lines[..lines.len().min(NOISE)].join("\n");
    match lost {
        Lost::Late => {
            let limit = ferry_config::text::duration::format(limit);
            let detail = format!(
                "it was not compiled after {limit}, which is [builder.snippets] timeout or the module's own"
            );
            Stop::new(Reason::BuildTimeout, detail)
        }
        Lost::Ended(status) if status.code() == Some(HEAP_FULL) => {
            let limit = memory >> 20;
            let detail = format!(
                "the compiler ran out of memory; [builder.snippets] memory is {limit} MiB, of which it may fill half"
            );
            Stop::new(Reason::BuildFailed, detail)
        }
        lost if said.is_empty() => Stop::new(
            Reason::BuildFailed,
            format!("the compiler was lost: {lost}"),
        ),
        lost => Stop::new(
            Reason::BuildFailed,
            format!("the compiler was lost: {lost}\n{said}"),
        ),
    }
}

/// What is said of a compiler that nothing keeps in.
pub fn warns(builder: &Builder) -> Option<&'static str> {
    matches!(builder.sandbox, ferry_config::Sandbox::None).then_some(sandbox::OPEN)
}
