//! What one seed does: settings, acts at moments, faults at boundaries. All chance is spent here.
//!
//! In: a seed. Out: a [`Script`], the same each time. What is left of it after taking parts out is a
//! script again, so that a failing one can be made shorter.

use std::collections::BTreeSet;

use ferry_events::Service;

use crate::{
    guard::{self, Guard},
    people::{self, Careful, PersonAct},
};

/// The modules of the one repository, each in a folder of its own name.
pub const MODULES: [&str; 3] = ["cart", "pay", "mail"];
/// The environments, in order.
pub const ENVIRONMENTS: [&str; 2] = ["pre", "prod"];
/// The bases, with their environments.
pub const BASES: [(&str, &str); 5] = [
    ("pre-1", "pre"),
    ("pre-2", "pre"),
    ("prod-1", "prod"),
    ("prod-2", "prod"),
    ("prod-3", "prod"),
];

/// In every second stretch of so many seeds the modules are a release: with people and without.
const TOGETHER: u64 = 500_000;

/// A script.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Where it came from.
    pub seed: u64,
    /// How the world is.
    pub settings: Settings,
    /// What happens, and when.
    pub acts: Vec<Timed>,
    /// What goes wrong, and where.
    pub faults: Vec<Fault>,
}

/// How the world is for the whole of a seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Replicas of each service, the gateway's too.
    pub replicas: usize,
    /// How long a module is watched, in milliseconds.
    pub soak_ms: u64,
    /// Bases of one later wave; 0: all the rest.
    pub parallel: u32,
    /// The longest time that an exchange with bus or base takes, in milliseconds.
    pub latency_ms: u64,
    /// How far each replica's clock is off, in milliseconds, by its number.
    pub skew_ms: Vec<i64>,
    /// Between two looks at a base, in milliseconds.
    pub poll_ms: u64,
    /// The first ack of every message is lost, so that each comes twice.
    pub twice: bool,
    /// How long the streams keep events, in seconds.
    pub keep_s: u64,
    /// Replicas from this number on are of a version that adds a field to what it writes.
    pub newer_from: Option<usize>,
    /// Whether the bases of one environment are behind a load balancer.
    pub drains: bool,
    /// Whether the modules are a release: those that one push touches go live together.
    pub together: bool,
    /// How careful the last environment is; none: it only has waves.
    pub careful: Option<Careful>,
    /// What a rollout to the last environment meets besides people; none: nothing.
    pub guard: Option<Guard>,
}

/// An act at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// Milliseconds of virtual time since the start.
    pub at_ms: u64,
    /// Its number in the script as it was made.
    pub number: usize,
    /// What happens.
    pub act: Act,
}

