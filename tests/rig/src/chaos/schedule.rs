//! Who is killed or frozen when: chosen by a seed alone.
//!
//! In: a seed, the processes' names, how long. Out: acts in their order.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde::Serialize;

/// Between two acts, in milliseconds: often enough that most pushes meet one, seldom enough that
/// something gets done.
const BETWEEN: std::ops::Range<u64> = 500..4_000;
/// How long a killed process is down: as long as a supervisor takes.
const DOWN: std::ops::Range<u64> = 100..4_000;
/// How long most freezes last.
const FROZEN: std::ops::Range<u64> = 500..9_000;
/// A long freeze outlasts a claim on work (15 s) and, at its longest, a delivery in hand (30 s).
const FROZEN_LONG: std::ops::Range<u64> = 16_000..38_000;
/// One freeze in so many is a long one.
const LONG_ONE_IN: u32 = 5;
/// One act in so many is a freeze.
const FREEZE_ONE_IN: u32 = 2;
/// What was killed or frozen is left alone for so long after it: a process that never comes to run is
/// no test of it.
const LEFT_ALONE: Duration = Duration::from_secs(3);
/// A frozen nats-server stops everybody, so that nothing else could be seen meanwhile: this is its
/// longest freeze.
const FROZEN_SERVER: Duration = Duration::from_secs(8);

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// SIGKILL; it is started again after `lasts`.
    Kill,
    /// SIGSTOP; SIGCONT after `lasts`.
    Freeze,
}

/// One act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// When, from the beginning.
    #[serde(serialize_with = "millis")]
    pub at: Duration,
    /// To whom.
    pub name: String,
    /// What.
    pub what: What,
    /// For how long it does not run.
    #[serde(serialize_with = "millis")]
    pub lasts: Duration,
}

fn millis<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The acts for a seed. Nobody is acted on who is still down or frozen from before.
pub fn schedule(seed: u64, names: &[String], length: Duration) -> Vec<Act> {
    let mut rng = Rng::with_seed(seed);
    let mut busy: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut acts = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_millis(rng.u64(BETWEEN));
        let name = names[rng.usize(..names.len())].as_str();
        let (what, lasts) = if rng.u32(..FREEZE_ONE_IN) == 0 {
            let long = rng.u32(..LONG_ONE_IN) == 0;
            let lasts = rng.u64(if long { FROZEN_LONG } else { FROZEN });
            (What::Freeze, lasts)
        } else {
            (What::Kill, rng.u64(DOWN))
        };
        let mut lasts = Duration::from_millis(lasts);
        if what == What::Freeze && name.starts_with("nats-server") {
            lasts = lasts.min(FROZEN_SERVER);
        }
        if at >= length {
            return acts;
        }
        if busy.get(name).is_some_and(|until| at < *until) {
            continue;
        }
        busy.insert(name, at + lasts + LEFT_ALONE);
        acts.push(Act {
            at,
            name: name.to_owned(),
            what,
            lasts,
        });
    }
}

/// The acts as JSON lines.
pub fn lines(acts: &[Act]) -> String {
    let line = |act| serde_json::to_string(act).expect("an act is plain data") + "\n";
    acts.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["gateway-1", "gateway-2", "scheduler-1", "nats-server-1"]
            .map(str::to_owned)
            .into()
    }

    #[test]
    fn a_seed_gives_one_schedule() {
        let of = |seed| schedule(seed, &names(), Duration::from_secs(600));
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }

    #[test]
    fn nobody_is_acted_on_while_down_and_both_kinds_come_to_all() {
        let acts = schedule(1, &names(), Duration::from_secs(1200));
        for name in names() {
            let own: Vec<&Act> = acts.iter().filter(|act| act.name == name).collect();
            for pair in own.windows(2) {
                assert!(pair[0].at + pair[0].lasts < pair[1].at, "{pair:?}");
            }
            for what in [What::Kill, What::Freeze] {
                assert!(own.iter().any(|act| act.what == what), "{name} {what:?}");
            }
        }
        assert!(acts.iter().any(|act| act.lasts > Duration::from_secs(30)));
        assert!(acts.iter().all(|act| act.at < Duration::from_secs(1200)));
    }
}
