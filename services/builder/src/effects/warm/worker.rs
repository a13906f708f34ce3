//! One worker: a JVM in a jail that runs Maven in the same folder again and again, for one module's folder of
//! one repository.
//!
//! In: a commit's files, moved into its folder. Out: how Maven ended there. Between two builds the folder is
//! emptied; only the folders on the way to where the JVM was started stay, because it stands in them.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::ExitStatusExt as _,
    },
    path::{Component, Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use ferry_config::Builder;
use tempfile::TempDir;
use tokio::{process::Command, time::Instant};

use super::super::{
    resident::{Bounds, Lost, Resident},
    run::{Ended, Lines, Said, over},
    sandbox::HOME,
    usage::Usage,
};

/// How long a JVM may take to start on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Bytes that are kept of what it writes while it starts.
const NOISE_MAX: usize = 4096;
/// How long it may take to put itself in order after a build.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// What a worker was started for. Another value is another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit(pub Vec<(&'static str, String)>);

impl Fit {
    /// What differs first.
    pub fn differs(&self, other: &Self) -> Option<&'static str> {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .filter(|(own, other)| own != other)
            .map(|((name, _), _)| *name)
            .next()
    }
}

/// How a build in a worker ended.
pub struct Outcome {
    /// By itself, or killed.
    pub ended: Ended,
    /// What it left running, so that the worker is no good any more.
    pub left: Vec<String>,
}

/// A folder for a worker, removed when dropped.
pub struct Folder {
    _folder: TempDir,
    /// Where its builds have their sources.
    pub sources: PathBuf,
    /// Its home where there is no sandbox.
    pub home: PathBuf,
    /// The folders from the sources to where the JVM stands, each with its inode.
    chain: Vec<(PathBuf, u64)>,
}

impl Folder {
    /// Makes one for a module's folder.
    ///
    /// # Errors
    /// When the disk is full, or the module's folder is not below the sources.
    pub fn new(root: &Path, path: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("worker-")
            .tempdir_in(root)?;
        let (sources, home) = (folder.path().join("src"), folder.path().join("home"));
        fs::create_dir(&home)?;
        let mut chain = Vec::new();
        let mut at = sources.clone();
        let names = Path::new(path)
            .components()
            .filter(|part| *part != Component::CurDir);
        for part in std::iter::once(None).chain(names.map(Some)) {
            match part {
                Some(Component::Normal(name)) => at.push(name),
                Some(_) => return Err(io::Error::other("the module's folder is a way out")),
                None => {}
            }
            fs::create_dir(&at)?;
            chain.push((at.clone(), fs::symlink_metadata(&at)?.ino()));
        }
        Ok(Self {
            _folder: folder,
            sources,
            home,
            chain,
        })
    }

