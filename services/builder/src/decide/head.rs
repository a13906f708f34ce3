//! A branch's head record: which commit it is at, what waits for git, and what was settled last.
//!
//! In: nothing. Out: the record, and what is to be asked of git next: one ask at a time, in order.

use std::collections::{BTreeMap, VecDeque};

use ferry_config::Config;
use ferry_events::{
    Command, CommandId, PushId, RunId, Scope, Timestamp, Verb,
    joint::Joint,
    push::{Resolution, Resolved, RunOf},
};
use ferry_runtime::Concern;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::relate::Ancestry;

/// Settled pushes that are remembered, to spare work: beyond these git gives the same answer again.
const SETTLED_PUSHES: usize = 64;
/// Settled commands that are remembered. Beyond these `settled_until` stands for them: a command
/// asked at or before that time is refused as too old, because it may have been settled already.
/// Commands take seconds and are asked by people: 256 of one branch are weeks.
const SETTLED_COMMANDS: usize = 256;
/// Bytes of a message or name that are kept: a line on a screen.
pub(super) const TEXT_MAX: usize = 200;
/// The branch of a repository that names none without a wildcard.
const DEFAULT_BRANCH: &str = "main";

/// A branch's head record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// Counts the heads and the commands of the branch: the `order` of their runs.
    pub sequence: u64,
    /// Where the branch is; none before its first push.
    pub present: Option<Present>,
    /// Runs of the present head that are still to be told; nothing is asked of git before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telling: Option<Telling>,
    /// What waits for git; the first is being worked on.
    pub asks: VecDeque<Ask>,
    /// Pushes that were resolved last.
    pub pushes: VecDeque<PushId>,
    /// Commands that were settled last, with the time at which they were asked.
    pub commands: BTreeMap<CommandId, Timestamp>,
    /// Commands asked until then may be settled and forgotten.
    pub settled_until: Option<Timestamp>,
}

/// The present head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// The commit.
    pub commit: String,
    /// Its sequence, from which the ids of its runs derive.
    pub sequence: u64,
    /// The modules that it touched.
    pub modules: Vec<String>,
}

/// What is to be told of the runs of a push that touched more modules than one write holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Telling {
    /// The push.
    pub push: PushId,
    /// How many of the present head's modules were told.
    pub told: usize,
    /// Who wrote the change.
    pub author: String,
    /// The commit's first line.
    pub message: String,
    /// The releases of several modules that begin with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joints: Vec<Joint>,
}

/// Something that git has to be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// What a push moved.
    Push {
        /// The push.
        push: PushId,
        /// The object that it names.
        after: String,
        /// Who pushed, where the forge says it.
        author: Option<String>,
        /// The commit's first line, where the forge sends it.
        message: Option<String>,
    },
    /// The commit that a person named.
    Run(Command),
}

impl Ask {
    /// What tells it from the others.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Push { push, .. } => push.0,
            Self::Run(command) => command.id.0,
        }
    }

    pub(super) fn is_push(&self) -> bool {
        matches!(self, Self::Push { .. })
    }
}

/// What effects shall ask git.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadWork {
    /// The repository.
    pub repository: String,
    /// The branch.
    pub branch: String,
    /// The head's commit, where there is one.
    pub head: Option<String>,
    /// The ask's id.
    pub ask: Uuid,
    /// What is wanted.
    pub wanted: Wanted,
}

/// The commit that git is asked about.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// This object, and how it stands to the branch.
    Pushed(String),
    /// Whatever commit this text names, on any branch or tag.
    Named(String),
}

/// What git said.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// How the commits stand to each other. Its `after` is the commit that was found.
    pub ancestry: Ancestry,
    /// Paths that differ between the head's commit and this one; all, where there is no head yet.
    pub changed: Vec<String>,
    /// The commit's first line.
    pub subject: String,
    /// Its author's name.
    pub author: String,
}

