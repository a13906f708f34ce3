//! What a delivery says happened to one ref: a push, or something to ignore.
//!
//! In: the fields that the forges' readers found. Out: [`Change`].

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, Utc};

use super::body::{self, Ref};
use super::{Forge, HookError};

/// What happened to one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A branch moved.
    Push(Box<Push>),
    /// Nothing to run.
    Ignored {
        /// The full ref, where the event has one.
        reference: Option<String>,
        /// Why there is nothing to run.
        why: Ignored,
    },
}

/// A branch that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Its name without `refs/heads/`.
    pub branch: String,
    /// Where it stood; nothing for a new branch.
    pub before: Option<String>,
    /// Where it stands: a commit id in lower case.
    pub after: String,
    /// Whether it was moved by force. Nothing where the forge does not tell: ask git.
    pub forced: Option<bool>,
    /// Who wrote the head commit; who pushed, where the commit is not listed.
    pub author: Author,
    /// The head commit's message, where it is listed.
    pub message: Option<String>,
    /// The changed paths, only where the list is complete for certain.
    pub paths: Option<BTreeSet<String>>,
    /// Whether the delivery lists every commit of the push.
    pub commits_listed_all: bool,
    /// The head commit's time, where it is listed.
    pub at: Option<DateTime<Utc>>,
}

impl Push {
    /// The full ref, `refs/heads/…`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

/// A name and an e-mail address, as the forge gives them; either may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// The forge tries the hook.
    Ping,
    /// A tag was pushed.
    Tag,
    /// A branch or tag was deleted.
    Deleted,
    /// The ref stands where it stood.
    Unchanged,
    /// The delivery lists no changes.
    Empty,
    /// A ref that is neither branch nor tag.
    OtherRef,
    /// An event that is no push.
    OtherEvent {
        /// Its name in the forge's words.
        event: String,
    },
    /// No module of the repository watches the branch.
    BranchNotWatched {
        /// The branch.
        branch: String,
    },
    /// No module of the repository watches any changed path.
    PathsNotWatched,
    /// The head commit's message asks to be skipped.
    SkipAsked {
        /// The words that were found.
        marker: &'static str,
    },
    /// The repository is known, but no module is built from it.
    NoModule,
}

impl Ignored {
    /// A short name that does not change, for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Tag => "tag",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
            Self::Empty => "empty",
            Self::OtherRef => "other-ref",
            Self::OtherEvent { .. } => "other-event",
            Self::BranchNotWatched { .. } => "branch-not-watched",
            Self::PathsNotWatched => "paths-not-watched",
            Self::SkipAsked { .. } => "skip-asked",
            Self::NoModule => "no-module",
        }
    }
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ping => f.write_str("a ping: the webhook is set up well; pushes will run"),
            Self::Tag => f.write_str("a tag: Ferry runs branches only"),
            Self::Deleted => f.write_str("a deletion: there is no commit to run"),
            Self::Unchanged => f.write_str("the branch stands where it stood: nothing to run"),
            Self::Empty => f.write_str("the delivery lists no changes: nothing to run"),
            Self::OtherRef => f.write_str("neither a branch nor a tag: Ferry runs branches only"),
            Self::OtherEvent { event } => {
                write!(
                    f,
                    "the event {event:?} is no push: this hook needs only push events"
                )
            }
            Self::BranchNotWatched { branch } => {
                write!(
                    f,
                    "no module of this repository watches the branch {branch}"
                )
            }
            Self::PathsNotWatched => {
                f.write_str("no module of this repository watches any of the changed paths")
            }
            Self::SkipAsked { marker } => {
                write!(f, "the head commit's message says {marker}")
            }
            Self::NoModule => f.write_str("no module is built from this repository"),
        }
    }
}

/// What every forge that names one ref a delivery tells of it.
pub(super) struct Moved<'a> {
    pub(super) reference: &'a str,
    pub(super) before: &'a str,
    pub(super) after: &'a str,
}

impl Change {
    /// An event to ignore that is about no ref.
    pub(super) fn ignored(why: Ignored) -> Vec<Self> {
        vec![Self::Ignored {
            reference: None,
            why,
        }]
    }

    /// An event that is no push. Its name is cut to what a sentence bears.
    pub(super) fn other_event(event: &str) -> Vec<Self> {
        let event = event.chars().filter(|c| !c.is_control()).take(80).collect();
        Self::ignored(Ignored::OtherEvent { event })
    }

    /// Sorts a moved ref: what is a push is completed by `rest`, which gets the
    /// push with branch, `before` and `after` set.
    pub(super) fn moved(
        forge: Forge,
        moved: &Moved<'_>,
        rest: impl FnOnce(Push) -> Push,
    ) -> Result<Self, HookError> {
        let ignored = |why| {
            Ok(Self::Ignored {
                reference: Some(moved.reference.to_owned()),
                why,
            })
        };
        let branch = match body::full_ref(forge, moved.reference)? {
            Ref::Tag => return ignored(Ignored::Tag),
            Ref::Other => return ignored(Ignored::OtherRef),
            Ref::Branch(branch) => branch,
        };
        let before = body::commit_id(forge, "before", moved.before)?;
        let after = body::commit_id(forge, "after", moved.after)?;
        if body::is_zero(&after) {
            return ignored(Ignored::Deleted);
        }
        if before == after {
            return ignored(Ignored::Unchanged);
        }
        Ok(Self::Push(Box::new(rest(Push {
            branch: branch.to_owned(),
            before: Some(before).filter(|id| !body::is_zero(id)),
            after,
            forced: None,
            author: Author::default(),
            message: None,
            paths: None,
            commits_listed_all: false,
            at: None,
        }))))
    }
}