/// How a module of a commit behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// It starts and answers.
    Good,
    /// It starts and answers, late.
    Slow,
    /// It does not compile.
    NoCompile,
    /// Its start throws.
    NoStart,
    /// It starts, and answers 500.
    Answers500,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A commit is pushed; its hook goes to a gateway.
    Push {
        /// The modules that it touches, by number, and how they are then.
        touches: Vec<(usize, Quality)>,
        /// The gateway, by number.
        gateway: usize,
        /// After how long the hook comes, in milliseconds.
        hook_ms: u64,
    },
    /// The branch is set back by so many commits; its hook goes to a gateway.
    Force {
        /// How many.
        back: usize,
        /// The gateway.
        gateway: usize,
    },
    /// The hook of an earlier push comes again.
    Hook {
        /// That act's number.
        push: usize,
        /// Which delivery of it: 0 has the first one's id, others have ids of their own.
        delivery: u32,
        /// The gateway.
        gateway: usize,
    },
    /// A person asks for the version before.
    Rollback {
        /// The module, by number.
        module: usize,
        /// The environment, by number.
        environment: usize,
    },
    /// A person does something.
    Person {
        /// What.
        act: PersonAct,
        /// After how many milliseconds the command comes a second time, if it does.
        twice_ms: Option<u64>,
    },
    /// Git does not answer.
    GitAway {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// A base, by number.
    Base(usize, BaseAct),
    /// A replica of a service.
    Process(Service, usize, ProcessAct),
    /// Nobody reaches the bus.
    BusAway {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// A message that the stream holds is stored again, without its id.
    Again {
        /// Which, counted from the newest.
        back: usize,
    },
    /// A service's consumer is made anew and delivers from the stream's start.
    ConsumerAnew(Service),
    /// A service's deadlines fire now, whenever they were set for; those that wait are lost.
    TimersFire(Service),
    /// The next message of a service takes the process that has it in hand down, so many times.
    Poison(Service, u64),
    /// The bus is copied.
    Backup,
    /// Streams are put back to what copies of them hold.
    Restore(Put),
    /// Something that is no event, or one of a newer Ferry, is published.
    Strange {
        /// Whether it is an event of a newer version.
        newer: bool,
    },
}

/// How streams are put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// To which copy, by that act's number; none: it stays as it is.
    pub ferry: Option<usize>,
    /// The deadlines' stream.
    pub timers: Option<usize>,
    /// The dead letters' stream.
    pub dead: Option<usize>,
    /// Whether all services are stopped for it; else all go on.
    pub all_down: bool,
    /// Whether the forge tells of the last push once more as soon as the bus is back.
    pub hook: bool,
    /// How long after the services stopped the operator says that it was meant, in milliseconds.
    pub said_ms: u64,
}

/// What happens to a base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseAct {
    /// It is started again, empty.
    Restart,
    /// It does nothing for so many milliseconds, then goes on.
    Freeze(u64),
    /// It refuses connections for so many milliseconds.
    Refuse(u64),
    /// It loses the next so many requests.
    LoseRequest(u32),
    /// It does what the next so many ask, and loses its replies.
    LoseReply(u32),
    /// Records of what is asked stay `INITIALIZED` or `EXECUTING` for so many milliseconds.
    StuckRecords(u64, bool),
    /// Installs take so many milliseconds more, for as many seconds.
    SlowInstalls(u64, u64),
    /// It cannot tell why a start failed, for so many milliseconds.
    Untold(u64),
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessAct {
    /// SIGKILL; started again after so many milliseconds.
    Kill(u64),
    /// SIGSTOP; SIGCONT after so many milliseconds.
    Freeze(u64),
    /// SIGTERM; started again at once when it has ended.
    Drain,
    /// It alone does not reach the bus, for so many milliseconds.
    CutOff(u64),
}

/// What goes wrong at a boundary.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The boundary, counted over all processes.
    pub boundary: u64,
    /// Its number in the script as it was made.
    pub number: usize,
    /// What.
    pub what: Wrong,
}

/// What goes wrong for the process that is at the boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is killed, and started again after so many milliseconds.
    Crash(u64),
    /// It is stopped, and goes on when all else rests.
    PauseTillRest,
    /// It is stopped for so many milliseconds.
    Pause(u64),
    /// The exchange fails: before the boundary it never happens, after it only the answer is lost.
    Fail,
    /// It takes so many milliseconds.
    Delay(u64),
}

/// Whether a fault may, by itself, make a good commit fail: its end needs a reason then.
impl Act {
    /// Whether it does nothing to services, bus and git.
    fn is_calm(&self) -> bool {
        matches!(
            self,
            Self::Push { .. }
                | Self::Force { .. }
                | Self::Hook { .. }
                | Self::Rollback { .. }
                | Self::Person { .. }
                | Self::Base(..)
        )
    }

