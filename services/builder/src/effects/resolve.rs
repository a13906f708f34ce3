//! Asks git what a push moved, or which commit a person means.
//!
//! In: a branch, its head, and what is wanted. Out: [`Found`], or a failure with its class. The forge
//! may tell of a commit before it serves it: that is looked for a few times in place.

use std::time::Duration;

use ferry_config::Config;
use ferry_events::{Reason, Stop};
use ferry_runtime::{Failure, Policy, retry};

use super::{BuilderEffects, git::GitError, mirror::Mirror};
use crate::decide::{
    address,
    head::{Found, HeadWork, Wanted},
    relate::Ancestry,
};

/// How a commit is looked for that the forge told of and does not serve yet: four times in about four
/// seconds. Longer would keep the branch's other pushes waiting for one that is gone.
const LOOKS: Policy = Policy {
    tries: 4,
    time: Duration::from_secs(20),
    first: Duration::from_millis(600),
    longest: Duration::from_secs(5),
};
/// Bytes of what a person may name a commit by.
const NAME_MAX: usize = 256;

/// Why a look did not do.
enum Miss {
    Git(GitError),
    /// Nobody has a commit of that name; why.
    NotThere(&'static str),
}

impl Miss {
    fn git(&self) -> Option<&GitError> {
        match self {
            Self::Git(error) => Some(error),
            Self::NotThere(_) => None,
        }
    }
}

impl From<GitError> for Miss {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

fn not_found(name: &str, why: &str) -> Failure {
    let name: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    Stop::new(Reason::CommitNotFound, format!("{name}: {why}")).into()
}

/// Finds out.
pub(super) async fn resolve(
    effects: &BuilderEffects,
    work: &HeadWork,
    config: &Config,
) -> Result<Found, Failure> {
    let name = work.repository.as_str();
    let repository = config
        .repositories
        .get(name)
        .ok_or_else(|| Stop::new(Reason::UnknownRepository, name))?;
    let mirror = Mirror::open(effects, name, repository, &config.builder).await?;
    let name = match &work.wanted {
        Wanted::Pushed(_) if !address::is_branch(&work.branch) => {
            return Err(not_found(&work.branch, "git takes this for no branch"));
        }
        Wanted::Pushed(after) | Wanted::Named(after) => after,
    };
    let found = mirror.mended(Miss::git, || async {
        match &work.wanted {
            Wanted::Pushed(after) => pushed(&mirror, work, after).await,
            Wanted::Named(text) => named(&mirror, text).await,
        }
    });
    found.await.map_err(|miss| match miss {
        Miss::Git(error) => error.failure(),
        Miss::NotThere(why) => not_found(name, why),
    })
}

async fn pushed(mirror: &Mirror, work: &HeadWork, after: &str) -> Result<Found, Miss> {
    if !address::is_object_id(after) {
        return Err(Miss::NotThere("this is no id of an object"));
    }
    if work.head.as_deref() == Some(after) {
        return Ok(bare(after, None));
    }
    let head = work.head.as_deref();
    let look = || async {
        let is_branch = mirror.fetch_branch(&work.branch).await?;
        let asked = tokio::try_join!(
            mirror.about(after),
            mirror.tip(&work.branch),
            mirror.differ(head, after),
        );
        let (about, tip, changed) = asked?;
        // One from before is none.
        let tip = tip.filter(|_| is_branch);
        if about.is_some() {
            return Ok((about, tip, changed));
        }
        if !is_branch {
            return Ok((None, None, None));
        }
        // A commit that was forced away is on no branch; whether it is served by its id is the forge's to say.
        if mirror.fetch_object(after).await.is_ok()
            && let Some(about) = mirror.about(after).await?
        {
            return Ok((Some(about), tip, None));
        }
        Err(Miss::NotThere("the repository does not have it"))
    };
    let passes = |miss: &Miss| matches!(miss, Miss::NotThere(_));
    let (about, tip, changed) = retry::patiently(LOOKS, after, passes, look).await?;
    let Some(about) = about else {
        return Ok(bare(after, None));
    };
    let commit = about.id;
    let changed = match changed {
        Some(changed) => changed,
        None => {
            // A head that is not here was forced away, or the mirror has holes: the answers would be others.
            if let Some(head) = head
                && mirror.peel(head).await?.is_none()
            {
                mirror.walk(&commit).await?;
            }
            mirror.changed(head, &commit).await?
        }
    };
    // Most pushes are one commit on top of the last: nothing is left to ask of git then.
    let on_top = head.is_some_and(|head| about.parents.iter().any(|parent| parent == head));
    let (head_before_after, after_before_head) = match on_top {
        true => (true, false),
        false => tokio::try_join!(
            mirror.leads(head, Some(&commit)),
            mirror.leads(Some(&commit), head),
        )?,
    };
    let after_in_tip = mirror.leads(Some(&commit), tip.as_deref()).await?;
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
        subject: about.subject,
        author: about.author,
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

async fn named(mirror: &Mirror, text: &str) -> Result<Found, Miss> {
    if text.is_empty() || text.len() > NAME_MAX || text.chars().any(char::is_control) {
        return Err(Miss::NotThere("this names no commit"));
    }
    mirror.fetch_all().await?;
    let commit = mirror.peel(text).await?;
    let gone = || Miss::NotThere("the repository has no such commit");
    let commit = commit.ok_or_else(gone)?;
    if !mirror.is_reachable(&commit).await? {
        return Err(Miss::NotThere("no branch and no tag leads to it"));
    }
    let about = mirror.about(&commit).await?.ok_or_else(gone)?;
    Ok(Found {
        subject: about.subject,
        author: about.author,
        ..bare(&commit, None)
    })
}
