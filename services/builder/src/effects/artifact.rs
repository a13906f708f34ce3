//! The jar that a build made: found, checked, named by its bytes.
//!
//! In: the sources after a build, which wrote whatever it liked there: no link is followed. Out: the
//! jar with its digest and what its manifest says.

use std::{
    error::Error,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use ferry_config::glob;
use ferry_events::{Digest, Reason, Stop, artifact::Biz};
use ferry_slim::Kind;
use sha2::{Digest as _, Sha256};

use crate::decide::build::Built;

/// Names that a message lists.
const NAMED: usize = 8;
/// Folders below each other that are looked into: deeper is a loop of somebody's making.
const DEPTH: usize = 64;

/// Finds the one jar below `sources/path` that the glob matches.
///
/// # Errors
/// `no-ark-biz`, with what is there instead.
pub fn find(sources: &Path, path: &str, pattern: &str) -> Result<PathBuf, Stop> {
    let no_jar = |detail: String| Stop::new(Reason::NoArkBiz, detail);
    let unreadable = |error: io::Error| {
        Stop::new(
            Reason::BuildFailed,
            format!("the module's folder {path:?}: {error}"),
        )
    };
    let root = sources.canonicalize().map_err(unreadable)?;
    let folder = sources.join(path).canonicalize().map_err(unreadable)?;
    if !folder.starts_with(&root) {
        return Err(no_jar(format!(
            "the module's folder {path:?} is a link out of the repository"
        )));
    }
    let wanted =
        glob(pattern).map_err(|error| no_jar(format!("{pattern:?} is no glob: {error}")))?;
    let mut files = Vec::new();
    list(&folder, Path::new(""), DEPTH, &mut files).map_err(unreadable)?;
    let mut found: Vec<&PathBuf> = files.iter().filter(|file| wanted.is_match(file)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(jar), true) => Ok(folder.join(jar)),
        (Some(last), false) => {
            found.push(last);
            Err(no_jar(format!(
                "{pattern:?} matches more than one file: {}",
                names(&found)
            )))
        }
        (None, _) => {
            let jars: Vec<&PathBuf> = files
                .iter()
                .filter(|file| file.extension().is_some_and(|kind| kind == "jar"))
                .collect();
            let there = if jars.is_empty() {
                "the build made no jar".into()
            } else {
                format!("there is {}", names(&jars))
            };
            Err(no_jar(format!(
                "nothing matches {pattern:?} below {path:?}: {there}"
            )))
        }
    }
}

fn names(files: &[&PathBuf]) -> String {
    let mut names: Vec<String> = files
        .iter()
        .take(NAMED)
        .map(|file| file.display().to_string())
        .collect();
    if files.len() > NAMED {
        names.push(format!("and {} more", files.len() - NAMED));
    }
    names.join(", ")
}

/// Regular files below a folder, sorted; links are left out.
fn list(folder: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (kind, name) = (entry.file_type()?, below.join(entry.file_name()));
        if kind.is_file() {
            files.push(name);
        } else if kind.is_dir() && depth > 0 {
            list(&entry.path(), &name, depth - 1, files)?;
        }
    }
    Ok(())
}

/// What a jar has to be.
#[derive(Clone, Copy, Debug)]
pub enum Made<'a> {
    /// A module's.
    Module,
    /// That of a base of this name.
    Base(&'a str),
}

