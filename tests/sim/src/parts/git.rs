//! One repository with one branch. In: commits, and a branch that is set back. Out: what git would say
//! of two commits, and which modules a commit holds.

use std::collections::BTreeMap;

use ferry_builder::decide::{head::Found, relate::Ancestry};

use crate::{
    people::AUTHOR,
    script::{MODULES, Quality},
};

/// A commit of one line: forced branches begin new lines.
#[derive(Clone, Debug)]
struct Commit {
    parent: Option<usize>,
    touches: BTreeMap<usize, Quality>,
}

/// The repository.
#[derive(Debug, Default)]
pub struct Git {
    commits: Vec<Commit>,
    tip: Option<usize>,
}

/// The id of a commit: 40 digits.
fn id(commit: usize) -> String {
    format!("{:08x}{:032x}", 0xc000_0000_u32 + commit as u32, commit)
}

fn number(id: &str) -> Option<usize> {
    usize::from_str_radix(id.get(8..)?, 16).ok()
}

impl Git {
    /// Commits on top of the branch; the new commit's id.
    pub fn commit(&mut self, touches: &[(usize, Quality)]) -> String {
        self.commits.push(Commit {
            parent: self.tip,
            touches: touches.iter().copied().collect(),
        });
        self.tip = Some(self.commits.len() - 1);
        id(self.commits.len() - 1)
    }

    /// Sets the branch back; the commit that it is at then. None: there is nothing before.
    pub fn back(&mut self, by: usize) -> Option<String> {
        let mut at = self.tip?;
        for _ in 0..by {
            at = self.commits[at].parent?;
        }
        self.tip = Some(at);
        Some(id(at))
    }

    /// Where the branch is.
    pub fn tip(&self) -> Option<String> {
        self.tip.map(id)
    }

    fn line(&self, from: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(from), |at| self.commits[*at].parent)
    }

    fn leads(&self, from: Option<usize>, to: Option<usize>) -> bool {
        matches!((from, to), (Some(from), Some(to)) if self.line(to).any(|at| at == from))
    }

    fn origin(&self, commit: usize, module: usize) -> Option<usize> {
        self.line(commit)
            .find(|at| self.commits[*at].touches.contains_key(&module))
    }

    /// The commit from which a module's content at a commit comes, and how it is.
    pub fn content(&self, commit: &str, module: usize) -> Option<(String, Quality)> {
        let origin = self.origin(number(commit)?, module)?;
        Some((id(origin), self.commits[origin].touches[&module]))
    }

    /// What git says of a pushed commit.
    pub fn found(&self, head: Option<&str>, after: &str) -> Option<Found> {
        let commit = number(after).filter(|commit| *commit < self.commits.len())?;
        let head = head.and_then(number);
        let changed = (0..MODULES.len())
            .filter(|module| {
                let before = head.and_then(|head| self.origin(head, *module));
                before != self.origin(commit, *module)
            })
            .map(|module| format!("{}/src/Main.java", MODULES[module]))
            .collect();
        Some(Found {
            ancestry: Ancestry {
                after: after.to_owned(),
                tip: self.tip(),
                head_before_after: self.leads(head, Some(commit)),
                after_before_head: self.leads(Some(commit), head),
                after_in_tip: self.leads(Some(commit), self.tip),
            },
            changed,
            subject: format!("commit {commit}"),
            author: AUTHOR.into(),
        })
    }
}
