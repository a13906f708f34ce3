//! Asks git what a push moved, or which commit a person means.
//!
//! In: a branch, its head, and what is wanted. Out: [`Found`]. The forge may tell of a commit before
//! it serves it, and networks fail for moments: both are tried again, a bounded number of times.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, future::retry};
use ferry_config::Config;
use ferry_events::{Reason, Stop};

use super::{BuilderEffects, git::GitError, mirror::Mirror};
use crate::decide::{
    address,
    head::{Found, HeadWork, Wanted},
    relate::Ancestry,
};

/// How long a fetch that fails is tried again: a forge's restart of a worker, not of a machine.
const RETRY_FOR: Duration = Duration::from_secs(20);
/// Fetches until a commit that the forge told of has to be there: about four seconds.
const LOOKS: u32 = 4;
/// Bytes of what a person may name a commit by.
const NAME_MAX: usize = 256;

fn patience() -> ExponentialBackoff {
    ExponentialBackoffBuilder::new()
        .with_initial_interval(Duration::from_millis(300))
        .with_multiplier(2.0)
        .with_max_interval(Duration::from_secs(5))
        .with_max_elapsed_time(Some(RETRY_FOR))
        .build()
}

/// Why a try did not do.
enum Miss {
    Git(GitError),
    NotThere,
}

impl Miss {
    fn stop(&self, name: &str) -> Stop {
        match self {
            Self::Git(error) => error.stop(),
            Self::NotThere => not_found(name, "the repository does not have it"),
        }
    }
}

fn again(error: GitError) -> backoff::Error<Miss> {
    if error.is_transient() {
        backoff::Error::transient(Miss::Git(error))
    } else {
        backoff::Error::permanent(Miss::Git(error))
    }
}

fn last(error: GitError) -> backoff::Error<Miss> {
    backoff::Error::permanent(Miss::Git(error))
}

fn not_found(name: &str, why: &str) -> Stop {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    Stop::new(Reason::CommitNotFound, format!("{name}: {why}"))
}

/// Finds out.
pub(super) async fn resolve(
    effects: &BuilderEffects,
    work: &HeadWork,
    config: &Config,
) -> Result<Found, Stop> {
    let name = work.repository.as_str();
    let repository = config
        .repositories
        .get(name)
        .ok_or_else(|| Stop::new(Reason::UnknownRepository, name))?;
    let mirror = Mirror::open(effects, name, repository, &config.builder).await?;
    match &work.wanted {
        Wanted::Pushed(after) => pushed(&mirror, work, after).await,
        Wanted::Named(text) => named(&mirror, text).await,
    }
}

async fn pushed(mirror: &Mirror, work: &HeadWork, after: &str) -> Result<Found, Stop> {
    if !address::is_branch(&work.branch) {
        return Err(not_found(&work.branch, "git takes this for no branch"));
    }
    if !address::is_object_id(after) {
        return Err(not_found(after, "this is no id of an object"));
    }
    if work.head.as_deref() == Some(after) {
        return Ok(bare(after, None));
    }
    let looks = AtomicU32::new(0);
    let look = || async {
        let look = looks.fetch_add(1, Ordering::Relaxed) + 1;
        let tip = mirror.fetch_branch(&work.branch).await.map_err(again)?;
        if let Some(commit) = mirror.peel(after).await.map_err(last)? {
            return Ok((Some(commit), tip));
        }
        if tip.is_none() {
            return Ok((None, None));
        }
        // A commit that was forced away is on no branch; whether it is served by its id is the forge's to say.
        if mirror.fetch_object(after).await.is_ok()
            && let Some(commit) = mirror.peel(after).await.map_err(last)?
        {
            return Ok((Some(commit), tip));
        }
        Err(if look < LOOKS {
            backoff::Error::transient(Miss::NotThere)
        } else {
            backoff::Error::permanent(Miss::NotThere)
        })
    };
    let (commit, tip) = retry(patience(), look)
        .await
        .map_err(|miss| miss.stop(after))?;
    let Some(commit) = commit else {
        return Ok(bare(after, None));
    };
    let head = work.head.as_deref();
    let asked = async {
        tokio::try_join!(
            mirror.leads(head, Some(&commit)),
            mirror.leads(Some(&commit), head),
            mirror.leads(Some(&commit), tip.as_deref()),
            mirror.changed(head, &commit),
            mirror.about(&commit),
        )
    };
    let (head_before_after, after_before_head, after_in_tip, changed, (subject, author)) =
        asked.await.map_err(|error| error.stop())?;
    let ancestry = Ancestry {
        after: commit,
        tip,
        head_before_after,
        after_before_head,
        after_in_tip,
    };
    Ok(Found {
        ancestry,
        changed,
        subject,
        author,
    })
}

/// What is known without the commit itself.
fn bare(after: &str, tip: Option<String>) -> Found {
    let ancestry = Ancestry {
        after: after.to_owned(),
        tip,
        head_before_after: false,
        after_before_head: false,
        after_in_tip: false,
    };
    Found {
        ancestry,
        changed: Vec::new(),
        subject: String::new(),
        author: String::new(),
    }
}

async fn named(mirror: &Mirror, text: &str) -> Result<Found, Stop> {
    if text.is_empty() || text.len() > NAME_MAX || text.chars().any(char::is_control) {
        return Err(not_found(text, "this names no commit"));
    }
    let fetch = || async { mirror.fetch_all().await.map_err(again) };
    retry(patience(), fetch)
        .await
        .map_err(|miss| miss.stop(text))?;
    let git = |error: GitError| error.stop();
    let commit = mirror.peel(text).await.map_err(git)?;
    let commit = commit.ok_or_else(|| not_found(text, "the repository has no such commit"))?;
    if !mirror.is_reachable(&commit).await.map_err(git)? {
        return Err(not_found(text, "no branch and no tag leads to it"));
    }
    let (subject, author) = mirror.about(&commit).await.map_err(git)?;
    let mut found = bare(&commit, None);
    (found.subject, found.author) = (subject, author);
    Ok(found)
}
