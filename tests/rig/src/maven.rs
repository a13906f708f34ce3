//! Maven and what it needs: one local repository of this project's own, the
//! *seed*, filled once and then used offline; and what it builds of `demo/`,
//! kept by content.
//!
//! Everything lands in `target/`: the seed in `target/m2`, jars in
//! `target/demo`. The seed forgets from where its files came, so that it serves
//! under any `settings.xml`.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::digest;
use crate::process::Process;
use crate::tools::{self, Jdk};

/// A first build fetches some 120 MB; 27 s were measured, the rest is for slow lines.
const ONLINE_LIMIT: Duration = Duration::from_secs(600);

/// An offline build takes 4 to 15 s on two busy cores.
const OFFLINE_LIMIT: Duration = Duration::from_secs(120);

/// Halves Maven's time: a build is over before the second compiler pays.
pub const MAVEN_OPTS: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/// Files that a repository has when the demo was built with it.
const KEY_FILES: [&str; 4] = [
    "org/springframework/boot/spring-boot-starter-parent/3.2.6/spring-boot-starter-parent-3.2.6.pom",
    "com/alipay/sofa/koupleless/koupleless-base-starter/2.1.6/koupleless-base-starter-2.1.6.jar",
    "com/alipay/sofa/web-ark-plugin/3.1.4/web-ark-plugin-3.1.4.jar",
    "com/alipay/sofa/sofa-ark-maven-plugin/3.1.11/sofa-ark-maven-plugin-3.1.11.jar",
];

/// Maven with a filled seed.
#[derive(Debug, Clone)]
pub struct Maven {
    mvn: PathBuf,
    jdk: Jdk,
    seed: PathBuf,
}

/// From where Maven may take what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    /// Nowhere.
    Offline,
    /// Wherever the user's settings say.
    Online,
    /// Another local repository.
    Folder(&'a Path),
}

impl Maven {
    /// Finds Maven and a JDK, and fills the seed where that was not done yet.
    ///
    /// # Errors
    /// When a tool is missing, or the artifacts cannot be had; then the message
    /// names the ways out.
    pub async fn ready() -> Result<Self> {
        let maven = Self {
            mvn: tools::maven()?,
            jdk: tools::jdk()?,
            seed: tools::target_dir().join("m2"),
        };
        let _lock = lock(&tools::target_dir().join("m2.lock")).await?;
        let filled = maven.seed.join(".filled");
        let wanted = demo_poms()?;
        if fs::read_to_string(&filled).is_ok_and(|found| found == wanted) {
            return Ok(maven);
        }
        maven.fill().await?;
        fs::write(&filled, wanted)?;
        Ok(maven)
    }

    /// Completes the seed with what another project is built from, once for each content of it. `args` come behind
    /// `package`, such as `clean`.
    ///
    /// # Errors
    /// When the project cannot be built, or what it needs cannot be had.
    pub async fn complete_for(&self, project: &Path, args: &[&str]) -> Result<()> {
        let _lock = lock(&tools::target_dir().join("m2.lock")).await?;
        let mark = format!(".filled-{}{}", digest::of_folder(project)?, args.concat());
        let mark = self.seed.join(mark);
        if mark.is_file() {
            return Ok(());
        }
        let work = Work::new("complete")?;
        digest::copy_over(project, &work.0)?;
        if self.run(&work.0, args, Source::Offline).await.is_err() {
            eprintln!("maven: fetching what {} needs, once", project.display());
            self.run(&work.0, args, Source::Online).await?;
            forget_sources(&self.seed)?;
        }
        fs::write(mark, "").context("the seed cannot be written")
    }

    /// The seed: a Maven local repository that is complete for `demo/`.
    pub fn seed(&self) -> &Path {
        &self.seed
    }

    /// The JDK it runs on.
    pub fn jdk(&self) -> &Jdk {
        &self.jdk
    }

    /// `mvn package` in `project`, offline, with the seed. `args` come behind
    /// `package`, such as `-Pfat`. The output goes to `project/maven.log`.
    ///
    /// # Errors
    /// When the build fails or takes too long, with the log's tail.
    pub async fn package(&self, project: &Path, args: &[&str]) -> Result<()> {
        self.run(project, args, Source::Offline).await
    }

