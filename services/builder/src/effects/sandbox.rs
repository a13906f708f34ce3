//! Where a build runs: in bubblewrap, or, only by hand, with the builder's own rights.
//!
//! In: what a build may see. Out: the command that runs it. In the sandbox there is the system
//! read-only, the sources and one Maven repository, an empty home and `/tmp`, a network only where
//! asked for, and none of our environment: not even of bubblewrap itself, whose own environment
//! its process 1 would show.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs, io,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use ferry_config::Sandbox;
use tokio::process::Command;

use super::{process, tools};

/// What is said where builds run without a sandbox.
pub const OPEN: &str = "sandbox = \"none\": this build runs with all rights of the builder; \
     whoever can push can read and change what the builder can";

/// Where the sources are, for a build.
pub const SOURCES: &str = "/ferry/src";
/// A build's home.
pub const HOME: &str = "/ferry/home";
/// Where the Maven repository is, for a build.
pub const REPOSITORY: &str = "/ferry/repository";
/// Where a worker is started from.
pub const WORKER: &str = "/ferry/worker";
/// Where the operator's `settings.xml` is, for a build.
pub const SETTINGS: &str = "/ferry/settings.xml";
/// Bytes of `/tmp`, which is in memory: room for a test's files.
const TMP_BYTES: u64 = 1 << 30;
/// A sandbox that starts takes milliseconds.
const TRY_LIMIT: Duration = Duration::from_secs(10);

/// What of `/etc` a build needs: Java's and Maven's own configuration, certificates, names.
const ETC: [&str; 13] = [
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "maven",
    "nsswitch.conf",
    "pki",
    "ssl",
    "mime.types",
];
/// And with the network.
const ETC_ONLINE: [&str; 4] = ["hosts", "resolv.conf", "gai.conf", "services"];

/// The sandbox cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// It is not installed.
    #[error("bubblewrap (bwrap) is not on the builder's PATH")]
    Missing,
    /// It does not work here. In its own words.
    #[error("bubblewrap does not work here: {0}")]
    Refused(String),
}

/// What keeps a build in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jail {
    /// Nothing.
    Open,
    /// bubblewrap.
    Bubblewrap {
        /// The program.
        program: PathBuf,
        /// Whether the build has a user namespace, and no privilege in it. Without one (as root where
        /// the system has none) it has lost every capability all the same.
        user: bool,
        /// Files of ours that are shown in it.
        files: PathBuf,
    },
}

impl fmt::Display for Jail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the open",
            Self::Bubblewrap { user: true, .. } => "bubblewrap, with a user namespace",
            Self::Bubblewrap { user: false, .. } => "bubblewrap, without a user namespace",
        })
    }
}

/// What one build sees.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Its sources, writable.
    pub sources: &'a Path,
    /// Its Maven repository, writable.
    pub repository: &'a Path,
    /// Its home where there is no sandbox.
    pub home: &'a Path,
    /// The operator's `settings.xml`.
    pub settings: Option<&'a Path>,
    /// Its `JAVA_HOME`.
    pub java_home: &'a Path,
    /// The folder that it begins in, below the sources.
    pub path: &'a str,
    /// Whether it has a network.
    pub online: bool,
    /// The most processes and threads.
    pub processes: u32,
    /// What a worker is started from, for a build that runs in one.
    pub worker: Option<&'a Path>,
    /// Programs outside of `/usr` that it needs: folders, shown as they are.
    pub programs: Vec<PathBuf>,
    /// Its environment, besides `PATH`, `HOME`, `LANG` and `JAVA_HOME`.
    pub variables: Vec<(&'static str, String)>,
}

/// Makes the files that a sandbox shows in place of the system's.
pub(super) fn prepare(data_dir: &Path) -> io::Result<()> {
    let folder = data_dir.join("sandbox");
    fs::create_dir_all(&folder)?;
    let user = |name: &str, id: u32| format!("{name}:x:{id}:{id}::{HOME}:/bin/sh\n");
    fs::write(
        folder.join("passwd"),
        user("root", 0) + &user("build", 1000),
    )?;
    fs::write(folder.join("group"), "root:x:0:\nbuild:x:1000:\n")
}

impl Jail {
    /// The jail that the configuration asks for, tried.
    ///
    /// # Errors
    /// When it is required and does not work.
    pub async fn find(mode: Sandbox, data_dir: &Path) -> Result<Self, Unavailable> {
        if mode == Sandbox::None {
            return Ok(Self::Open);
        }
        let program = tools::on_path("bwrap").ok_or(Unavailable::Missing)?;
        Self::bubblewrap(&program, data_dir).await
    }

    /// bubblewrap, tried with a user namespace and without.
    ///
    /// # Errors
    /// When neither works, with what it said first.
    pub async fn bubblewrap(program: &Path, data_dir: &Path) -> Result<Self, Unavailable> {
        let mut refused = String::new();
        for user in [true, false] {
            let files = data_dir.join("sandbox");
            let jail = Self::Bubblewrap {
                program: program.to_owned(),
                user,
                files,
            };
            match jail.try_it().await {
                Ok(()) => return Ok(jail),
                Err(said) if refused.is_empty() => refused = said,
                Err(_) => {}
            }
        }
        Err(Unavailable::Refused(refused))
    }

    /// Whether nothing keeps a build in.
    pub fn is_open(&self) -> bool {
        *self == Self::Open
    }

