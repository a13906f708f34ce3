//! A module's own `.ferry.toml` at the commit that is built.
//!
//! In: the mirror, the commit, the configuration that bounds it. Out: what it sets, or why it is not taken.
//! It is read from git, not from the folder: a link in a repository leads nowhere.

use std::path::Path;
use std::time::Duration;

use ferry_config::{
    Config, MODULE_FILE, MODULE_FILE_MAX, ModuleFile, ModuleFileError, Versions, keys_in_words,
    module_file,
};
use ferry_events::{
    Reason, Stop,
    artifact::{Own, Slim},
    verify::Probe,
};
use ferry_runtime::Failure;

use super::{files::Blob, git::GitError, mirror::Mirror, run::Said};
use crate::decide::build::BuildWork;

/// The file's path below the repository's root, by its module's folder.
pub(super) fn path(folder: &str) -> String {
    let folder = folder.trim_end_matches('/');
    match folder.strip_prefix("./").unwrap_or(folder) {
        "" | "." => MODULE_FILE.to_owned(),
        folder => format!("{folder}/{MODULE_FILE}"),
    }
}

/// Reads it; none: the module has none.
pub(super) async fn read(
    mirror: &Mirror,
    work: &BuildWork,
    config: &Config,
) -> Result<Option<ModuleFile>, Failure> {
    let path = path(&work.settings.path);
    let invalid = |why: String| Stop::new(Reason::ModuleFileInvalid, format!("{path}: {why}"));
    let read = mirror
        .blob(&work.commit, &path, MODULE_FILE_MAX as u64)
        .await;
    let bytes = match read.map_err(|error: GitError| error.failure())? {
        Blob::None => return Ok(None),
        Blob::TooLarge(size) => {
            let why = format!("it has {size} bytes, and {MODULE_FILE_MAX} are the most");
            return Err(invalid(why).into());
        }
        Blob::NoFile => return Err(invalid("it is no plain file".to_owned()).into()),
        Blob::Bytes(bytes) => bytes,
    };
    let text = String::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
    let read = module_file(Path::new(&path), &text, Some((config, &work.module)));
    read.map(Some).map_err(|error| {
        let reason = match &error {
            ModuleFileError::Invalid(_) => Reason::ModuleFileInvalid,
            ModuleFileError::Refused(_) => Reason::ModuleFileRefused,
        };
        Stop::new(reason, error.to_string()).into()
    })
}

/// The build as the module's file has it, and how long it may take.
pub(super) fn put_in(
    work: &BuildWork,
    own: Option<&ModuleFile>,
    config: &Config,
) -> (BuildWork, Duration) {
    let mut work = work.clone();
    let most = config.builder.timeout;
    let Some(own) = own else {
        return (work, most);
    };
    let settings = &mut work.settings;
    if let Some(goals) = &own.goals {
        settings.goals.clone_from(goals);
    }
    if let Some(jar) = &own.jar {
        settings.jar.clone_from(jar);
    }
    if let Some(home) = own
        .jdk
        .as_ref()
        .and_then(|jdk| config.builder.jdks.get(jdk))
    {
        settings.jdk = Some(home.display().to_string());
    }
    (work, own.timeout.map_or(most, |timeout| timeout.min(most)))
}

/// Says in the log what it sets.
pub(super) fn note(said: &mut Said, own: Option<&ModuleFile>, work: &BuildWork) {
    if let Some(own) = own {
        let (path, keys) = (path(&work.settings.path), keys_in_words(&own.keys()));
        said.note(&format!("{path} sets {keys}"));
    }
}

/// What of it goes with the artifact.
pub(super) fn carried(own: &ModuleFile) -> Own {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Own {
        keys: own.keys().iter().map(|key| key.name().to_owned()).collect(),
        soak_ms: own.soak.map(millis),
        slim: own.slim.as_ref().map(|slim| Slim {
            compatible: slim.versions == Versions::Compatible,
            shake: slim.shake,
        }),
        probe: own.probe.as_ref().map(|probe| Probe {
            path: probe.path.clone(),
            status: probe.status,
            contains: probe.contains.clone(),
            timeout_ms: millis(probe.timeout),
            deadline_ms: millis(probe.deadline),
            interval_ms: millis(probe.interval),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn the_file_stands_in_the_modules_folder() {
        assert_eq!(path("."), ".ferry.toml");
        assert_eq!(path("./"), ".ferry.toml");
        assert_eq!(path("cart"), "cart/.ferry.toml");
        assert_eq!(path("./shops/cart/"), "shops/cart/.ferry.toml");
    }
}