    async fn fill(&self) -> Result<()> {
        let user = user_repository();
        let mut sources: Vec<Source<'_>> = Vec::new();
        sources.extend(user.as_deref().map(Source::Folder));
        sources.push(Source::Online);
        let mut refused = String::new();
        for source in sources {
            eprintln!("maven: {}", source.says());
            match self.fill_from(source).await {
                Ok(()) => return forget_sources(&self.seed),
                Err(error) => {
                    eprintln!("maven: that did not do");
                    refused = format!("{error:#}");
                }
            }
        }
        bail!(
            "Maven cannot get what a base and its modules are built from.\n\
             {refused}\n\n\
             Without these artifacts there is no real base here. Either let Maven reach its\n\
             repository (a mirror or a proxy goes into ~/.m2/settings.xml) and try again, or\n\
             see the demo on simulated bases: cargo xtask demo --simulated-bases"
        )
    }

    async fn fill_from(&self, source: Source<'_>) -> Result<()> {
        fs::create_dir_all(&self.seed)
            .with_context(|| format!("cannot make {}", self.seed.display()))?;
        for project in ["base", "hello"] {
            let work = Work::new(&format!("fill-{project}"))?;
            digest::copy_over(&demo_dir().join(project), &work.0)?;
            self.run(&work.0, &[], source).await?;
        }
        Ok(())
    }

    async fn run(&self, project: &Path, args: &[&str], source: Source<'_>) -> Result<()> {
        let mut command = Command::new(&self.mvn);
        command
            .current_dir(project)
            .env("JAVA_HOME", &self.jdk.home)
            .env("MAVEN_OPTS", MAVEN_OPTS)
            .args(["-B", "-q", "-ntp", "-Dstyle.color=never"])
            .arg(format!("-Dmaven.repo.local={}", self.seed.display()))
            .arg("package")
            .args(args);
        let limit = match source {
            Source::Offline => {
                command.arg("-o");
                OFFLINE_LIMIT
            }
            // A failure of last time is no reason not to ask again.
            Source::Online => {
                command.arg("-U");
                ONLINE_LIMIT
            }
            Source::Folder(folder) => {
                let settings = project.join("folder-settings.xml");
                fs::write(&settings, mirror_settings(folder)?)?;
                command.arg("-s").arg(settings);
                OFFLINE_LIMIT
            }
        };
        let log = project.join("maven.log");
        let mut process = Process::spawn("maven", command, &log)?;
        let status = process.finish(limit).await?;
        if status.success() {
            return Ok(());
        }
        // Some builds of Maven colour even what goes to a file.
        let output = process.output()?.replace("\u{1b}[0m", "");
        let errors: Vec<&str> = output
            .lines()
            .filter(|line| line.contains("ERROR"))
            .take(6)
            .collect();
        bail!("mvn package ended with {status}:\n{}", errors.join("\n"))
    }
}

impl Source<'_> {
    fn says(self) -> String {
        match self {
            Self::Folder(folder) => format!("taking artifacts from {}", folder.display()),
            _ => "fetching artifacts, some 120 MB, once".to_owned(),
        }
    }
}

/// The project's `demo/`.
pub fn demo_dir() -> PathBuf {
    tools::workspace_root().join("demo")
}

/// The folder in `demo/hello-changes` that a later push lays over `demo/hello`.
pub fn change_dir(name: &str) -> PathBuf {
    demo_dir().join("hello-changes").join(name)
}

/// The jar of `demo/base`, built when its sources have changed.
///
/// # Errors
/// As [`Maven::ready`] and [`Maven::package`].
pub async fn base_jar() -> Result<PathBuf> {
    build(
        "base",
        &[demo_dir().join("base")],
        &[],
        "target/base-1.0.0.jar",
    )
    .await
}