    /// Removes all but the folders that the JVM stands in.
    ///
    /// # Errors
    /// When one of these is not what it was, or something cannot be removed.
    pub fn empty(&self) -> io::Result<()> {
        for (at, (folder, inode)) in self.chain.iter().enumerate() {
            let meta = fs::symlink_metadata(folder)?;
            if !meta.is_dir() || meta.ino() != *inode {
                return Err(io::Error::other("a build replaced its own folder"));
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
            let kept = self.chain.get(at + 1).map(|(next, _)| next);
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if Some(&entry.path()) == kept {
                    continue;
                }
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Moves a commit's files in.
    ///
    /// # Errors
    /// When the module's folder is no plain folder there.
    pub fn fill(&self, from: &Path) -> io::Result<()> {
        for (at, (folder, _)) in self.chain.iter().enumerate() {
            let below = folder.strip_prefix(&self.sources).unwrap_or(Path::new(""));
            let from = from.join(below);
            if !fs::symlink_metadata(&from)?.is_dir() {
                return Err(io::Error::other("the module's folder is no plain folder"));
            }
            let kept = self.chain.get(at + 1).map(|(next, _)| next);
            for entry in fs::read_dir(&from)? {
                let to = folder.join(entry?.file_name());
                if Some(&to) != kept {
                    let name = to.file_name().unwrap_or_default();
                    fs::rename(from.join(name), &to)?;
                }
            }
        }
        Ok(())
    }
}

/// A worker that waits for its next build.
pub struct Worker {
    // Before the folder, so that it has ended when that is removed.
    jvm: Resident,
    /// Its folder.
    pub folder: Folder,
    /// What it was started for.
    pub fit: Fit,
    /// Builds that it has run.
    pub builds: u32,
    processes: u64,
}

impl Worker {
    /// Starts one: the command is Maven's, with a kit in the place of its JDK.
    ///
    /// # Errors
    /// Why it did not start, in one line.
    pub async fn start(
        command: Command,
        open: bool,
        (folder, fit): (Folder, Fit),
        builder: &Builder,
        deadline: Instant,
    ) -> Result<Self, String> {
        // What it writes before it has started is about no build.
        let mut noise = Vec::new();
        let started = Self::try_start(command, open, (folder, fit), builder, deadline, &mut noise);
        started.await.map_err(|lost| {
            let noise = String::from_utf8_lossy(&noise);
            match noise
                .lines()
                .find(|line| line.contains(char::is_alphabetic))
            {
                Some(line) => format!("{lost}: {}", line.trim()),
                None => lost.to_string(),
            }
        })
    }

    async fn try_start(
        command: Command,
        open: bool,
        (folder, fit): (Folder, Fit),
        builder: &Builder,
        deadline: Instant,
        noise: &mut Vec<u8>,
    ) -> Result<Self, Lost> {
        let mut jvm = Resident::start(command)?;
        // What a sandbox has anew for each build, and a JVM that stays does not: some of it is emptied
        // after each, and a worker whose build wrote anywhere else is replaced.
        let clean = if open {
            format!("start\n- {}", folder.home.display())
        } else {
            format!("start\n- /tmp\n- {HOME}\n- /dev/shm\n= /\n= /etc\n= /ferry")
        };
        let over = |usage| over(usage, builder);
        let bounds = Bounds {
            deadline: deadline.min(Instant::now() + START_LIMIT),
            over: &over,
        };
        let mut noise = |bytes: &[u8]| {
            let room = NOISE_MAX.saturating_sub(noise.len());
            noise.extend_from_slice(&bytes[..bytes.len().min(room)]);
        };
        let up = jvm.hear(&bounds, &mut noise).await?;
        let ready = jvm.ask(clean.as_bytes(), &bounds, &mut noise).await?;
        if (up.as_slice(), ready.as_slice()) != (b"up", b"ready") {
            jvm.end().await;
            return Err(Lost::Garbled);
        }
        let processes = jvm.usage().processes;
        Ok(Self {
            jvm,
            folder,
            fit,
            builds: 0,
            processes,
        })
    }

    /// Whether it can run another build.
    pub fn is_well(&mut self) -> bool {
        self.jvm.is_well()
    }

    /// What it uses now.
    pub fn usage(&self) -> Usage {
        self.jvm.usage()
    }

    /// Runs Maven once.
    ///
    /// # Errors
    /// Why there is no outcome, in words: the JVM is gone, or used too much, or how Maven ended says nothing about
    /// the commit. It is ended then.
    pub async fn build(
        &mut self,
        builder: &Builder,
        deadline: Instant,
        said: &mut Said,
    ) -> Result<Outcome, String> {
        let lost = |lost: Lost| format!("its worker was lost: {lost}");
        self.builds += 1;
        let over = |usage| over(usage, builder);
        let bounds = Bounds {
            deadline,
            over: &over,
        };
        let reply = match heard(&mut self.jvm, "build", &bounds, said).await {
            Err(Lost::Late) => {
                let (ended, left) = (Ended::Late, Vec::new());
                return Ok(Outcome { ended, left });
            }
            other => other.map_err(lost)?,
        };
        let mut lines = reply.lines();
        let first = lines.next().unwrap_or_default();
        if let Some(doubt) = first.strip_prefix("doubt ") {
            self.end().await;
            return Err(doubt.to_owned());
        }
        let code: i32 = first
            .strip_prefix("exit ")
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| lost(Lost::Garbled))?;
        let mut left: Vec<String> = lines.map(str::to_owned).collect();
        if self.usage().processes > self.processes {
            left.push("a process".to_owned());
        }
        // As a shell would tell it: the exit code is the second byte.
        let ended = Ended::Exit(ExitStatus::from_raw((code & 0xff) << 8));
        Ok(Outcome { ended, left })
    }

    /// Makes it ready for another build: empties its folder and what else a build wrote, and puts the JVM
    /// in order.
    ///
    /// # Errors
    /// Why it is no good any more.
    pub async fn rest(&mut self, builder: &Builder) -> Result<(), String> {
        let over = |_| None;
        let bounds = Bounds {
            deadline: Instant::now() + REST_LIMIT,
            over: &over,
        };
        let rested = self.jvm.ask(b"rest", &bounds, &mut |_| {}).await;
        let reply = rested.map_err(|lost| lost.to_string())?;
        let reply = String::from_utf8_lossy(&reply).into_owned();
        let left = reply.strip_prefix("rested").unwrap_or("\nno order").trim();
        if !left.is_empty() {
            return Err(format!("a build left {}", left.replace('\n', ", ")));
        }
        self.folder.empty().map_err(|error| error.to_string())?;
        let (used, most) = (self.usage().memory, builder.warm_memory);
        if used > most {
            let (used, most) = (used >> 20, most >> 20);
            return Err(format!(
                "it keeps {used} MiB; [builder] warm_memory is {most} MiB"
            ));
        }
        if self.builds >= builder.warm_builds {
            return Err(format!("it has run {} builds", self.builds));
        }
        Ok(())
    }

    /// Ends it with all its children.
    pub async fn end(&mut self) {
        self.jvm.end().await;
    }
}

/// Asks, with what Maven writes going to the log line by line.
async fn heard(
    jvm: &mut Resident,
    request: &str,
    bounds: &Bounds<'_>,
    said: &mut Said,
) -> Result<String, Lost> {
    let mut lines = Lines::default();
    let reply = jvm
        .ask(request.as_bytes(), bounds, &mut |bytes| {
            lines.take(bytes, said);
        })
        .await;
    lines.end(said);
    String::from_utf8(reply?).map_err(|_| Lost::Garbled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, names: &[&str]) {
        for name in names {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, name).unwrap();
        }
    }

    #[test]
    fn a_folder_is_filled_and_emptied_around_where_the_jvm_stands() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::new(root.path(), "./shops/cart").unwrap();
        let stands = folder.sources.join("shops/cart");
        let inode = fs::metadata(&stands).unwrap().ino();
        for _ in 0..2 {
            let commit = tempfile::tempdir_in(root.path()).unwrap();
            let names = [
                "pom.xml",
                "shops/pom.xml",
                "shops/cart/pom.xml",
                "shops/a/b",
            ];
            files(commit.path(), &names);
            folder.fill(commit.path()).unwrap();
            for name in names {
                assert_eq!(fs::read_to_string(folder.sources.join(name)).unwrap(), name);
            }
            files(
                &folder.sources,
                &["target/x", "shops/cart/target/classes/A"],
            );
            folder.empty().unwrap();
            assert_eq!(fs::metadata(&stands).unwrap().ino(), inode);
            let shops = folder.sources.join("shops");
            for (folder, left) in [(&folder.sources, 1), (&shops, 1), (&stands, 0)] {
                assert_eq!(fs::read_dir(folder).unwrap().count(), left);
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_what_it_was_is_no_good() {
        let root = tempfile::tempdir().unwrap();
        assert!(Folder::new(root.path(), "../elsewhere").is_err());
        let folder = Folder::new(root.path(), "cart").unwrap();
        let (cart, away) = (folder.sources.join("cart"), folder.sources.join("away"));
        // The JVM's own folder keeps its inode as long as the JVM stands in it.
        fs::rename(&cart, &away).unwrap();
        fs::create_dir(&cart).unwrap();
        assert!(folder.empty().is_err());

        let folder = Folder::new(root.path(), "cart").unwrap();
        let commit = tempfile::tempdir_in(root.path()).unwrap();
        std::os::unix::fs::symlink("/etc", commit.path().join("cart")).unwrap();
        assert!(folder.fill(commit.path()).is_err());
        assert!(folder.fill(&commit.path().join("missing")).is_err());
    }

    #[test]
    fn what_differs_has_a_name() {
        let fit = |poms: &str, jdk: &str| {
            Fit(vec![
                ("the poms", poms.to_owned()),
                ("the JDK", jdk.to_owned()),
            ])
        };
        assert_eq!(fit("a", "17").differs(&fit("a", "17")), None);
        assert_eq!(fit("a", "17").differs(&fit("b", "21")), Some("the poms"));
        assert_eq!(fit("a", "17").differs(&fit("a", "21")), Some("the JDK"));
    }
}
