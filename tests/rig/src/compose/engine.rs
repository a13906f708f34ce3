//! A container engine: the one that runs, else a dockerd of our own.
//!
//! In: the `PATH`, the environment. Out: commands that reach it. One that was
//! started here keeps its files in `target/container/engine` and ends with us.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;
use tempfile::TempDir;
use tokio::process::Command;

use super::command::{must, run};
use crate::process::Process;
use crate::tools;

/// The image that all others stand on.
pub const DEBIAN: &str = "debian:bookworm-slim";

/// A question to the engine takes milliseconds.
const ASK_LIMIT: Duration = Duration::from_secs(30);

/// dockerd starts in 2 s.
const START_LIMIT: Duration = Duration::from_secs(60);

/// It stops what still runs in it first.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// An image of 30 MB, where there is a registry.
const PULL_LIMIT: Duration = Duration::from_secs(180);

/// debootstrap took 58 s; it fetches some 50 MB.
const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(900);

/// What to install, in one line.
const INSTALL: &str = "install a container engine, for example: \
     sudo apt-get install -y docker.io docker-compose debootstrap";

/// A container engine that answers.
pub struct Engine {
    docker: PathBuf,
    // `docker compose`, or docker-compose for its first version.
    plugin: bool,
    // The temporary folder holds the socket.
    own: Option<(Process, TempDir)>,
}

impl Engine {
    /// Finds one, or starts one as root.
    ///
    /// # Errors
    /// One line that says what to install or to start.
    pub async fn start(home: &Path) -> Result<Self> {
        let docker = builds_images().await.context(INSTALL)?;
        let mut engine = Self {
            docker,
            plugin: false,
            own: None,
        };
        let mut version = engine.docker();
        version.args(["compose", "version"]);
        engine.plugin = run(version, ASK_LIMIT).await?.status.success();
        ensure!(
            engine.plugin || tools::on_path("docker-compose").is_some(),
            "neither `docker compose` nor docker-compose is here: {INSTALL}"
        );
        if !engine.answers().await? {
            engine.own = Some(engine.launch(home).await?);
        }
        Ok(engine)
    }

