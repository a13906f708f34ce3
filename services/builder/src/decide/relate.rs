//! How a pushed commit stands to a branch's head record.
//!
//! In: what git says of three commits: the record's head, the push's `after`, and the branch's tip
//! now. Out: a [`Relation`]. Pushes may come late, twice or in any order: only ancestry counts, so
//! when the last push of a branch has been handled, its head is the branch's tip, and stays there.

/// What git says, without the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestry {
    /// The pushed commit, peeled.
    pub after: String,
    /// The branch's tip now; none: the branch is gone.
    pub tip: Option<String>,
    /// Whether the record's head is an ancestor of `after`. False without a head, or one that git
    /// does not have any more.
    pub head_before_after: bool,
    /// Whether `after` is an ancestor of the record's head. False as above.
    pub after_before_head: bool,
    /// Whether `after` is an ancestor of the tip, or the tip itself.
    pub after_in_tip: bool,
}

/// What a push means for the head record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The head is this commit.
    AlreadyThere,
    /// The head moves to it, forward.
    Forward,
    /// The head moves to it, off its old line: history was rewritten, or there was none.
    Elsewhere,
    /// The head is past it.
    Passed,
    /// The branch does not lead to it any more: history was rewritten without it.
    Rewritten,
    /// The branch is gone.
    Gone,
}

impl Relation {
    /// Whether the head moves.
    pub fn moves(self) -> bool {
        matches!(self, Self::Forward | Self::Elsewhere)
    }

    /// Why, in a sentence for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::AlreadyThere => "the branch's head is this commit already",
            Self::Forward => "the branch moved forward to this commit",
            Self::Elsewhere => "the branch was set to this commit",
            Self::Passed => "the branch's head is past this commit already",
            Self::Rewritten => "the branch's history was rewritten without this commit",
            Self::Gone => "the branch has been deleted",
        }
    }
}