    async fn try_it(&self) -> Result<(), String> {
        let Self::Bubblewrap {
            program,
            user,
            files,
        } = self
        else {
            return Ok(());
        };
        let mut command = Command::new(program);
        command
            .env_clear()
            .args(namespaces(*user, false))
            .args(system(files, false))
            .args(["--", "/bin/true"]);
        match process::output(command, &[], TRY_LIMIT).await {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(output
                .err
                .lines()
                .next()
                .unwrap_or("it gave no reason")
                .to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where the build sees its sources.
    pub fn sources(&self, view: &View<'_>) -> String {
        if self.is_open() {
            view.sources.display().to_string()
        } else {
            SOURCES.to_owned()
        }
    }

    /// Where the build sees its Maven repository.
    pub fn repository(&self, view: &View<'_>) -> PathBuf {
        if self.is_open() {
            view.repository.to_owned()
        } else {
            REPOSITORY.into()
        }
    }

    /// Where the build sees the operator's `settings.xml`.
    pub fn settings(&self, view: &View<'_>) -> Option<PathBuf> {
        let given = view.settings?;
        Some(if self.is_open() {
            given.to_owned()
        } else {
            SETTINGS.into()
        })
    }

    /// The command that runs a program there.
    pub fn command(&self, view: &View<'_>, program: &OsStr, arguments: &[OsString]) -> Command {
        let path = format!("{}/bin:/usr/bin:/bin", view.java_home.display());
        let home = if self.is_open() {
            view.home.display().to_string()
        } else {
            HOME.to_owned()
        };
        let mut variables = vec![
            ("PATH", path),
            ("HOME", home),
            ("LANG", "C.UTF-8".to_owned()),
            ("JAVA_HOME", view.java_home.display().to_string()),
        ];
        variables.extend(view.variables.clone());
        let limited = limited(view.processes, program, arguments);
        match self {
            Self::Open => {
                let mut command = Command::new(&limited[0]);
                command
                    .env_clear()
                    .envs(variables)
                    .args(&limited[1..])
                    .current_dir(below(view.sources, view.path));
                command
            }
            Self::Bubblewrap {
                program,
                user,
                files,
            } => {
                let mut command = Command::new(program);
                command
                    .env_clear()
                    .args(namespaces(*user, view.online))
                    .args(system(files, view.online));
                for folder in view
                    .programs
                    .iter()
                    .filter(|folder| !folder.starts_with("/usr"))
                {
                    command.arg("--ro-bind").arg(folder).arg(folder);
                }
                command.arg("--bind").arg(view.sources).arg(SOURCES);
                command.arg("--bind").arg(view.repository).arg(REPOSITORY);
                if let Some(worker) = view.worker {
                    command.arg("--ro-bind").arg(worker).arg(WORKER);
                }
                if let Some(settings) = view.settings {
                    command.arg("--ro-bind").arg(settings).arg(SETTINGS);
                }
                command.arg("--clearenv");
                for (name, value) in variables {
                    command.args(["--setenv", name, &value]);
                }
                command
                    .arg("--chdir")
                    .arg(below(SOURCES, view.path))
                    .arg("--")
                    .args(limited);
                command
            }
        }
    }
}

/// A folder below another, without the dots that `.` and `./a` would leave in every path that is shown.
fn below(root: impl AsRef<Path>, path: &str) -> PathBuf {
    let named = Path::new(path)
        .components()
        .filter(|part| *part != Component::CurDir);
    named.fold(root.as_ref().to_path_buf(), |folder, part| {
        folder.join(part)
    })
}

/// Limits the number of processes from within, where the system has the program for it. For root it
/// counts for nothing; the watch over the tree does.
fn limited(processes: u32, program: &OsStr, arguments: &[OsString]) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let prlimit = Path::new("/usr/bin/prlimit");
    if prlimit.is_file() {
        words.extend([
            prlimit.into(),
            format!("--nproc={processes}:{processes}").into(),
            "--core=0:0".into(),
            "--".into(),
        ]);
    }
    words.push(program.into());
    words.extend(arguments.iter().cloned());
    words
}

fn namespaces(user: bool, online: bool) -> Vec<&'static str> {
    let mut words = vec!["--unshare-all"];
    if user {
        words.extend(["--unshare-user", "--uid", "1000", "--gid", "1000"]);
    }
    if online {
        words.push("--share-net");
    }
    words.extend([
        "--cap-drop",
        "ALL",
        "--die-with-parent",
        "--new-session",
        "--hostname",
        "build",
    ]);
    words
}

/// The system, read-only, and what is empty.
fn system(files: &Path, online: bool) -> Vec<OsString> {
    let mut words: Vec<OsString> = ["--ro-bind", "/usr", "/usr"].map(Into::into).into();
    for name in ["bin", "sbin", "lib", "lib32", "lib64"] {
        let place = Path::new("/").join(name);
        match fs::read_link(&place) {
            Ok(target) => words.extend(["--symlink".into(), target.into(), place.into()]),
            Err(_) => words.extend(["--ro-bind-try".into(), place.clone().into(), place.into()]),
        }
    }
    let mut etc: Vec<PathBuf> = ETC
        .iter()
        .map(|name| Path::new("/etc").join(name))
        .collect();
    if online {
        etc.extend(ETC_ONLINE.iter().map(|name| Path::new("/etc").join(name)));
    }
    // Debian keeps a JDK's configuration in /etc/java-17-openjdk and the like.
    let java = fs::read_dir("/etc")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    etc.extend(java.filter(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("java"))
    }));
    for path in etc {
        words.extend(["--ro-bind-try".into(), path.clone().into(), path.into()]);
    }
    for name in ["passwd", "group"] {
        words.extend([
            "--ro-bind".into(),
            files.join(name).into(),
            Path::new("/etc").join(name).into(),
        ]);
    }
    words.extend(["--dev", "/dev", "--proc", "/proc", "--size"].map(Into::into));
    words.push(TMP_BYTES.to_string().into());
    words.extend(["--tmpfs", "/tmp", "--dir", HOME].map(Into::into));
    words
}