/// Reads a jar: its size, its manifest, its digest.
///
/// # Errors
/// `too-large`, `not-a-biz`, `not-a-base`, and those of a jar that is refused.
pub fn inspect(jar: &Path, limit: u64, made: Made<'_>) -> Result<Built, Stop> {
    let unreadable = |error: io::Error| {
        Stop::new(
            Reason::BuildFailed,
            format!("the jar cannot be read: {error}"),
        )
    };
    let size = fs::symlink_metadata(jar).map_err(unreadable)?.len();
    if size > limit {
        let detail = format!("the jar has {size} bytes; [builder] artifact_limit is {limit}");
        return Err(Stop::new(Reason::TooLarge, detail));
    }
    let identity = match made {
        Made::Module => ferry_slim::inspect(jar).map(|biz| Biz {
            name: biz.name,
            version: biz.version,
            web_context_path: biz.web_context_path,
        }),
        // Its manifest names no biz.
        Made::Base(name) => ferry_slim::base_version(jar).map(|version| Biz {
            name: name.to_owned(),
            version: version.unwrap_or_else(|| "unknown".to_owned()),
            web_context_path: None,
        }),
    };
    let biz = identity.map_err(|error| {
        let reason = match error.kind() {
            Kind::Io => Reason::BuildFailed,
            Kind::Profile => Reason::NotABase,
            kind => kind.reason().unwrap_or(Reason::JarRefused),
        };
        Stop::new(reason, chain(&error))
    })?;
    let mut hasher = Sha256::new();
    let size = File::open(jar)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(unreadable)?;
    Ok(Built {
        own: None,
        rules: Vec::new(),
        digest: Digest::from_hash(hasher.finalize().into()),
        size,
        biz,
    })
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "x").unwrap();
        }
        folder
    }

    #[test]
    fn exactly_one_jar_has_to_match() {
        let glob = "target/*-ark-biz.jar";
        let one = sources(&[
            "m/target/a-ark-biz.jar",
            "m/target/a.jar",
            "target/b-ark-biz.jar",
        ]);
        let root = one.path().canonicalize().unwrap();
        assert_eq!(
            find(one.path(), "m", glob).unwrap(),
            root.join("m/target/a-ark-biz.jar")
        );
        assert_eq!(
            find(one.path(), ".", glob).unwrap(),
            root.join("target/b-ark-biz.jar")
        );
        let none = find(sources(&["target/a.jar", "target/b.txt"]).path(), ".", glob).unwrap_err();
        assert_eq!(none.reason, Reason::NoArkBiz);
        assert!(none.detail.contains("there is target/a.jar"), "{none}");
        let two = find(
            sources(&["target/a-ark-biz.jar", "target/b-ark-biz.jar"]).path(),
            ".",
            glob,
        )
        .unwrap_err();
        assert!(two.detail.contains("more than one"), "{two}");
    }

    #[test]
    fn links_lead_nowhere() {
        let secret = sources(&["secret-ark-biz.jar"]);
        let folder = sources(&["a.txt"]);
        std::os::unix::fs::symlink(secret.path(), folder.path().join("target")).unwrap();
        assert_eq!(
            find(folder.path(), ".", "target/*-ark-biz.jar")
                .unwrap_err()
                .reason,
            Reason::NoArkBiz
        );
        fs::remove_file(folder.path().join("target")).unwrap();
        fs::create_dir(folder.path().join("target")).unwrap();
        let link = folder.path().join("target/x-ark-biz.jar");
        std::os::unix::fs::symlink(secret.path().join("secret-ark-biz.jar"), link).unwrap();
        assert_eq!(
            find(folder.path(), ".", "target/*-ark-biz.jar")
                .unwrap_err()
                .reason,
            Reason::NoArkBiz
        );
        std::os::unix::fs::symlink(secret.path(), folder.path().join("m")).unwrap();
        let stop = find(folder.path(), "m", "*.jar").unwrap_err();
        assert!(stop.detail.contains("out of the repository"), "{stop}");
    }

    #[test]
    fn what_is_no_biz_is_told_apart() {
        let folder = sources(&["a.jar"]);
        let inspect = |limit| inspect(&folder.path().join("a.jar"), limit, Made::Module);
        let stop = inspect(100).unwrap_err();
        assert_eq!(stop.reason, Reason::JarRefused, "{stop}");
        assert_eq!(inspect(0).unwrap_err().reason, Reason::TooLarge);
    }
}