    /// Which it is, for a person.
    pub fn what(&self) -> &'static str {
        if self.own.is_some() {
            "a dockerd of our own"
        } else {
            "the one that runs here"
        }
    }

    /// `docker`, to be given its arguments.
    pub fn docker(&self) -> Command {
        let mut command = Command::new(&self.docker);
        self.dress(&mut command);
        command
    }

    /// `docker compose`, to be given its arguments.
    pub fn compose(&self) -> Command {
        if self.plugin {
            let mut command = self.docker();
            command.arg("compose");
            return command;
        }
        let mut command = Command::new("docker-compose");
        self.dress(&mut command);
        command
    }

    /// Makes sure of [`DEBIAN`]; says how.
    ///
    /// # Errors
    /// When it is not there, cannot be pulled and cannot be made.
    pub async fn ensure_debian(&self, home: &Path) -> Result<&'static str> {
        let ask = |words: &[&str]| {
            let mut command = self.docker();
            command.args(words);
            command
        };
        if run(ask(&["image", "inspect", DEBIAN]), ASK_LIMIT)
            .await?
            .status
            .success()
        {
            return Ok("was here");
        }
        let pulled = run(ask(&["pull", DEBIAN]), PULL_LIMIT).await;
        if pulled.as_ref().is_ok_and(|ran| ran.status.success()) {
            return Ok("pulled");
        }
        let why = pulled.map_or_else(|error| error.to_string(), |ran| ran.said());
        ensure!(
            tools::on_path("debootstrap").is_some() && Uid::effective().is_root(),
            "{DEBIAN} cannot be pulled ({}) and, without root and debootstrap, not be made: {INSTALL}",
            why.lines().last().unwrap_or_default()
        );
        self.bootstrap(home).await?;
        Ok("made by debootstrap: it cannot be pulled from here")
    }

    /// Ends a dockerd that was started here.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(mut self) -> Result<()> {
        match self.own.take() {
            Some((mut daemon, _socket)) => daemon.terminate(STOP_LIMIT).await.map(drop),
            None => Ok(()),
        }
    }

    /// The environment that makes a command reach this engine, and build with BuildKit.
    fn dress(&self, command: &mut Command) {
        command
            .env("DOCKER_BUILDKIT", "1")
            .env("COMPOSE_DOCKER_CLI_BUILD", "1");
        // docker-compose builds with the first `docker` that it finds.
        let own = self.docker.parent().map(Path::to_path_buf);
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = own.into_iter().chain(env::split_paths(&path));
        command.env(
            "PATH",
            env::join_paths(folders).unwrap_or_else(|_| path.clone()),
        );
        if let Some((_, folder)) = &self.own {
            command.env("DOCKER_HOST", socket(folder));
        }
    }

    async fn answers(&self) -> Result<bool> {
        let mut info = self.docker();
        // An error of the server stands in the output, not in the exit code of every version.
        info.args(["version", "--format", "{{.Server.Version}}"]);
        let ran = run(info, ASK_LIMIT).await?;
        Ok(ran.status.success() && ran.out.trim().starts_with(|c: char| c.is_ascii_digit()))
    }

    async fn launch(&self, home: &Path) -> Result<(Process, TempDir)> {
        ensure!(
            Uid::effective().is_root(),
            "no container engine answers: start one, for example: sudo systemctl start docker"
        );
        let dockerd = tools::on_path("dockerd").context(INSTALL)?;
        // A socket's path has at most 107 bytes.
        let folder = tempfile::Builder::new().prefix("ferry-engine-").tempdir()?;
        let mut command = std::process::Command::new(dockerd);
        command
            .arg("--data-root")
            .arg(home.join("engine"))
            .arg("--exec-root")
            .arg(folder.path().join("exec"))
            // It refuses at once where one that was left behind still runs.
            .arg("--pidfile")
            .arg(home.join("engine.pid"))
            .arg("--host")
            .arg(socket(&folder));
        let mut daemon = Process::spawn("dockerd", command, &home.join("dockerd.log"))?;
        daemon
            .line(START_LIMIT, |line| line.contains("API listen on"))
            .await?;
        Ok((daemon, folder))
    }

    async fn bootstrap(&self, home: &Path) -> Result<()> {
        let folder = tempfile::Builder::new()
            .prefix("debian-")
            .tempdir_in(home)?;
        let root = folder.path().join("root");
        let mut make = Command::new("debootstrap");
        make.args(["--variant=minbase", "bookworm"])
            .arg(&root)
            .args(mirror().await);
        must(make, BOOTSTRAP_LIMIT).await?;
        // Fetched packages and lists: the image's users fetch their own.
        for spare in ["var/cache/apt/archives", "var/lib/apt/lists"] {
            let spare = root.join(spare);
            fs::remove_dir_all(&spare)?;
            fs::create_dir(&spare)?;
        }
        let mut tar = Command::new("tar")
            .arg("--directory")
            .arg(&root)
            .args(["--numeric-owner", "--create", "."])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run tar")?;
        let packed: Stdio = tar.stdout.take().context("tar has an output")?.try_into()?;
        let imported = self
            .docker()
            .args(["import", "-", DEBIAN])
            .stdin(packed)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .status()
            .await?;
        ensure!(
            tar.wait().await?.success() && imported.success(),
            "{DEBIAN} was not imported"
        );
        Ok(())
    }
}

fn socket(folder: &TempDir) -> String {
    format!("unix://{}", folder.path().join("socket").display())
}

/// The first `docker` on the `PATH` that builds with BuildKit: an old one has it in
/// itself, a newer one only with its buildx plugin.
async fn builds_images() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut refused = "docker is not on the PATH".to_owned();
    for docker in env::split_paths(&path).map(|folder| folder.join("docker")) {
        if !tools::is_executable(&docker) {
            continue;
        }
        let mut help = Command::new(&docker);
        help.env("DOCKER_BUILDKIT", "1").args(["build", "--help"]);
        if run(help, ASK_LIMIT).await?.status.success() {
            return Ok(docker);
        }
        refused = format!("{} cannot build with BuildKit", docker.display());
    }
    bail!(refused)
}

/// The mirror that apt uses for this release; none where it is another system's apt.
async fn mirror() -> Option<OsString> {
    let mut ask = Command::new("apt-get");
    ask.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]);
    ask.args(["Codename: bookworm", "Component: main"]);
    let out = must(ask, ASK_LIMIT).await.ok()?;
    out.lines()
        .find(|line| !line.is_empty())
        .map(OsString::from)
}
