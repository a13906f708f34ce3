//! What a worker is started from: its class, compiled, and a `java` that starts it.
//!
//! In: a JDK and the installed Maven. Out: a folder that stands for the JDK's, kept by the content of what
//! it was made from; or why there is none.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ferry_events::Digest;
use ferry_runtime::Notes;
use tokio::process::Command;
use tracing::{info, warn};

use super::super::process;

/// Its class, and what that needs.
const SOURCES: [(&str, &str); 4] = [
    ("Worker.java", include_str!("Worker.java")),
    ("Ahead.java", include_str!("Ahead.java")),
    ("Realms.java", include_str!("Realms.java")),
    ("Realm.java", include_str!("Realm.java")),
];
const JAVA: &str = include_str!("java.sh");
const EMPTY: &str = include_str!("empty.xml");
/// A cold compiler takes a second or two.
const COMPILE_LIMIT: Duration = Duration::from_secs(60);
/// Lines of the compiler that are kept.
const KEPT: usize = 5;

/// What came of making each, by the homes of its JDK and its Maven.
type Made = BTreeMap<(PathBuf, PathBuf), Result<PathBuf, String>>;

/// Kits by their JDK. Clones are the same ones.
#[derive(Clone)]
pub struct Kits {
    root: PathBuf,
    notes: Notes,
    made: Arc<Mutex<Made>>,
    making: Arc<tokio::sync::Mutex<()>>,
}

impl Kits {
    /// Kits that are kept in a folder, and say in `/readyz` where one cannot be made.
    pub fn new(root: PathBuf, notes: Notes) -> Self {
        Self {
            root,
            notes,
            made: Arc::default(),
            making: Arc::default(),
        }
    }

    /// The kit for a JDK and a Maven. What was once so is so until [`Self::forget`].
    ///
    /// # Errors
    /// Why there is none, in one line.
    pub async fn of(&self, java_home: &Path, maven_home: &Path) -> Result<PathBuf, String> {
        let key = (java_home.to_owned(), maven_home.to_owned());
        let _making = self.making.lock().await;
        if let Some(made) = self.known().get(&key) {
            return made.clone();
        }
        let made = self.make(java_home, maven_home).await;
        match &made {
            Ok(kit) => {
                info!(jdk = %java_home.display(), kit = %kit.display(), "builds can be warm")
            }
            Err(why) => warn!(jdk = %java_home.display(), why, "builds are cold"),
        }
        let about = format!("warm {}", java_home.display());
        let cold = |why: &String| format!("builds with {} are cold: {why}", java_home.display());
        self.notes.note(&about, made.as_ref().err().map(cold));
        self.known().insert(key, made.clone());
        made
    }

    /// Makes those that could not be made again when they are asked for.
    pub fn forget(&self) {
        self.known().retain(|_, made| made.is_ok());
    }

    fn known(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, java_home: &Path, maven_home: &Path) -> Result<PathBuf, String> {
        let cannot = |error: io::Error| format!("its worker cannot be kept: {error}");
        let launcher = launcher(maven_home)?;
        let about = |path: &Path| -> io::Result<String> {
            let meta = fs::metadata(path)?;
            Ok(format!("{} {:?}", meta.len(), meta.modified()?))
        };
        // Which JDK and Maven they are, and not only where: both are replaced in place.
        let release = fs::read_to_string(java_home.join("release")).unwrap_or_default();
        let jar = about(&launcher).map_err(cannot)?;
        let sources = SOURCES.map(|(_, text)| text).concat();
        let key = format!(
            "{sources}{JAVA}{EMPTY}{release}{jar}{}",
            java_home.display()
        );
        let kit = self.root.join(Digest::of(key.as_bytes()).short());
        if kit.is_dir() {
            return Ok(kit);
        }
        fs::create_dir_all(&self.root).map_err(cannot)?;
        let new = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.root)
            .map_err(cannot)?;
        compile(java_home, &launcher, new.path()).await?;
        script(java_home, new.path()).map_err(cannot)?;
        fs::rename(new.path(), &kit).map_err(cannot)?;
        drop(new.keep());
        Ok(kit)
    }
}

/// The jar that Maven is started from.
fn launcher(maven_home: &Path) -> Result<PathBuf, String> {
    let boot = maven_home.join("boot");
    let jars = fs::read_dir(&boot).into_iter().flatten().flatten();
    let mut jars: Vec<PathBuf> = jars
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("plexus-classworlds") && name.ends_with(".jar")
        })
        .collect();
    jars.sort();
    jars.pop()
        .ok_or_else(|| format!("{} has no plexus-classworlds", boot.display()))
}

async fn compile(java_home: &Path, launcher: &Path, to: &Path) -> Result<(), String> {
    for (name, text) in SOURCES {
        fs::write(to.join(name), text)
            .map_err(|error| format!("its worker cannot be kept: {error}"))?;
    }
    let mut command = Command::new(java_home.join("bin/javac"));
    command
        .env_clear()
        .env("LANG", "C.UTF-8")
        .args(["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"])
        .args(["-proc:none", "-nowarn", "-encoding", "UTF-8"])
        .arg("-cp")
        .arg(launcher)
        .arg("-d")
        .arg(to)
        .args(SOURCES.map(|(name, _)| to.join(name)));
    match process::output(command, &[], COMPILE_LIMIT).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said: Vec<&str> = output.err.lines().take(KEPT).map(str::trim).collect();
            Err(format!("its worker does not compile: {}", said.join(" | ")))
        }
        Err(error) => Err(format!("its worker cannot be compiled: {error}")),
    }
}

fn script(java_home: &Path, to: &Path) -> io::Result<()> {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let text = JAVA.replace("@JAVA_HOME@", &quoted(java_home));
    fs::write(to.join("empty.xml"), EMPTY)?;
    let bin = to.join("bin");
    fs::create_dir(&bin)?;
    fs::write(bin.join("java"), text)?;
    // The folder was private while it was made; a build in a user namespace is the same user.
    fs::set_permissions(bin.join("java"), fs::Permissions::from_mode(0o755))
}