    /// See above.
    pub fn is_hard(&self) -> bool {
        match self {
            Self::Base(_, act) => !matches!(
                act,
                BaseAct::LoseRequest(_) | BaseAct::LoseReply(_) | BaseAct::Untold(_)
            ),
            // Half a minute passes before each next delivery: a wave's deadline may, too.
            Self::GitAway { .. } | Self::Poison(..) => true,
            // What was done since is not known, and in its way.
            Self::Restore(_) => true,
            Self::Process(_, _, ProcessAct::Freeze(ms) | ProcessAct::CutOff(ms)) => *ms > 30_000,
            _ => false,
        }
    }
}

pub(crate) fn pick<T: Clone>(random: &mut fastrand::Rng, from: &[T]) -> T {
    from[random.usize(..from.len())].clone()
}

fn quality(random: &mut fastrand::Rng) -> Quality {
    match random.u8(..20) {
        0 => Quality::NoCompile,
        1 | 2 => Quality::NoStart,
        3 | 4 => Quality::Answers500,
        5 => Quality::Slow,
        _ => Quality::Good,
    }
}

impl Script {
    /// The script of a seed.
    pub fn of_seed(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let random = &mut random;
        let replicas = if random.u8(..4) == 0 { 1 } else { 2 };
        let long = random.u8(..25) == 0;
        let settings = Settings {
            replicas,
            soak_ms: pick(random, &[0, 500, 2_000, 5_000]),
            parallel: random.u32(..3),
            latency_ms: pick(random, &[0, 1, 3, 10, 100]),
            skew_ms: (0..replicas)
                .map(|_| match random.u8(..3) {
                    0 => random.i64(-20_000..20_000),
                    _ => 0,
                })
                .collect(),
            poll_ms: if long { 60_000 } else { 5_000 },
            twice: random.u8(..6) == 0,
            keep_s: 2 * 3600,
            newer_from: (random.u8(..8) == 0).then_some(1),
            drains: seed.is_multiple_of(3),
            together: seed / TOGETHER % 2 == 1,
            careful: None,
            guard: None,
        };
        let mut acts = Vec::new();
        let mut at = 100;
        for _ in 0..random.usize(1..=5) {
            at += pick(random, &[0, 5, 200, 3_000, 10_000, 40_000]);
            let gateway = random.usize(..replicas);
            let act = if random.u8(..8) == 0 {
                let back = random.usize(1..=2);
                Act::Force { back, gateway }
            } else {
                let mut touches = Vec::new();
                for module in 0..MODULES.len() {
                    if module == 0 || random.u8(..4) == 0 {
                        touches.push((module, quality(random)));
                    }
                }
                let hook_ms = pick(random, &[0, 10, 500, 5_000]);
                Act::Push {
                    touches,
                    gateway,
                    hook_ms,
                }
            };
            acts.push((at, act));
        }
        let pushes = acts.len();
        let end = at + 20_000;
        for _ in 0..random.usize(..3) {
            let hook = Act::Hook {
                push: random.usize(..pushes),
                delivery: random.u32(..2),
                gateway: random.usize(..replicas),
            };
            acts.push((random.u64(100..end + 300_000), hook));
        }
        if random.u8(..6) == 0 {
            let module = random.usize(..2);
            let environment = random.usize(..2);
            let rollback = Act::Rollback {
                module,
                environment,
            };
            acts.push((random.u64(15_000..end + 60_000), rollback));
        }
        for _ in 0..random.usize(..4) {
            let act = trouble(random, replicas);
            acts.push((random.u64(0..end), act));
        }
        if long {
            // Past every window: the dedupe window, the age of events.
            let late = end + 3 * 3_600_000;
            let hook = Act::Hook {
                push: random.usize(..pushes),
                delivery: random.u32(..2),
                gateway: 0,
            };
            acts.push((late, hook));
            acts.push((late + 1_000, Act::TimersFire(Service::Scheduler)));
        }
        // Acts of one moment stay in the order in which they were made.
        let mut acts: Vec<Timed> = acts
            .into_iter()
            .enumerate()
            .map(|(number, (at_ms, act))| Timed { at_ms, number, act })
            .collect();
        acts.sort_by_key(|act| act.at_ms);
        let faults = (0..random.usize(..5))
            .map(|number| Fault {
                boundary: random.u64(..1_500),
                number,
                what: match random.u8(..10) {
                    0..=2 => Wrong::Crash(pick(random, &[0, 100, 2_000, 20_000])),
                    3..=5 => Wrong::PauseTillRest,
                    6 => Wrong::Pause(pick(random, &[1_000, 10_000, 20_000, 40_000])),
                    7 => Wrong::Delay(pick(random, &[50, 1_000, 4_000])),
                    _ => Wrong::Fail,
                },
            })
            .collect();
        // Drawn last, so that what was drawn before is the same with and without it.
        let mut late = Vec::new();
        if random.u8(..8) == 0 {
            let service = pick(random, &Service::ALL[1..]);
            let act = Act::Poison(service, random.u64(3..=5));
            late.push((random.u64(0..end), act));
        }
        if random.u8(..8) == 0 {
            late.extend(inbox_and_kill(random, &acts));
        }
        if random.u8(..10) == 0 {
            let next = acts.len() + late.len();
            late.extend(put_back(random, end, next));
        }
        for (at_ms, act) in late {
            let number = acts.len();
            acts.push(Timed { at_ms, number, act });
        }
        acts.sort_by_key(|act| act.at_ms);
        let mut script = Self {
            seed,
            settings,
            acts,
            faults,
        };
        if is_careful(seed) {
            script.with_people(random, end);
        }
        if is_guarded(seed) {
            script.with_guard(random, end);
        }
        script
    }