/// An ark-biz jar of `demo/hello` with the named changes laid over it one after
/// the other; thin, or `fat` with everything that the base has already.
///
/// # Errors
/// As [`Maven::ready`] and [`Maven::package`].
pub async fn hello_jar(changes: &[&str], fat: bool) -> Result<PathBuf> {
    let mut layers = vec![demo_dir().join("hello")];
    layers.extend(changes.iter().map(|name| change_dir(name)));
    let args: &[&str] = if fat { &["-Pfat"] } else { &[] };
    build("hello", &layers, args, "target/hello-1.0.0-ark-biz.jar").await
}

/// The fat ark-biz jar of `demo/hello` with other versions, such as
/// `jackson-bom.version=2.17.1`. What the seed lacks of them is fetched once.
///
/// # Errors
/// As [`Maven::ready`] and [`Maven::package`].
pub async fn hello_with(properties: &[String]) -> Result<PathBuf> {
    let mut args = vec!["-Pfat".to_owned()];
    args.extend(properties.iter().map(|one| format!("-D{one}")));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let layers = [demo_dir().join("hello")];
    build("hello", &layers, &args, "target/hello-1.0.0-ark-biz.jar").await
}

async fn build(name: &str, layers: &[PathBuf], args: &[&str], made: &str) -> Result<PathBuf> {
    let work = Work::new(name)?;
    for layer in layers {
        digest::copy_over(layer, &work.0)?;
    }
    let digest = digest::of_folder(&work.0)?;
    let kept = demo_target().join(format!("{name}{}-{digest}.jar", args.concat()));
    if kept.is_file() {
        return Ok(kept);
    }
    let _lock = lock(&demo_target().join(format!("{name}.lock"))).await?;
    // Whoever had the lock before may have built it.
    if !kept.is_file() {
        let maven = Maven::ready().await?;
        if let Err(error) = maven.package(&work.0, args).await {
            // Only another version than the demo's own can be missing.
            if !args.iter().any(|arg| arg.starts_with("-D")) {
                return Err(error);
            }
            maven.run(&work.0, args, Source::Online).await?;
            forget_sources(&maven.seed)?;
        }
        fs::rename(work.0.join(made), &kept).with_context(|| format!("no {made} was built"))?;
    }
    Ok(kept)
}

fn demo_target() -> PathBuf {
    tools::target_dir().join("demo")
}

/// A folder in `target/demo` to build in, removed when dropped.
struct Work(PathBuf);

impl Work {
    fn new(name: &str) -> Result<Self> {
        fs::create_dir_all(demo_target())?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("build-{name}-"))
            .tempdir_in(demo_target())?;
        Ok(Self(dir.keep()))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Held until dropped; test programs run side by side.
async fn lock(path: &Path) -> Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    tokio::task::spawn_blocking(move || {
        file.lock()?;
        Ok(file)
    })
    .await?
}

/// The poms that the seed was filled for.
fn demo_poms() -> Result<String> {
    let mut poms = String::new();
    for project in ["base", "hello"] {
        poms += &fs::read_to_string(demo_dir().join(project).join("pom.xml"))?;
    }
    Ok(poms)
}

/// The user's own local repository, when the demo could be built with it.
fn user_repository() -> Option<PathBuf> {
    let repository = PathBuf::from(env::var_os("HOME")?)
        .join(".m2")
        .join("repository");
    KEY_FILES
        .iter()
        .all(|file| repository.join(file).is_file())
        .then_some(repository)
}

/// A local repository has the layout of a remote one.
fn mirror_settings(folder: &Path) -> Result<String> {
    let Ok(url) = reqwest::Url::from_directory_path(folder) else {
        bail!("{} is no absolute path", folder.display());
    };
    let url = url.as_str().replace('&', "&amp;");
    Ok(format!(
        "<settings><mirrors><mirror><id>folder</id><mirrorOf>*</mirrorOf>\
         <url>{url}</url></mirror></mirrors></settings>\n"
    ))
}

/// Maven notes for each file from which repository it came, and refuses it
/// offline when the settings now name another. Without the notes it takes the
/// file as it is.
fn forget_sources(repository: &Path) -> Result<()> {
    for (name, path) in digest::files(repository)? {
        if name.ends_with("_remote.repositories") || name.ends_with(".lastUpdated") {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
