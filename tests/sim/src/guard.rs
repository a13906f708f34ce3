//! What a rollout to `prod` meets besides people's approval: gates, freezes, a window, bases that people hold.
//!
//! In: a seed's chance. Out: what is configured, who holds which base when, and whether a wave may begin at a
//! moment: told from what was drawn, not by the code that the scheduler asks.

use chrono::TimeDelta;
use ferry_bus::MemoryBus;
use ferry_events::{Timestamp, gate::Place};

use crate::{
    outside::{CHECK, PROMETHEUS},
    people::{CAREFUL, PersonAct},
    script::{Act, BASES, BaseAct, ENVIRONMENTS, MODULES, pick},
};

/// The name of the metric's gate.
pub const METRIC: &str = "metric errors";
/// The name of the outside check's gate.
pub const ASKED: &str = "check outside";
/// The number of the first base of `prod`.
const FIRST_OF_PROD: usize = 2;
/// Values of a metric up to here are well.
pub const WELL_MAX: &str = "0.5";

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// A metric that must be well.
    pub metric: Option<Asked>,
    /// Somebody outside who must say yes.
    pub check: Option<Asked>,
    /// When nothing may begin.
    pub freezes: Vec<Freeze>,
    /// When something may begin in `prod`; none: always.
    pub window: Option<Window>,
}

/// A gate that the verifier judges.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Where it stands.
    pub at: Vec<Place>,
    /// So many well values in a row; of a check: one answer.
    pub count: u32,
    /// Between two questions, in milliseconds.
    pub interval_ms: u64,
    /// By when there must be a verdict, in milliseconds.
    pub deadline_ms: u64,
}

/// Nothing begins from one minute to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeze {
    /// The first minute, from the start.
    pub from: i64,
    /// The first minute after it.
    pub until: i64,
    /// Whether `prod` alone is frozen.
    pub prod: bool,
    /// Whether it concerns one module alone, by number.
    pub module: Option<usize>,
}

/// It opens every so many minutes, from the start, for so many.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Minutes from one opening to the next.
    pub every: i64,
    /// Minutes for which it stays open.
    pub open_for: i64,
}

fn places(at: &[Place]) -> String {
    let words = at.iter().map(|place| match place {
        Place::Start => "\"start\"",
        Place::Wave => "\"wave\"",
        Place::End => "\"end\"",
    });
    words.collect::<Vec<_>>().join(", ")
}

impl Asked {
    fn of_chance(random: &mut fastrand::Rng, at: Vec<Place>) -> Self {
        Self {
            at,
            count: random.u32(1..=3),
            interval_ms: pick(random, &[500, 2_000, 5_000]),
            deadline_ms: pick(random, &[5_000, 20_000, 60_000]),
        }
    }

    fn times(&self) -> String {
        format!(
            "interval = \"{}ms\"\ndeadline = \"{}ms\"\nat = [{}]\n",
            self.interval_ms,
            self.deadline_ms,
            places(&self.at)
        )
    }
}

impl Guard {
    /// One of chance.
    pub fn of_chance(random: &mut fastrand::Rng) -> Self {
        use Place::{End, Start, Wave};
        let at = [
            vec![Wave, End],
            vec![Wave],
            vec![End],
            vec![Start, Wave, End],
        ];
        let at = pick(random, &at);
        let metric = Asked::of_chance(random, at);
        let at = pick(random, &[vec![Start], vec![Start, End]]);
        let check = Asked::of_chance(random, at);
        let freezes = (0..random.usize(..3)).map(|_| {
            let from = random.i64(0..6);
            Freeze {
                from,
                until: from + random.i64(1..=5),
                prod: random.bool(),
                module: random.bool().then_some(0),
            }
        });
        Self {
            freezes: freezes.collect(),
            metric: (random.u8(..4) > 0).then_some(metric),
            check: random.bool().then_some(check),
            window: (random.u8(..4) == 0).then(|| Window {
                every: pick(random, &[5, 10]),
                open_for: random.i64(1..=4),
            }),
        }
    }

