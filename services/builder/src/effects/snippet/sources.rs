//! A snippet's Java files, from git and nowhere else: a link in a repository leads nowhere.
//!
//! In: a commit, a module's folder. Out: the files' names and text within `[builder.snippets]`, and the mirror that
//! they are of; or why not. Two gits are run, whatever the number of files: one that lists, one that reads.

use std::path::Path;

use ferry_config::{Config, Snippets};
use ferry_events::{Reason, SourceError, Stop};
use ferry_runtime::Failure;

use super::frames::Source;
use crate::{
    decide::build::BuildWork,
    effects::{BuilderEffects, build, files::Listed, git::GitError, mirror::Mirror},
};

/// Why there are no sources.
enum Unread {
    /// Git failed, or its mirror is damaged.
    Git(GitError),
    /// They are not taken.
    Stop(Stop),
}

impl From<GitError> for Unread {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

impl From<Stop> for Unread {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl Unread {
    fn git(&self) -> Option<&GitError> {
        match self {
            Self::Git(error) => Some(error),
            Self::Stop(_) => None,
        }
    }

    fn failure(self) -> Failure {
        match self {
            Self::Git(error) => error.failure(),
            Self::Stop(stop) => stop.into(),
        }
    }
}

/// Reads them. A mirror that cannot be read is fetched again.
pub async fn read(
    effects: &BuilderEffects,
    work: &BuildWork,
    config: &Config,
) -> Result<(Mirror, Vec<Source>), Failure> {
    let limits = &config.builder.snippets;
    let mirror = build::mirror_of(effects, work, config).await?;
    let sources = mirror.mended(Unread::git, || async {
        build::found(mirror.have(&work.commit).await?, work)?;
        let files = listed(&mirror, work, limits).await?;
        texts(&mirror, files).await
    });
    let sources = sources.await.map_err(Unread::failure)?;
    Ok((mirror, sources))
}

/// Which they are, when they are within the limits.
async fn listed(
    mirror: &Mirror,
    work: &BuildWork,
    limits: &Snippets,
) -> Result<Vec<Listed>, Unread> {
    let folder = &work.settings.path;
    let mut files = mirror.files(&work.commit, folder).await?;
    files.retain(|file| {
        let kind = Path::new(&file.path).extension();
        kind.is_some_and(|kind| kind == "java")
    });
    if files.is_empty() {
        return Err(Stop::new(Reason::NoSources, format!("nothing below {folder:?}")).into());
    }
    let (count, size) = (files.len(), files.iter().map(|file| file.size).sum::<u64>());
    let too_large = |detail: String| Err(Stop::new(Reason::SnippetTooLarge, detail).into());
    if count > limits.files as usize {
        let most = limits.files;
        return too_large(format!(
            "it has {count} Java files; [builder.snippets] files is {most}"
        ));
    }
    if size > limits.size {
        let most = limits.size;
        return too_large(format!(
            "its Java files have {size} bytes; [builder.snippets] size is {most}"
        ));
    }
    Ok(files)
}

async fn texts(mirror: &Mirror, files: Vec<Listed>) -> Result<Vec<Source>, Unread> {
    let bytes = mirror.bytes(&files).await?;
    let (mut sources, mut wrong) = (Vec::new(), Vec::new());
    for (Listed { path, .. }, bytes) in files.into_iter().zip(bytes) {
        match String::from_utf8(bytes) {
            Ok(text) => sources.push(Source { path, text }),
            Err(_) => wrong.push(SourceError::new(path, (0, 0), "it is not UTF-8")),
        }
    }
    match wrong.is_empty() {
        true => Ok(sources),
        false => Err(Stop::of_sources(Reason::DoesNotCompile, wrong).into()),
    }
}