/// The repository and branch that a command concerns; none for an unknown module.
pub fn branch_of(command: &Command, config: &Config) -> Option<(String, String)> {
    let module = config.module(command.verb.module())?;
    let given = match &command.verb {
        Verb::Run { branch, .. } => branch.clone(),
        _ => None,
    };
    let plain = |branch: &&String| !branch.contains(['*', '?', '[', '{']);
    let first = || {
        let repository = config.repositories.get(&module.repository)?;
        repository.branches.iter().find(plain).cloned()
    };
    let branch = given
        .or_else(first)
        .unwrap_or_else(|| DEFAULT_BRANCH.into());
    Some((module.repository.clone(), branch))
}

impl Head {
    /// What is to be asked of git now.
    pub fn work(&self) -> Option<HeadWork> {
        let ask = self.asks.front()?;
        let wanted = match ask {
            Ask::Push { after, .. } => Wanted::Pushed(after.clone()),
            Ask::Run(command) => match &command.verb {
                Verb::Run { commit, .. } => Wanted::Named(commit.clone()),
                _ => return None,
            },
        };
        Some(HeadWork {
            repository: self.repository.clone(),
            branch: self.branch.clone(),
            head: self.present.as_ref().map(|present| present.commit.clone()),
            ask: ask.id(),
            wanted,
        })
    }

    /// Whether runs of this push are still to be told.
    pub(super) fn is_telling(&self, push: PushId) -> bool {
        self.telling.as_ref().is_some_and(|it| it.push == push)
    }

    /// Whom it concerns that git is asked again.
    pub(super) fn concerns(&self, config: &Config) -> Vec<Concern> {
        let concern = |ask: &Ask| match ask {
            Ask::Push { push, .. } => Concern {
                scope: self.scope(config),
                push: Some(*push),
                ..Concern::default()
            },
            Ask::Run(command) => Concern {
                scope: self.scope_of(config, command.verb.module()),
                command: Some(command.id),
                ..Concern::default()
            },
        };
        let first = self.asks.front().map(concern);
        first
            .map(|concern| Concern {
                what: "fetch",
                ..concern
            })
            .into_iter()
            .collect()
    }

    /// The runs of the present head.
    pub(super) fn runs(&self) -> Vec<RunOf> {
        let Some(present) = &self.present else {
            return Vec::new();
        };
        let run = |module: &String| RunOf {
            run: RunId::of(&self.repository, &self.branch, present.sequence, module),
            module: module.clone(),
        };
        present.modules.iter().map(run).collect()
    }

    pub(super) fn remember_push(&mut self, push: PushId) {
        self.pushes.push_back(push);
        while self.pushes.len() > SETTLED_PUSHES {
            self.pushes.pop_front();
        }
    }

    pub(super) fn remember_command(&mut self, command: &Command) {
        self.commands.insert(command.id, command.at);
        while self.commands.len() > SETTLED_COMMANDS {
            let oldest = self.commands.iter().min_by_key(|(id, at)| (**at, **id));
            let Some((id, at)) = oldest.map(|(id, at)| (*id, *at)) else {
                return;
            };
            self.commands.remove(&id);
            self.settled_until = self.settled_until.max(Some(at));
        }
    }

    pub(super) fn scope(&self, config: &Config) -> Scope {
        let team = config
            .repositories
            .get(&self.repository)
            .and_then(|found| found.team.clone());
        Scope {
            team,
            ..Scope::default()
        }
    }

    pub(super) fn scope_of(&self, config: &Config, module: &str) -> Scope {
        Scope {
            module: Some(module.to_owned()),
            ..self.scope(config)
        }
    }

    /// A `push.resolved` that starts nothing.
    pub(super) fn resolved(
        &self,
        push: PushId,
        resolution: Resolution,
        why: impl Into<String>,
    ) -> Resolved {
        Resolved {
            push,
            repository: self.repository.clone(),
            branch: self.branch.clone(),
            commit: None,
            resolution,
            runs: Vec::new(),
            why: why.into(),
            stop: None,
        }
    }
}

/// The first line of a text, cut.
pub(super) fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut end = line.len().min(TEXT_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line[..end].to_owned()
}