    /// Its tables.
    pub fn config(&self) -> String {
        let prod = ENVIRONMENTS[CAREFUL];
        let mut text = String::new();
        if let Some(metric) = &self.metric {
            text.push_str(&format!(
                "[environments.{prod}.metrics.errors]\nurl = \"http://{PROMETHEUS}/\"\n\
                 query = 'errors{{run=\"{{run}}\"}}'\nmax = \"{WELL_MAX}\"\ncount = {}\n{}",
                metric.count,
                metric.times()
            ));
        }
        if let Some(check) = &self.check {
            text.push_str(&format!(
                "[environments.{prod}.checks.outside]\nurl = \"http://{CHECK}/\"\n{}",
                check.times()
            ));
        }
        if let Some(window) = &self.window {
            text.push_str(&format!(
                "[environments.{prod}.windows.often]\nopens = \"*/{} * * * *\"\nopen_for = \"{}m\"\n",
                window.every, window.open_for
            ));
        }
        for (number, freeze) in self.freezes.iter().enumerate() {
            let at = |minute: i64| {
                let at = MemoryBus::START + TimeDelta::minutes(minute);
                at.format("%Y-%m-%dT%H:%M").to_string()
            };
            text.push_str(&format!(
                "[freezes.f{number}]\nfrom = \"{}\"\nuntil = \"{}\"\nwhy = \"the accounts are closed\"\n",
                at(freeze.from),
                at(freeze.until)
            ));
            if freeze.prod {
                text.push_str(&format!("environments = [\"{prod}\"]\n"));
            }
            if let Some(module) = freeze.module {
                text.push_str(&format!("modules = [\"{}\"]\n", MODULES[module]));
            }
        }
        text
    }

    /// What keeps a wave from beginning at a moment: as the wait for it is named, and in words.
    pub fn closed(
        &self,
        module: &str,
        environment: &str,
        at: Timestamp,
    ) -> Option<(String, String)> {
        let since = at - MemoryBus::START;
        let within = |from: i64, until: i64| {
            (TimeDelta::minutes(from)..TimeDelta::minutes(until)).contains(&since)
        };
        let prod = environment == ENVIRONMENTS[CAREFUL];
        let mut freezes = self.freezes.iter().enumerate();
        let freeze = freezes.find(|(_, freeze)| {
            let concerned = freeze.module.is_none_or(|number| MODULES[number] == module);
            (prod || !freeze.prod) && concerned && within(freeze.from, freeze.until)
        });
        if let Some((number, freeze)) = freeze {
            let (from, until) = (freeze.from, freeze.until);
            let words = format!("it is frozen from minute {from} to {until}");
            return Some((format!("freeze f{number}"), words));
        }
        let window = self.window.as_ref().filter(|_| prod)?;
        let into = TimeDelta::milliseconds(since.num_milliseconds() % (window.every * 60_000));
        (into >= TimeDelta::minutes(window.open_for)).then(|| {
            let (every, open) = (window.every, window.open_for);
            let words = format!("its window opens every {every} minutes for {open}");
            ("window often".to_owned(), words)
        })
    }

    /// The gates that a plan to an environment must have, by name, with their places.
    pub fn gates(&self, environment: &str) -> Vec<(&'static str, &Asked)> {
        let prod = environment == ENVIRONMENTS[CAREFUL];
        let gates = [(METRIC, &self.metric), (ASKED, &self.check)];
        let gates = gates.into_iter().filter(|_| prod);
        gates
            .filter_map(|(name, gate)| Some((name, gate.as_ref()?)))
            .collect()
    }
}

/// Who holds and releases which base, who lets something go on, and which base is away for so long that what
/// goes back may not reach it, when.
pub fn acts(random: &mut fastrand::Rng, end: u64) -> Vec<(u64, Act)> {
    let all = random.usize(1..=6);
    let act = |random: &mut fastrand::Rng| {
        let base = random.usize(..BASES.len());
        let act = match random.u8(..8) {
            0..=3 => PersonAct::Hold(base),
            4 | 5 => PersonAct::Free(base),
            _ => PersonAct::Promote,
        };
        let twice_ms = pick(random, &[None, None, Some(0), Some(20), Some(15_000)]);
        (
            random.u64(3_000..end + 60_000),
            Act::Person { act, twice_ms },
        )
    };
    let mut acts: Vec<_> = (0..all).map(|_| act(random)).collect();
    if random.bool() {
        let base = random.usize(FIRST_OF_PROD..BASES.len());
        let away = BaseAct::Refuse(pick(random, &[60_000, 200_000, 600_000]));
        acts.push((random.u64(10_000..end + 30_000), Act::Base(base, away)));
    }
    acts
}