    /// People, and an environment that asks them. In some of these scripts nothing else goes wrong but bases.
    fn with_people(&mut self, random: &mut fastrand::Rng, end: u64) {
        self.settings.careful = Some(Careful::of_chance(random));
        self.add(people::acts(random, end));
        if random.u8(..3) == 0 {
            self.faults.clear();
            self.acts.retain(|timed| timed.act.is_calm());
        }
    }

    /// The same, with gates, freezes, a window, and bases that people hold.
    fn with_guard(&mut self, random: &mut fastrand::Rng, end: u64) {
        self.settings.guard = Some(Guard::of_chance(random));
        self.with_people(random, end);
        self.add(guard::acts(random, end));
    }

    fn add(&mut self, acts: Vec<(u64, Act)>) {
        let next = self.acts.iter().map(|timed| timed.number + 1).max();
        let numbered = acts.into_iter().zip(next.unwrap_or_default()..);
        self.acts
            .extend(numbered.map(|((at_ms, act), number)| Timed { at_ms, number, act }));
        self.acts.sort_by_key(|act| act.at_ms);
    }

    /// Whether nothing goes wrong with services, bus and git.
    pub fn is_calm(&self) -> bool {
        self.faults.is_empty() && self.acts.iter().all(|timed| timed.act.is_calm())
    }

    /// Whether a good commit may fail in it: a fault of a base, or one that is as long as a deadline.
    pub fn is_hard(&self) -> bool {
        self.acts.iter().any(|timed| timed.act.is_hard())
    }

    /// The names of its parts, in order: `a0`, `a1`, … and `f0`, `f1`, ….
    pub fn parts(&self) -> Vec<String> {
        let acts = self.acts.iter().map(|act| format!("a{}", act.number));
        let faults = self.faults.iter().map(|fault| format!("f{}", fault.number));
        acts.chain(faults).collect()
    }

    /// The same with these parts alone.
    pub fn only(&self, parts: &BTreeSet<String>) -> Self {
        let mut script = self.clone();
        script
            .acts
            .retain(|act| parts.contains(&format!("a{}", act.number)));
        script
            .faults
            .retain(|fault| parts.contains(&format!("f{}", fault.number)));
        script
    }
}

