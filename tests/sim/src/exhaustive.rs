//! Every boundary of one whole run: crash there once, stand still there until all else rests, lose the
//! exchange there. In: nothing. Out: how many boundaries there are, and what ended otherwise.

use crate::{
    Outcome, Script,
    script::{Act, Fault, Quality, Settings, Timed, Wrong},
};

/// A story of two good pushes and one that has to go back, two replicas of each service.
pub fn whole(twice: bool) -> Script {
    let settings = Settings {
        replicas: 2,
        soak_ms: 500,
        parallel: 0,
        latency_ms: 1,
        skew_ms: vec![0, 0],
        poll_ms: 5_000,
        twice,
        keep_s: 2 * 3600,
        newer_from: None,
        drains: true,
        together: false,
        careful: None,
        guard: None,
    };
    let push = |number, at_ms, quality| Timed {
        at_ms,
        number,
        act: Act::Push {
            touches: vec![(0, quality)],
            gateway: 0,
            hook_ms: 0,
        },
    };
    Script {
        seed: 0,
        settings,
        acts: vec![
            push(0, 100, Quality::Good),
            push(1, 40_000, Quality::Answers500),
            push(2, 100_000, Quality::Good),
        ],
        faults: Vec::new(),
    }
}

/// The same with one thing that goes wrong at one boundary.
pub fn with(script: &Script, boundary: u64, what: Wrong) -> Script {
    let mut script = script.clone();
    script.faults = vec![Fault {
        boundary,
        number: 0,
        what,
    }];
    script
}

/// What is wrong with an end, compared with that of the run without a fault.
pub fn differs(plain: &Outcome, other: &Outcome) -> Option<String> {
    if !other.broken.is_empty() {
        return Some(other.broken.join("; "));
    }
    if other.hard {
        // An installer that stands still holds a jar back: the run may stop, and says why.
        return None;
    }
    // Versions name the bytes, and no two builds agree: the commit is what counts.
    let commits = |outcome: &Outcome| -> Vec<String> {
        outcome
            .live
            .iter()
            .map(|((module, environment), version)| {
                let commit: Vec<&str> = version.split('-').take(2).collect();
                format!("{module} in {environment}: {}", commit.join("-"))
            })
            .collect()
    };
    (commits(plain) != commits(other))
        .then(|| format!("{:?} is live, not {:?}", commits(other), commits(plain)))
}
