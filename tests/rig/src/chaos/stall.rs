//! The longest time in which nothing moved although something was in hand.
//!
//! In: when pushes were accepted, the events and their times, the acts. Out: how long, when, and who was away then.

use std::collections::BTreeSet;
use std::time::Duration;

use ferry_events::{Body, PushId, RunId, Timestamp};
use serde::Serialize;

use super::journal::Told;
use super::schedule::{Act, What};

/// A stall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// How long, in milliseconds.
    pub millis: u64,
    /// When it began, in milliseconds from the beginning.
    pub at: u64,
    /// Who was down or frozen in it.
    pub away: Vec<String>,
}

#[derive(Default)]
struct Hand {
    pushes: BTreeSet<PushId>,
    resolved: BTreeSet<PushId>,
    runs: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
}

impl Hand {
    fn is_empty(&self) -> bool {
        self.pushes.is_empty() && self.runs.is_empty()
    }

    fn begun(&mut self, run: RunId) {
        if !self.ended.contains(&run) {
            self.runs.insert(run);
        }
    }

    fn accepted(&mut self, push: PushId) {
        if !self.resolved.contains(&push) {
            self.pushes.insert(push);
        }
    }

    /// Takes an event; whether it is progress of something in hand.
    fn told(&mut self, body: &Body) -> bool {
        match body {
            Body::PushResolved(it) => {
                self.pushes.remove(&it.push);
                self.resolved.insert(it.push);
                it.runs.iter().for_each(|one| self.begun(one.run));
            }
            Body::RunQueued(it) => self.begun(it.run),
            Body::RunFinished(it) => {
                self.runs.remove(&it.run);
                self.ended.insert(it.run);
            }
            Body::BaseJoined(_)
            | Body::BaseChanged(_)
            | Body::BaseLost(_)
            | Body::ModuleDrifted(_) => return false,
            _ => {}
        }
        true
    }
}

/// The longest one.
pub fn longest(
    accepted: impl Iterator<Item = (PushId, Timestamp)>,
    events: &[Told],
    acts: &[Act],
    began: Timestamp,
) -> Stall {
    enum What<'a> {
        Accepted(PushId),
        Told(&'a Body),
    }
    let mut line: Vec<(Timestamp, What<'_>)> = accepted
        .map(|(push, at)| (at, What::Accepted(push)))
        .collect();
    let told = events
        .iter()
        .filter_map(|told| Some((told.at, told.event.as_ref()?)));
    line.extend(told.map(|(at, event)| (at, What::Told(&event.body))));
    line.sort_by_key(|(at, _)| *at);
    let mut hand = Hand::default();
    let mut since: Option<Timestamp> = None;
    let mut longest = (Duration::ZERO, began);
    for (at, what) in line {
        let progress = match what {
            What::Accepted(push) => {
                hand.accepted(push);
                false
            }
            What::Told(body) => hand.told(body),
        };
        if let Some(from) = since.filter(|_| progress || hand.is_empty()) {
            let gap = (at - from).to_std().unwrap_or_default();
            if gap > longest.0 {
                longest = (gap, from);
            }
        }
        since = match since {
            _ if hand.is_empty() => None,
            Some(from) if !progress => Some(from),
            _ => Some(at),
        };
    }
    let offset = |at: Timestamp| (at - began).to_std().unwrap_or_default();
    let (from, to) = (offset(longest.1), offset(longest.1) + longest.0);
    let away = acts
        .iter()
        .filter(|act| act.at < to && act.at + act.lasts > from)
        .map(|act| {
            let word = if act.what == self::What::Kill {
                "down"
            } else {
                "frozen"
            };
            format!("{} {word} for {:.1} s", act.name, act.lasts.as_secs_f64())
        })
        .collect();
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Stall {
        millis: millis(longest.0),
        at: millis(from),
        away,
    }
}

#[cfg(test)]
mod tests {
    use ferry_events::push::{Resolution, Resolved, RunOf};
    use ferry_events::run::{Finished, Outcome};
    use ferry_events::{Event, EventId, Scope, Service};
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp_millis(seconds * 1000).expect("a time")
    }

    fn told(seconds: i64, body: Body) -> Told {
        let event = Event {
            id: EventId(Uuid::nil()),
            source: Service::Builder,
            time: at(seconds),
            scope: Scope::default(),
            cause: None,
            trace: None,
            body,
        };
        Told {
            sequence: 1,
            at: at(seconds),
            raw: event.encode().into(),
            event: Some(event),
        }
    }

    #[test]
    fn only_time_with_something_in_hand_counts() {
        let (push, run) = (PushId(Uuid::nil()), RunId(Uuid::nil()));
        let resolved = Resolved {
            push,
            repository: "shop".into(),
            branch: "main".into(),
            commit: None,
            resolution: Resolution::Started,
            runs: vec![RunOf {
                run,
                module: "cart".into(),
            }],
            why: String::new(),
            stop: None,
        };
        let finished = Finished {
            run,
            module: "cart".into(),
            outcome: Outcome::Success,
            stop: None,
            environment: None,
        };
        let events = [
            told(12, resolved.clone().into()),
            told(19, finished.into()),
            // Nothing is in hand for a long time; what comes then was known before.
            told(90, resolved.into()),
        ];
        let act = Act {
            at: Duration::from_secs(15),
            name: "scheduler-1".into(),
            what: What::Kill,
            lasts: Duration::from_secs(2),
        };
        let stall = longest([(push, at(10))].into_iter(), &events, &[act], at(0));
        assert_eq!((stall.at, stall.millis), (12_000, 7_000));
        assert_eq!(stall.away, ["scheduler-1 down for 2.0 s"]);
    }
}
