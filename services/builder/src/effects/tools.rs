//! Finds the tools of a build: Maven and a JDK.
//!
//! In: the environment and a module's settings. Out: real paths, or `tool-missing` with what to do.

use std::{
    env,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use ferry_events::{Reason, Stop};

/// The first executable file of that name on the `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Maven's launcher, its links followed: its home is two folders up.
///
/// # Errors
/// `tool-missing`.
pub fn maven() -> Result<PathBuf, Stop> {
    on_path("mvn")
        .and_then(|found| found.canonicalize().ok())
        .ok_or_else(|| {
            Stop::new(
                Reason::ToolMissing,
                "Maven (mvn) is not on the builder's PATH",
            )
        })
}

/// A program's home: `HOME/bin/mvn`.
pub fn home_of(program: &Path) -> PathBuf {
    program
        .parent()
        .and_then(Path::parent)
        .unwrap_or(program)
        .to_path_buf()
}

/// The `JAVA_HOME` of a build: the module's, else the builder's own, else that of `javac`.
///
/// # Errors
/// `tool-missing`, when there is no compiler.
pub fn java_home(configured: Option<&str>) -> Result<PathBuf, Stop> {
    let compiles = |home: &PathBuf| is_executable(&home.join("bin/javac"));
    if let Some(home) = configured {
        let home = PathBuf::from(home);
        let missing = || format!("{} has no bin/javac: see [builder.jdks]", home.display());
        return Some(home.clone())
            .filter(compiles)
            .ok_or_else(|| Stop::new(Reason::ToolMissing, missing()));
    }
    let of_javac = || {
        let javac = on_path("javac")?.canonicalize().ok()?;
        Some(javac.parent()?.parent()?.to_path_buf())
    };
    env::var_os("JAVA_HOME")
        .map(PathBuf::from)
        .filter(compiles)
        .or_else(of_javac)
        .ok_or_else(|| {
            Stop::new(
                Reason::ToolMissing,
                "there is no JDK: neither JAVA_HOME nor javac on the PATH",
            )
        })
}
