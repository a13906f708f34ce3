//! A deployment by Koupleless' own command, `arkctl deploy`: it builds by Maven, uninstalls and installs.
//!
//! In: the command where there is one, a clone, a base. Out: how long it took.
//!
//! Its flags, what it runs and what it says are read from the source of koupleless/arkctl (v1/cmd/deploy/deploy.go).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::figures::millis;
use super::hand;
use crate::git::Repository;
use crate::tools::{self, Jdk};

/// What it says last when all went well: it ends with 0 whatever came of it.
const WELL: &str = "install biz success!";

/// A person's clone, and the base that they deploy to by arkctl.
pub(super) struct Arkctl {
    program: PathBuf,
    clone: PathBuf,
    port: u16,
    /// Where the `mvn` is that it finds first.
    bin: PathBuf,
    jdk: Jdk,
}

impl Arkctl {
    /// The command; none: it is not on the PATH.
    pub(super) fn found() -> Option<PathBuf> {
        tools::on_path("arkctl")
    }

    /// Clones the repository. `port` is arklet's.
    pub(super) async fn new(
        program: PathBuf,
        repository: &Repository,
        dir: &Path,
        port: u16,
        (seed, jdk): (&Path, Jdk),
    ) -> Result<Self> {
        let arkctl = Self {
            program,
            clone: dir.join("clone-arkctl"),
            port,
            bin: dir.join("bin-arkctl"),
            jdk,
        };
        maven(&arkctl.bin, &tools::maven()?, seed)?;
        hand::clone(repository, &arkctl.clone).await?;
        Ok(arkctl)
    }

    /// Deploys what was pushed, and says what each command took, in milliseconds.
    pub(super) async fn deploy(&self) -> Result<Vec<(&'static str, f64)>> {
        let began = Instant::now();
        hand::pull(&self.clone).await?;
        let pulled = began.elapsed();
        let said = hand::run("arkctl", self.command()?, &self.clone).await?;
        let said = String::from_utf8_lossy(&said);
        if !said.contains(WELL) {
            bail!("arkctl did not deploy the module: {}", said.trim());
        }
        Ok(vec![
            ("git pull", millis(pulled)),
            ("arkctl deploy", millis(began.elapsed() - pulled)),
        ])
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        let before = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(self.bin.clone()).chain(std::env::split_paths(&before));
        let path: OsString = std::env::join_paths(path).context("the PATH")?;
        command
            .args(["deploy", "--port", &self.port.to_string()])
            .env("PATH", path)
            .env("JAVA_HOME", &self.jdk.home)
            .env_remove("MAVEN_OPTS");
        Ok(command)
    }
}

/// The `mvn` that arkctl finds: the machine's own, offline and with the artifacts that are here, as by hand; arkctl
/// passes no options on. It takes whatever Maven writes to standard error for a failure, and some builds of Maven write
/// an escape code there each time: so all of it goes to standard output.
fn maven(bin: &Path, mvn: &Path, seed: &Path) -> Result<()> {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let script = format!(
        "#!/bin/sh\nexec {} -o -Dmaven.repo.local={} \"$@\" 2>&1\n",
        quoted(mvn),
        quoted(seed)
    );
    let file = bin.join("mvn");
    fs::create_dir_all(bin)
        .and_then(|()| fs::write(&file, script))
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stand-in for arkctl, which tells how it was called and what `mvn` it finds; no deployment.
    fn stand_in(file: &Path, last: &str) {
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" \"$PWD\" \"$JAVA_HOME\" > \"$0.called\"\n\
             mvn clean package >> \"$0.called\" 2> \"$0.complained\"\necho '{last}'\n"
        );
        fs::write(file, script).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[tokio::test]
    async fn it_is_called_in_the_clone_and_believed_by_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let first = dir.path().join("first");
        fs::create_dir(&first).unwrap();
        fs::write(first.join("pom.xml"), "<project/>").unwrap();
        let (repository, _) = Repository::from_folder("hello", &first, dir.path())
            .await
            .unwrap();
        // A Maven that says what it was asked, and an escape code beside it.
        let mvn = dir.path().join("the mvn");
        fs::write(&mvn, "#!/bin/sh\necho \"mvn $*\"\nprintf '\\033[0m' >&2\n").unwrap();
        fs::set_permissions(&mvn, fs::Permissions::from_mode(0o755)).unwrap();
        let program = dir.path().join("arkctl");
        stand_in(&program, "INFO: install biz success!");
        let jdk = tools::jdk().unwrap();
        let home = jdk.home.display().to_string();
        let seed = (dir.path(), jdk);
        let arkctl = Arkctl::new(program.clone(), &repository, dir.path(), 1299, seed);
        let arkctl = arkctl.await.unwrap();
        maven(&arkctl.bin, &mvn, Path::new("/a seed")).unwrap();

        let push = repository.commit_file("a", "b", "Change it").await.unwrap();
        let steps = arkctl.deploy().await.unwrap();
        let names: Vec<_> = steps.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["git pull", "arkctl deploy"]);
        let read = |ending: &str| {
            let file = dir.path().join(format!("arkctl.{ending}"));
            fs::read_to_string(file).unwrap()
        };
        let called = format!(
            "deploy --port 1299\n{}\n{home}\nmvn -o -Dmaven.repo.local=/a seed clean package\n\u{1b}[0m",
            arkctl.clone.display()
        );
        assert_eq!(read("called"), called);
        assert_eq!(read("complained"), "");
        assert!(
            arkctl.clone.join("a").is_file(),
            "{} was pulled",
            push.after
        );

        // It ends with 0 all the same when nothing was installed.
        stand_in(&program, "ERROR: install biz failed");
        let error = arkctl.deploy().await.unwrap_err().to_string();
        assert!(error.contains("install biz failed"), "{error}");
    }
}
