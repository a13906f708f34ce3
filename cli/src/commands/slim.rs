//! `ferry slim`, `ferry base inspect` and `ferry base diff`. In: jars. Out: a
//! slimmed jar, or a base's profile, and a report.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ferry_slim::{
    BaseProfile, Diff, Growth, Identity, Limits, Outcome, Past, Rules, SlimError, Stamp, Versions,
    Wishes, convert, jdk_home, read_jdk, rules, slim_as,
};
use serde::Serialize;

use super::Json;
use crate::exit::Exit;
use crate::failure::Stopped;
use crate::output::Output;
use crate::screen;

/// Arguments of `ferry slim`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is missing and optional by nature is listed with --gaps. The rule is in docs/slimming.md.\n\nExamples:\n  ferry slim target/hello-ark-biz.jar --base base.jar\n  ferry slim hello.jar --base base.profile.json -o hello-slim.jar --commit 1a2b3c4d --report report.json\n  ferry slim app.jar --convert --context-path app --base base.jar -o app-ark-biz.jar"
)]
pub struct Args {
    /// The ark-biz jar as it was built
    jar: PathBuf,
    /// The base's jar, or its profile
    #[arg(
        long,
        value_name = "BASE.jar|PROFILE",
        required_unless_present = "empty_base"
    )]
    base: Option<PathBuf>,
    /// For a base that provides nothing: leave nothing out, and prove nothing
    #[arg(long, conflicts_with = "base")]
    empty_base: bool,
    #[command(flatten)]
    convert: ConvertArgs,
    /// Where to write the slimmed jar; one that does not link is not written
    #[arg(long, short, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write it although it does not link
    #[arg(long, requires = "output")]
    force: bool,
    /// Where to write the report, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where to write the report as a page that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A report of an earlier version, to tell the difference
    #[arg(long, value_name = "REPORT")]
    since: Option<PathBuf>,
    /// List what is missing and optional too
    #[arg(long)]
    gaps: bool,
    #[command(flatten)]
    wishes: WishesArgs,
    #[command(flatten)]
    java: JavaArgs,
    /// The commit that it was built from, for its version
    #[arg(long, value_name = "C")]
    commit: Option<String>,
    #[command(flatten)]
    json: Json,
}

/// What the module wants of its slimming.
#[derive(Debug, clap::Args)]
struct WishesArgs {
    /// `compatible`: what the base has in another version is left out too, where everything that refers to
    /// it links against the base's
    #[arg(long, value_name = "same|compatible", default_value = "same")]
    versions: VersionsArg,
    /// Reduce libraries that are partly used to the classes that are reached
    #[arg(long)]
    shake: bool,
    /// The project's own rules: a rules.txt or bootstrap file, or the folder that holds them or their
    /// conf/ark; may be given again
    #[arg(long, value_name = "FILE|DIR")]
    rules: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum VersionsArg {
    Same,
    Compatible,
}

impl WishesArgs {
    fn read(&self) -> Result<Wishes> {
        let mut files = Vec::new();
        for path in &self.rules {
            files.extend(rules::load(path).map_err(told)?);
        }
        Ok(Wishes {
            versions: match self.versions {
                VersionsArg::Same => Versions::Same,
                VersionsArg::Compatible => Versions::Compatible,
            },
            shake: self.shake,
            rules: Rules::read(&files),
        })
    }
}

/// How to make an ark-biz jar of one that is none.
#[derive(Debug, clap::Args)]
struct ConvertArgs {
    /// Make an ark-biz jar of a plain Spring Boot jar, or of a plain jar, first
    #[arg(long)]
    convert: bool,
    /// The module's name; without it the artifactId
    #[arg(long, value_name = "NAME", requires = "convert")]
    biz_name: Option<String>,
    /// The module's version before it is stamped; without it Maven's
    #[arg(long, value_name = "VERSION", requires = "convert")]
    biz_version: Option<String>,
    /// The class to start; without it the manifest's
    #[arg(long, value_name = "CLASS", requires = "convert")]
    main_class: Option<String>,
    /// Where it answers; without it the name, where it carries Spring's web side
    #[arg(long, value_name = "PATH", requires = "convert")]
    context_path: Option<String>,
}

impl ConvertArgs {
    /// The jar to slim: the one that was given, or what it was converted to in `folder`.
    fn applied(&self, jar: &Path, folder: &Path) -> Result<PathBuf> {
        let converted = folder.join("converted.jar");
        let identity = Identity {
            name: self.biz_name.clone(),
            version: self.biz_version.clone(),
            main_class: self.main_class.clone(),
            web_context_path: self.context_path.clone(),
        };
        let made = match self.convert {
            true => convert(jar, &identity, &converted, Limits::default())
                .map_err(told)
                .with_context(|| format!("{} cannot be converted", jar.display()))?,
            false => None,
        };
        Ok(made.map_or_else(|| jar.to_owned(), |_| converted))
    }
}

/// The Java that the base runs on.
#[derive(Debug, clap::Args)]
struct JavaArgs {
    /// The Java that the base runs on: a JDK's or JRE's folder, or `none`. Without it that of the
    /// profile, else of JAVA_HOME, else the `java` of this machine
    #[arg(long, value_name = "DIR|none")]
    jdk: Option<PathBuf>,
}

impl JavaArgs {
    /// The profile, with the classes of the Java that was asked for.
    fn with(&self, profile: BaseProfile) -> Result<BaseProfile> {
        let home = match &self.jdk {
            Some(none) if none.as_os_str() == "none" => {
                return Ok(BaseProfile {
                    java: None,
                    ..profile
                });
            }
            Some(home) => home.clone(),
            None if profile.java.is_some() => return Ok(profile),
            None => match jdk_home() {
                Some(home) => home,
                None => return Ok(profile),
            },
        };
        Ok(profile.with_java(read_jdk(&home).map_err(told)?))
    }
}

/// Arguments of `ferry base inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The profile holds the base's libraries and all that can be linked to: classes, fields and methods, and those of its Java. Give it to `base_jar` in ferry.toml.\n\nExamples:\n  ferry base inspect base.jar -o base.profile.json --jdk /opt/java-17"
)]
pub struct InspectArgs {
    /// The base's jar
    jar: PathBuf,
    #[command(flatten)]
    java: JavaArgs,
    /// Where to write the profile
    #[arg(long, short, value_name = "PROFILE")]
    output: PathBuf,
    #[command(flatten)]
    json: Json,
}