/// Judges a push.
pub fn relate(head: Option<&str>, git: &Ancestry) -> Relation {
    if head == Some(git.after.as_str()) {
        return Relation::AlreadyThere;
    }
    let forward = |moved_off: bool| {
        if moved_off {
            Relation::Elsewhere
        } else {
            Relation::Forward
        }
    };
    match git.tip.as_deref() {
        None => Relation::Gone,
        Some(tip) if tip == git.after => forward(!git.head_before_after),
        _ if !git.after_in_tip => Relation::Rewritten,
        _ if git.after_before_head => Relation::Passed,
        // Forward, or on another line than the head's: the head's own line was rewritten away.
        _ => forward(!git.head_before_after),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Commits of a made-up repository, by their parents.
    struct Graph(Vec<Vec<usize>>);

    impl Graph {
        fn line(&self, of: usize) -> BTreeSet<usize> {
            let (mut seen, mut next) = (BTreeSet::new(), vec![of]);
            while let Some(at) = next.pop() {
                if seen.insert(at) {
                    next.extend(&self.0[at]);
                }
            }
            seen
        }

        fn ask(&self, head: Option<usize>, after: usize, tip: Option<usize>) -> Ancestry {
            let within = |a: Option<usize>, b: Option<usize>| match (a, b) {
                (Some(a), Some(b)) => self.line(b).contains(&a),
                _ => false,
            };
            Ancestry {
                after: after.to_string(),
                tip: tip.map(|tip| tip.to_string()),
                head_before_after: within(head, Some(after)),
                after_before_head: within(Some(after), head),
                after_in_tip: within(Some(after), tip),
            }
        }

        fn relate(&self, head: Option<usize>, after: usize, tip: Option<usize>) -> Relation {
            relate(
                head.map(|head| head.to_string()).as_deref(),
                &self.ask(head, after, tip),
            )
        }
    }

    /// `0 <- 1 <- 2 <- 3`, and `1 <- 4 <- 5`, and a merge `6` of 3 and 5.
    fn graph() -> Graph {
        Graph(vec![
            vec![],
            vec![0],
            vec![1],
            vec![2],
            vec![1],
            vec![4],
            vec![3, 5],
        ])
    }

    #[test]
    fn every_relation_of_a_small_history() {
        use Relation::*;
        let cases = [
            // head, after, tip
            (None, 2, Some(2), Elsewhere, "the first push"),
            (None, 1, Some(2), Elsewhere, "the first push, late"),
            (None, 2, None, Gone, "the branch was deleted meanwhile"),
            (Some(2), 2, Some(2), AlreadyThere, "again"),
            (
                Some(2),
                2,
                Some(3),
                AlreadyThere,
                "again, and a newer one is on its way",
            ),
            (
                Some(2),
                2,
                None,
                AlreadyThere,
                "again, after the branch was deleted",
            ),
            (Some(1), 2, Some(2), Forward, "a fast-forward"),
            (
                Some(1),
                2,
                Some(3),
                Forward,
                "a fast-forward, and a newer one is on its way",
            ),
            (Some(3), 2, Some(3), Passed, "out of order"),
            (Some(3), 5, Some(5), Elsewhere, "forced to another line"),
            (
                Some(3),
                4,
                Some(5),
                Elsewhere,
                "forced to another line that grew since",
            ),
            (Some(3), 1, Some(1), Elsewhere, "forced back"),
            (
                Some(3),
                1,
                Some(5),
                Passed,
                "forced back, and grew since: the tip's push moves the head",
            ),
            (
                Some(5),
                3,
                Some(5),
                Rewritten,
                "a late push of the line that was given up",
            ),
            (
                Some(3),
                5,
                Some(3),
                Rewritten,
                "it was there, and forced away before it was looked at",
            ),
            (Some(3), 5, None, Gone, "deleted"),
            (Some(3), 6, Some(6), Forward, "a merge"),
            (
                Some(3),
                5,
                Some(6),
                Elsewhere,
                "a line that was merged since",
            ),
            (Some(6), 5, Some(6), Passed, "part of a merge"),
        ];
        for (head, after, tip, expected, what) in cases {
            assert_eq!(
                graph().relate(head, after, tip),
                expected,
                "{what}: {head:?} {after} {tip:?}"
            );
        }
    }

    #[test]
    fn exhaustively_a_head_moves_only_to_where_the_branch_leads() {
        let graph = graph();
        for head in (0..7).map(Some).chain([None]) {
            for tip in (0..7).map(Some).chain([None]) {
                for after in 0..7 {
                    let relation = graph.relate(head, after, tip);
                    if relation.moves() {
                        assert!(graph.ask(head, after, tip).after_in_tip);
                        assert_ne!(head, Some(after));
                    }
                    // A head at the tip moves for nothing: all that comes late is past or gone.
                    assert!(!(head == tip && head.is_some() && relation.moves()));
                    assert_eq!(relation == Relation::AlreadyThere, head == Some(after));
                    assert!(!(tip == Some(after) && head != tip) || relation.moves());
                }
            }
        }
    }

    /// What happens to a branch.
    #[derive(Clone, Debug)]
    enum Act {
        /// A commit on the tip.
        Commit,
        /// A merge of the tip and some commit.
        Merge(prop::sample::Index),
        /// The branch is set to some commit.
        Force(prop::sample::Index),
        /// The branch is deleted; the next act makes it anew.
        Delete,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => Just(Act::Commit),
            1 => any::<prop::sample::Index>().prop_map(Act::Merge),
            2 => any::<prop::sample::Index>().prop_map(Act::Force),
            1 => Just(Act::Delete),
        ];
        prop::collection::vec(act, 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Pushes are made; each hook comes at any later moment, some twice, in any order; git is asked
        /// when the hook is handled. Once every hook was handled after the last push, the head is the tip.
        #[test]
        fn whatever_the_order_the_head_ends_at_the_tip(
            acts in acts(),
            hooks in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..24),
            shuffle in any::<u64>(),
        ) {
            let mut graph = Graph(vec![vec![]]);
            let mut tips = vec![Some(0)];
            for act in &acts {
                let tip = tips[tips.len() - 1];
                let all = graph.0.len();
                let commit = |graph: &mut Graph, parents| {
                    graph.0.push(parents);
                    Some(graph.0.len() - 1)
                };
                let next = match (act, tip) {
                    (Act::Delete, _) => None,
                    (Act::Force(to), _) => Some(to.index(all)),
                    (Act::Commit, Some(tip)) => commit(&mut graph, vec![tip]),
                    (Act::Merge(with), Some(tip)) => commit(&mut graph, vec![tip, with.index(all)]),
                    (_, None) => commit(&mut graph, vec![]),
                };
                tips.push(next);
            }
            // A deletion sends no push.
            let pushed: Vec<(usize, usize)> =
                tips.iter().enumerate().filter_map(|(at, tip)| tip.map(|tip| (at, tip))).collect();
            let last = tips.len() - 1;
            // Hooks while pushes go on, each handled no earlier than its push.
            let mut early: Vec<(usize, usize)> = hooks
                .iter()
                .map(|(which, delay)| {
                    let (at, after) = pushed[which.index(pushed.len())];
                    (at + delay.index(tips.len() - at), after)
                })
                .collect();
            early.sort();
            // Then every push once more, in some order, when the branch is at rest.
            let mut late: Vec<(usize, usize)> = pushed.iter().map(|(_, after)| (last, *after)).collect();
            let places = late.len() as u64;
            late.sort_by_key(|(_, after)| (*after as u64).wrapping_mul(shuffle | 1) % (places + 7));

            let mut head = None;
            for (at, after) in early.into_iter().chain(late) {
                let tip = tips[at];
                let relation = graph.relate(head, after, tip);
                if relation.moves() {
                    let there = graph.line(tip.expect("a branch that is gone moves nothing"));
                    prop_assert!(there.contains(&after));
                    head = Some(after);
                }
            }
            if let Some(tip) = tips[last] {
                prop_assert_eq!(head, Some(tip));
            }
        }
    }
}
