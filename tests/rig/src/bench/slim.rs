//! Slimming beside what else makes a jar smaller, in turns.
//!
//! In: how often, which sizes. Out: medians. Jars are made of the real libraries of the demo's base, in the
//! order of their names and over again where there are not enough: the same bytes at each run. Beside
//! `ferry slim`: `cp`, which only copies; `zip -d` of what Ferry left out, which proves nothing; and
//! `mvn package` with the excludes of sofa-ark-maven-plugin, which builds the module anew.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use procfs::process::Process;
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::figures::{median, millis};
use crate::digest;
use crate::maven::{Maven, base_jar, demo_dir, hello_jar};
use crate::screen::Screen;

/// How often a running program is asked for its memory. The kernel keeps the highest; only what it takes
/// in the last moment is missed.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// What upstream would have to be told for `demo/hello -Pfat`, by hand.
const EXCLUDES: &str = "<excludeGroupIds>\
    <excludeGroupId>org.springframework*</excludeGroupId>\
    <excludeGroupId>org.apache.tomcat*</excludeGroupId>\
    <excludeGroupId>com.fasterxml*</excludeGroupId>\
    <excludeGroupId>org.slf4j</excludeGroupId>\
    <excludeGroupId>ch.qos.logback</excludeGroupId>\
    <excludeGroupId>org.apache.logging*</excludeGroupId>\
    <excludeGroupId>com.alipay*</excludeGroupId>\
    </excludeGroupIds>";

/// What to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often each.
    pub runs: usize,
    /// Sizes of the jars, in MB.
    pub sizes: Vec<u64>,
}

/// One program on one jar.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The jar, and what is done with it.
    pub what: String,
    /// Median, in milliseconds.
    pub ms: f64,
    /// Ferry's time ÷ this one; none where nothing of Ferry's compares.
    pub ratio: Option<f64>,
    /// Its memory at most, in MiB, over all runs; none where it was not looked at.
    pub mib: Option<u64>,
}

struct Job {
    what: String,
    /// The row of Ferry's that it is compared with.
    beside: Option<usize>,
    is_ferry: bool,
    before: Option<(PathBuf, PathBuf)>,
    command: Vec<String>,
    folder: PathBuf,
    times: Vec<f64>,
    mib: u64,
}

/// Measures all of it.
///
/// # Errors
/// When a program is missing or fails.
pub async fn measure(plan: &Plan, screen: &Screen) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir_in(ferry_tools::target_dir())?;
    let at = |name: &str| folder.path().join(name);
    let base = base_jar().await?;
    let ferry = ferry_tools::program("ferry")?;
    let ferry = ferry.to_str().context("a path that is text")?.to_owned();
    let profile = text(&at("base.json"))?;
    let mut jobs = Vec::new();
    let mut job = |what: String, beside, before, command: Vec<String>| {
        jobs.push(Job {
            what,
            beside,
            is_ferry: command[0] == ferry,
            before,
            command,
            folder: folder.path().to_owned(),
            times: Vec::new(),
            mib: 0,
        });
        jobs.len() - 1
    };
    let words = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();

    let inspect = words(&[&ferry, "base", "inspect", &text(&base)?, "-o", &profile]);
    run(&inspect, folder.path()).await?;
    job(
        "base profile, with its Java: made".to_owned(),
        None,
        None,
        inspect,
    );
    let thin = text(&hello_jar(&[], false).await?)?;
    let out = text(&at("out.jar"))?;
    let slim = |jar: &str, base: &str| words(&[&ferry, "slim", jar, "--base", base, "-o", &out]);
    job(
        "thin module: profile loaded, slimmed, proven".to_owned(),
        None,
        None,
        slim(&thin, &profile),
    );

    for size in &plan.sizes {
        let jar = at(&format!("{size}.jar"));
        let carried = make(&base, &jar, size * 1_000_000)?;
        let (jar, name) = (text(&jar)?, format!("{size} MB"));
        let ours = job(
            format!("{name}: ferry slim, proven"),
            None,
            None,
            slim(&jar, &profile),
        );
        job(
            format!("{name}: cp"),
            Some(ours),
            None,
            words(&["cp", &jar, &out]),
        );
        let copy = at("zip.jar");
        let mut delete = words(&["zip", "-q", "-d", &text(&copy)?]);
        delete.extend(carried);
        job(
            format!("{name}: zip -d"),
            Some(ours),
            Some((PathBuf::from(&jar), copy)),
            delete,
        );
    }
    // Nothing to leave out: all of it is kept, looked up and proven.
    let (whole, nothing) = (text(&at("whole.jar"))?, at("nothing.jar"));
    make(&base, Path::new(&whole), u64::MAX)?;
    make_base(&nothing)?;
    job(
        "all libraries of the base: kept and proven".to_owned(),
        None,
        None,
        slim(&whole, &text(&nothing)?),
    );
    let fat = text(&hello_jar(&[], true).await?)?;
    let ours = job(
        "demo/hello -Pfat: ferry slim, proven".to_owned(),
        None,
        None,
        slim(&fat, &profile),
    );
    let maven = Maven::ready().await?;
    let project = excluded_project(&at("project"))?;

    let (mut by_maven, turns) = (Vec::new(), plan.runs);
    for turn in 0..turns {
        screen.line(&format!("turn {} of {turns}", turn + 1));
        for job in &mut jobs {
            if let Some((from, to)) = &job.before {
                fs::copy(from, to)?;
            }
            let (took, mib) = run(&job.command, &job.folder)
                .await
                .with_context(|| job.what.clone())?;
            job.times.push(millis(took));
            job.mib = job.mib.max(mib);
        }
        let begun = Instant::now();
        maven.package(&project, &["-Pfat"]).await?;
        by_maven.push(millis(begun.elapsed()));
        thinned(&project.join("target/hello-1.0.0-ark-biz.jar"))?;
    }
    let medians: Vec<f64> = jobs.iter().map(|job| median(&job.times)).collect();
    let mut rows: Vec<Row> = jobs
        .iter()
        .zip(&medians)
        .map(|(job, ms)| Row {
            what: job.what.clone(),
            ms: *ms,
            ratio: job.beside.map(|ours| medians[ours] / ms),
            mib: job.is_ferry.then_some(job.mib),
        })
        .collect();
    let ms = median(&by_maven);
    rows.push(Row {
        what: "demo/hello -Pfat: mvn package with excludes".to_owned(),
        ms,
        ratio: Some(medians[ours] / ms),
        mib: None,
    });
    Ok(rows)
}

fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().context("a path that is text")?.to_owned())
}

/// Runs a program to its end: how long it took, and its memory at most in MiB.
async fn run(command: &[String], folder: &Path) -> Result<(Duration, u64)> {
    let (command, folder) = (command.to_vec(), folder.to_owned());
    let running = move || -> Result<(Duration, u64)> {
        let begun = Instant::now();
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .current_dir(folder)
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("{} does not start: is it installed?", command[0]))?;
        let process = Process::new(i32::try_from(child.id())?).ok();
        let mut most = 0;
        let status = loop {
            let status = process.as_ref().and_then(|it| it.status().ok());
            most = most.max(status.and_then(|it| it.vmhwm).unwrap_or(0));
            if let Some(status) = child.try_wait()? {
                break status;
            }
            std::thread::sleep(ASK_EVERY);
        };
        if !status.success() {
            bail!("{} ended with {status}", command.join(" "));
        }
        Ok((begun.elapsed(), most / 1024))
    };
    tokio::task::spawn_blocking(running).await?
}

const MANIFEST: &[u8] = b"Manifest-Version: 1.0\r\nMain-Class: demo.Main\r\nArk-Biz-Name: bench\r\nArk-Biz-Version: 1.0.0\r\n\r\n";

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// A module of about so many bytes; how its libraries are named. [`u64::MAX`]: of each of the base's, once.
fn make(base: &Path, to: &Path, size: u64) -> Result<Vec<String>> {
    let mut libraries = Vec::new();
    let mut jar = ZipArchive::new(File::open(base)?)?;
    let mut names: Vec<String> = jar.file_names().map(str::to_owned).collect();
    names.sort();
    for name in names {
        if let Some(file) = name
            .strip_prefix("BOOT-INF/lib/")
            .filter(|it| !it.is_empty())
        {
            let mut bytes = Vec::new();
            jar.by_name(&name)?.read_to_end(&mut bytes)?;
            libraries.push((file.to_owned(), bytes));
        }
    }
    let mut module = ZipWriter::new(File::create(to)?);
    module.start_file("META-INF/MANIFEST.MF", stored())?;
    module.write_all(MANIFEST)?;
    let (mut entries, mut written, mut round) = (Vec::new(), 0, 0);
    while written < size && (round == 0 || size < u64::MAX) {
        for (file, bytes) in &libraries {
            if written >= size {
                break;
            }
            let entry = match round {
                0 => format!("lib/{file}"),
                _ => format!("lib/again{round}-{file}"),
            };
            module.start_file(&entry, stored())?;
            module.write_all(bytes)?;
            written += bytes.len() as u64;
            entries.push(entry);
        }
        round += 1;
    }
    module.finish()?;
    Ok(entries)
}

/// A base of one library that nobody has.
fn make_base(to: &Path) -> Result<()> {
    let mut inner = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    inner.start_file("nothing.txt", stored())?;
    let inner = inner.finish()?.into_inner();
    let mut base = ZipWriter::new(File::create(to)?);
    base.start_file("BOOT-INF/lib/nothing-1.0.jar", stored())?;
    base.write_all(&inner)?;
    base.finish()?;
    Ok(())
}

/// `demo/hello`, told what to leave out.
fn excluded_project(to: &Path) -> Result<PathBuf> {
    digest::copy_over(&demo_dir().join("hello"), to)?;
    let pom = fs::read_to_string(to.join("pom.xml"))?;
    let mark = "<declaredMode>true</declaredMode>";
    let told = pom.replace(mark, &format!("{mark}{EXCLUDES}"));
    if told == pom {
        bail!("demo/hello's pom has no {mark}");
    }
    fs::write(to.join("pom.xml"), told)?;
    Ok(to.to_owned())
}

/// Makes sure that upstream's way did what it is compared for.
fn thinned(jar: &Path) -> Result<()> {
    let jar = ZipArchive::new(File::open(jar)?)?;
    let left = jar.file_names().filter(|it| it.starts_with("lib/")).count();
    if left > 0 {
        bail!("Maven's excludes left {left} libraries in the jar: this is no comparison");
    }
    Ok(())
}

/// A table to read.
pub fn table(rows: &[Row]) -> String {
    let mut table = comfy_table::Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_header(["what", "median", "Ferry ÷ this", "memory at most"]);
    for row in rows {
        table.add_row([
            row.what.clone(),
            format!("{:.0} ms", row.ms),
            row.ratio.map(|it| format!("{it:.2}")).unwrap_or_default(),
            row.mib.map(|it| format!("{it} MiB")).unwrap_or_default(),
        ]);
    }
    table.to_string()
}