/// The bus is away when a hook comes, and its gateway dies while it still is.
fn inbox_and_kill(random: &mut fastrand::Rng, acts: &[Timed]) -> Vec<(u64, Act)> {
    let hooks: Vec<(u64, usize)> = acts
        .iter()
        .filter_map(|timed| match timed.act {
            Act::Push {
                gateway, hook_ms, ..
            } => Some((timed.at_ms + hook_ms, gateway)),
            Act::Force { gateway, .. } => Some((timed.at_ms, gateway)),
            _ => None,
        })
        .collect();
    let (at_ms, gateway) = pick(random, &hooks);
    let kill = ProcessAct::Kill(pick(random, &[100, 3_000]));
    let killed_ms = at_ms + pick(random, &[250, 400, 700, 1_500]);
    vec![
        (at_ms.saturating_sub(50), Act::BusAway { ms: 3_000 }),
        (killed_ms, Act::Process(Service::Gateway, gateway, kill)),
    ]
}

/// The bus is copied twice, and its streams are put back to one copy or the other.
fn put_back(random: &mut fastrand::Rng, end: u64, next: usize) -> Vec<(u64, Act)> {
    let first = random.u64(0..end);
    let second = first + random.u64(0..30_000);
    let restored = second + pick(random, &[200, 2_000, 10_000, 40_000, 300_000]);
    let copies = [Some(next), Some(next + 1), None];
    let put = Put {
        // Most often the stream that everything stands on.
        ferry: match random.u8(..8) {
            0 => None,
            1..=3 => copies[1],
            _ => copies[0],
        },
        timers: pick(random, &copies),
        dead: pick(random, &copies),
        all_down: random.bool(),
        hook: random.bool(),
        said_ms: pick(random, &[0, 3_000, 60_000, 900_000]),
    };
    vec![
        (first, Act::Backup),
        (second, Act::Backup),
        (restored, Act::Restore(put)),
    ]
}

fn trouble(random: &mut fastrand::Rng, replicas: usize) -> Act {
    let service = pick(random, &Service::ALL);
    let long = pick(random, &[500, 3_000, 12_000, 25_000]);
    match random.u8(..16) {
        0 => Act::BusAway { ms: long },
        1 => Act::GitAway { ms: long },
        2 => Act::Again {
            back: random.usize(..60),
        },
        3 => Act::ConsumerAnew(service),
        4 => Act::TimersFire(service),
        5 => Act::Strange {
            newer: random.bool(),
        },
        6..=9 => {
            let act = match random.u8(..4) {
                0 => ProcessAct::Kill(long),
                1 => ProcessAct::Freeze(pick(random, &[4_000, 20_000, 29_000, 60_000])),
                2 => ProcessAct::Drain,
                _ => ProcessAct::CutOff(long),
            };
            Act::Process(service, random.usize(..replicas), act)
        }
        _ => {
            let act = match random.u8(..8) {
                0 => BaseAct::Restart,
                1 => BaseAct::Freeze(pick(random, &[2_000, 8_000, 30_000, 90_000])),
                2 => BaseAct::Refuse(pick(random, &[2_000, 8_000, 30_000])),
                3 => BaseAct::LoseRequest(random.u32(1..4)),
                4 => BaseAct::LoseReply(random.u32(1..4)),
                5 => BaseAct::StuckRecords(pick(random, &[5_000, 60_000]), random.bool()),
                6 => BaseAct::SlowInstalls(pick(random, &[1_000, 10_000, 30_000]), 60),
                _ => BaseAct::Untold(60_000),
            };
            Act::Base(random.usize(..BASES.len()), act)
        }
    }
}

/// Whether people act in a seed, and its `prod` is careful.
fn is_careful(seed: u64) -> bool {
    seed % 4 == 1
}

/// Whether a rollout to `prod` meets gates, freezes and held bases in a seed, too.
fn is_guarded(seed: u64) -> bool {
    seed % 8 == 7
}