/// Arguments of `ferry base diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What is gone is what modules may trip over.\n\nExamples:\n  ferry base diff base-1.0.jar base-1.1.jar"
)]
pub struct DiffArgs {
    /// The base's jar or profile before
    before: PathBuf,
    /// The base's jar or profile after
    after: PathBuf,
    #[command(flatten)]
    json: Json,
}

/// What `ferry base inspect --json` prints.
#[derive(Serialize)]
struct Inspected {
    digest: String,
    libraries: usize,
    bytes: u64,
    classes: usize,
    java: Option<String>,
}

/// Runs `ferry slim`.
pub fn run(args: Args) -> Result<Exit> {
    let limits = Limits::default();
    let profile = match &args.base {
        Some(base) => Some(args.java.with(load(base)?)?),
        None => None,
    };
    let wishes = args.wishes.read()?;
    let stamp = match &args.commit {
        Some(commit) => Stamp::commit(commit).map_err(told)?,
        None => Stamp::packaged(),
    };
    // Without an output the jar is made all the same: its bytes are part of the report. With one it
    // is made beside it, and takes its place once it is known to link.
    let beside = args.output.as_ref().and_then(|output| output.parent());
    let folder = match beside.filter(|beside| !beside.as_os_str().is_empty()) {
        Some(beside) => tempfile::tempdir_in(beside),
        None if args.output.is_some() => tempfile::tempdir_in("."),
        None => tempfile::tempdir(),
    };
    let folder = folder.context("there is no room for the slimmed jar")?;
    let made = folder.path().join("slimmed.jar");
    let jar = args.convert.applied(&args.jar, folder.path())?;
    let past = args.since.as_deref().map(past).transpose()?;
    let mut report = slim_as(&jar, profile.as_ref(), &wishes, &stamp, &made, limits)
        .map_err(told)
        .with_context(|| format!("{} cannot be slimmed", args.jar.display()))?;
    report.since = past.map(|past| Growth::of(&past, &report));
    let refused = report
        .proof
        .as_ref()
        .is_some_and(|proof| proof.outcome == Outcome::Refused);
    if let Some(output) = args.output.as_ref().filter(|_| !refused || args.force) {
        std::fs::rename(&made, output)
            .with_context(|| format!("{} cannot be written", output.display()))?;
    }
    if let Some(file) = &args.report {
        let text = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, text)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if let Some(file) = &args.html {
        std::fs::write(file, screen::slim_page(&report))
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let show = |paint| screen::slimmed(&report, args.gaps, paint);
    Output::new(args.json.json).print(&report, show)?;
    Ok(match refused {
        true => Exit::Refused,
        false => Exit::Success,
    })
}

/// The report of an earlier version.
fn past(file: &Path) -> Result<Past> {
    let text = std::fs::read(file).map_err(|source| {
        told(SlimError::Io {
            doing: "read",
            path: file.to_owned(),
            source,
        })
    })?;
    Past::read(&text).with_context(|| {
        format!(
            "{} is no report; give what `ferry slim --report` wrote",
            file.display()
        )
    })
}

fn load(base: &Path) -> Result<BaseProfile> {
    BaseProfile::load(base, Limits::default())
        .map_err(told)
        .with_context(|| format!("{} is no base", base.display()))
}

/// Runs `ferry base inspect`.
pub fn inspect(args: InspectArgs) -> Result<Exit> {
    let profile = args.java.with(load(&args.jar)?)?;
    std::fs::write(&args.output, profile.to_json())
        .with_context(|| format!("{} cannot be written", args.output.display()))?;
    let inspected = Inspected {
        digest: profile.digest(),
        libraries: profile.libraries.len(),
        bytes: profile.libraries.iter().map(|library| library.bytes).sum(),
        classes: profile.classes.len(),
        java: profile.java.as_ref().map(|java| java.0.version.clone()),
    };
    Output::new(args.json.json).print(&inspected, |paint| screen::profile(&profile, paint))?;
    Ok(Exit::Success)
}

/// Runs `ferry base diff`.
pub fn diff(args: DiffArgs) -> Result<Exit> {
    let diff = Diff::of(&load(&args.before)?, &load(&args.after)?);
    Output::new(args.json.json).print(&diff, |paint| screen::profile_diff(&diff, paint))?;
    Ok(Exit::Success)
}

/// A file that is not there, and a commit that is none, have codes of their own.
fn told(error: SlimError) -> anyhow::Error {
    match &error {
        SlimError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            let exit = Stopped::new(Exit::NotFound, error.to_string());
            anyhow::Error::new(exit)
        }
        SlimError::BadCommit { .. } => Stopped::new(Exit::Usage, error.to_string()).into(),
        _ => error.into(),
    }
}
