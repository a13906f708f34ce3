//! People, and an environment that asks them: what they do in a script, and as whom.
//!
//! In: a seed's chance, a person's act. Out: how careful `prod` is, the commands that people send, and who
//! clears up when the script has ended: all pauses are lifted, and what waits for approval gets it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ferry_bus::Write;
use ferry_events::{
    Command, CommandId, RunId, Verb,
    command::{OnBase, Rollout},
    gate::Ask,
    ids::derive,
    line::{Changed, Standing, Stretch},
};

use crate::{
    drive::{Driver, stranger},
    script::{Act, BASES, ENVIRONMENTS, MODULES, pick},
    world::World,
};

/// Who wrote every commit.
pub const AUTHOR: &str = "Ferry simulation";
/// Who may approve.
const OTHERS: [&str; 2] = ["ann", "bob"];
/// The environment that is careful, by number.
pub const CAREFUL: usize = 1;
/// What was asked for and did not come about is asked for again after this time.
const AGAIN_MS: u64 = 30_000;

/// How careful the last environment is.
#[derive(Clone, Debug, PartialEq)]
pub struct Careful {
    /// How many people must say yes before the first wave; 0: none is asked.
    pub approvals: u32,
    /// Between two waves, in milliseconds.
    pub pause_ms: u64,
    /// How long all bases together are watched, in milliseconds.
    pub soak_ms: u64,
    /// Whether a newer push cuts a soak short.
    pub cut_short: bool,
    /// Failed bases that are put up with.
    pub max_failures: u32,
    /// Whether it goes back wave by wave.
    pub reverse: bool,
    /// Whether its bases stand in two zones.
    pub zones: bool,
    /// At least every so many-th run goes live.
    pub live_every: u32,
    /// Whether nobody clears up before all is mended, so that waits end by their deadlines.
    pub nobody: bool,
}

/// What a word of a person is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everything.
    Everything,
    /// An environment, by number.
    Environment(usize),
    /// A module, by number.
    Module(usize),
    /// The newest run that is not over.
    Run,
}

/// What a person does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonAct {
    /// Approves the rollout that waits for it, or the newest run where none does.
    Approve {
        /// As the author, who must be refused.
        author: bool,
    },
    /// Lets the rollout go on that waits, or the newest run.
    Promote,
    /// Pauses.
    Pause(Whom),
    /// Resumes; of a run: whichever is paused.
    Resume(Whom),
    /// Aborts.
    Abort(Whom),
    /// Has a base left alone, by number.
    Hold(usize),
    /// Gives a base back, by number.
    Free(usize),
}

/// Up to which change of the line a unit had heard when it decided something: at least, and at most. Several
/// decisions are stored at a time.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// When it was last stored, or by what the decision follows from; none: of none.
    pub from: Option<u64>,
    /// When it was stored with that decision.
    pub to: Option<u64>,
}

/// What is paused and held.
#[derive(Clone, Default)]
pub struct Lines {
    /// What stands, and when each was said.
    pub standing: Vec<(Standing, u64)>,
    /// What stood after each change.
    pub after: BTreeMap<u64, Vec<Standing>>,
}

impl Lines {
    /// What a unit knows to stand: what stood after each change that may have been the last that it had heard.
    pub fn known(&self, heard: Heard) -> Vec<&Standing> {
        // Before the first change nothing stood.
        let Some(from) = heard.from.filter(|from| self.after.contains_key(from)) else {
            return Vec::new();
        };
        let to = heard.to.unwrap_or(from).max(from);
        let mut after = self.after.range(from..=to).map(|(_, standing)| standing);
        let first = after.next().into_iter().flatten();
        let rest: Vec<_> = after.collect();
        first
            .filter(|one| rest.iter().all(|standing| standing.contains(one)))
            .collect()
    }

    /// Takes in a change.
    pub fn change(&mut self, changed: &Changed, now_ms: u64) {
        let since = |one: &Standing| {
            let known = self.standing.iter().find(|(known, _)| known == one);
            known.map_or(now_ms, |(_, since)| *since)
        };
        let standing = changed.standing.iter();
        self.standing = standing.map(|one| (one.clone(), since(one))).collect();
        self.after.insert(changed.number, changed.standing.clone());
    }
}

impl Careful {
    /// One of chance.
    pub fn of_chance(random: &mut fastrand::Rng) -> Self {
        Self {
            approvals: pick(random, &[0, 0, 1, 2]),
            pause_ms: pick(random, &[0, 2_000, 20_000]),
            soak_ms: pick(random, &[0, 5_000, 40_000, 90_000]),
            cut_short: random.bool(),
            max_failures: random.u32(..2),
            reverse: random.bool(),
            zones: random.bool(),
            live_every: pick(random, &[2, 10]),
            nobody: random.u8(..4) == 0,
        }
    }

    /// Its keys in the environment's table.
    pub fn environment(&self) -> String {
        let mut text = format!(
            "pause = \"{}ms\"\nsoak = \"{}ms\"\nmax_failures = {}\nlive_every = {}\nwait = \"6m\"\n",
            self.pause_ms, self.soak_ms, self.max_failures, self.live_every
        );
        if self.cut_short {
            text.push_str("supersede = \"cut-short\"\n");
        }
        if self.reverse {
            text.push_str("rollback = \"reverse-waves\"\n");
        }
        if self.approvals > 0 {
            text.push_str(&format!(
                "approval = {{ count = {}, not_author = true, deadline = \"4m\" }}\n",
                self.approvals
            ));
        }
        text
    }

    /// The zone of a base.
    pub fn zone(&self, base: &str) -> &'static str {
        match self.zones && base.ends_with("-3") {
            true => "west",
            false => "east",
        }
    }
}

/// What people do, and when.
pub fn acts(random: &mut fastrand::Rng, end: u64) -> Vec<(u64, Act)> {
    let all = random.usize(2..=8);
    let whom = |random: &mut fastrand::Rng| match random.u8(..6) {
        0 => Whom::Everything,
        1 | 2 => Whom::Environment(random.usize(..ENVIRONMENTS.len())),
        3 => Whom::Module(random.usize(..2)),
        _ => Whom::Run,
    };
    let act = |random: &mut fastrand::Rng| {
        let act = match random.u8(..14) {
            0 => PersonAct::Approve { author: true },
            1..=4 => PersonAct::Approve { author: false },
            5 | 6 => PersonAct::Promote,
            7..=9 => PersonAct::Pause(whom(random)),
            10 | 11 => PersonAct::Resume(whom(random)),
            _ => PersonAct::Abort(whom(random)),
        };
        let twice_ms = pick(random, &[None, None, Some(0), Some(20), Some(15_000)]);
        (
            random.u64(3_000..end + 60_000),
            Act::Person { act, twice_ms },
        )
    };
    (0..all).map(|_| act(random)).collect()
}

/// The commands that were sent to clear up: when last, and how often.
pub(crate) type Cleared = BTreeMap<String, (u64, u32)>;

impl Driver {
    /// A person does something.
    pub(crate) fn person(&self, number: usize, act: PersonAct, twice_ms: Option<u64>) {
        let someone = OTHERS[number % OTHERS.len()];
        let Some((actor, verb)) = self.word(act, someone) else {
            return;
        };
        let id = CommandId(derive("simulated", &[&number.to_string()]));
        self.send(id, actor, verb, twice_ms);
    }

    /// What a person says, and who. Nothing, where there is no run yet.
    fn word(&self, act: PersonAct, someone: &'static str) -> Option<(&'static str, Verb)> {
        let seen = self.world.seen();
        let newest = seen.people.runs.iter().rev();
        let newest = newest
            .clone()
            .find(|(run, _)| seen.open.contains(run))
            .or_else(|| newest.clone().next());
        let waiting = |approval: bool| {
            let waits = seen.people.waits.values();
            let waits = waits.filter(|wait| !approval || matches!(wait.ask, Ask::Approval { .. }));
            let waits = waits.max_by_key(|wait| (wait.since, wait.gate));
            let of_newest = newest.map(|(run, module)| Rollout {
                run: *run,
                module: module.clone(),
                environment: ENVIRONMENTS[CAREFUL].into(),
            });
            waits
                .map(|wait| Rollout {
                    run: wait.run,
                    module: wait.module.clone(),
                    environment: wait.environment.clone(),
                })
                .or(of_newest)
        };
        let stretch = |whom| {
            Some(match whom {
                Whom::Everything => Stretch::Everything,
                Whom::Environment(number) => Stretch::Environment(ENVIRONMENTS[number].into()),
                Whom::Module(number) => Stretch::Module(MODULES[number].into()),
                Whom::Run => {
                    let (run, module) = newest?.clone();
                    Stretch::Run { run, module }
                }
            })
        };
        let mut standing = seen.people.lines.standing.iter();
        let paused = standing.find(|(one, _)| one.stretch.base().is_none());
        let on_base = |number: usize| {
            let (base, environment) = BASES[number];
            OnBase {
                base: base.into(),
                environment: environment.into(),
            }
        };
        Some(match act {
            PersonAct::Approve { author: true } => (AUTHOR, Verb::Approve(waiting(true)?)),
            PersonAct::Approve { author: false } => (someone, Verb::Approve(waiting(true)?)),
            PersonAct::Promote => (someone, Verb::Promote(waiting(false)?)),
            PersonAct::Pause(whom) => (someone, Verb::Pause(stretch(whom)?)),
            PersonAct::Resume(Whom::Run) => (someone, Verb::Resume(paused?.0.stretch.clone())),
            PersonAct::Resume(whom) => (someone, Verb::Resume(stretch(whom)?)),
            PersonAct::Abort(whom) => (someone, Verb::Abort(stretch(whom)?)),
            PersonAct::Hold(base) => (someone, Verb::Hold(on_base(base))),
            PersonAct::Free(base) => (someone, Verb::Release(on_base(base))),
        })
    }

    /// A command goes to a gateway as the API takes it; it may be stored once more, without its id.
    pub(crate) fn send(&self, id: CommandId, actor: &str, verb: Verb, twice_ms: Option<u64>) {
        let world = self.world.clone();
        let command = Command {
            id,
            at: world.bus.now(),
            actor: actor.into(),
            why: None,
            based_on: None,
            verb,
        };
        world.tell(actor, said(&command.verb));
        let Some(gateway) = self.gateway(0) else {
            return;
        };
        world
            .seen()
            .sent
            .insert(command.id, (command.actor.clone(), command.verb.clone()));
        tokio::spawn(async move {
            let times = world.restores().times;
            let taken = gateway.command(&command).await;
            if taken && times == world.restores().times {
                world.seen().commands.insert(command.id);
            }
            if let (true, Some(ms)) = (taken, twice_ms) {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                again(&world, &command);
            }
        });
    }

    /// All pauses are lifted, and whatever waits for approval gets it.
    pub(crate) fn clear_up(&mut self) {
        let world = self.world.clone();
        let now = world.now_ms();
        let mut wanted: Vec<(String, &str, Verb)> = Vec::new();
        {
            let seen = world.seen();
            for wait in seen.people.waits.values() {
                let rollout = Rollout {
                    run: wait.run,
                    module: wait.module.clone(),
                    environment: wait.environment.clone(),
                };
                match wait.ask {
                    Ask::Approval { count, .. } => {
                        for actor in OTHERS.into_iter().take(count as usize) {
                            let key = format!("{} {actor}", wait.gate);
                            wanted.push((key, actor, Verb::Approve(rollout.clone())));
                        }
                    }
                    // What could not be told, somebody must decide.
                    Ask::Decision => {
                        let key = format!("{} decided", wait.gate);
                        wanted.push((key, OTHERS[0], Verb::Promote(rollout)));
                    }
                    _ => {}
                }
            }
            for (standing, _) in &seen.people.lines.standing {
                let key = format!("{:?} {}", standing.stretch, standing.since);
                let verb = match &standing.stretch {
                    Stretch::Base { base, environment } => {
                        // A quarantine ends by itself, or is named.
                        if standing.quarantined && world.script.settings.guard.is_some() {
                            continue;
                        }
                        Verb::Release(OnBase {
                            base: base.clone(),
                            environment: environment.clone(),
                        })
                    }
                    stretch => Verb::Resume(stretch.clone()),
                };
                wanted.push((key, OTHERS[0], verb));
            }
        }
        for (key, actor, verb) in wanted {
            let (last, times) = self.cleared.entry(key.clone()).or_insert((0, 0));
            if *times > 0 && now < *last + AGAIN_MS {
                continue;
            }
            (*last, *times) = (now, *times + 1);
            let id = CommandId(derive("simulated", &[&key, &times.to_string()]));
            self.send(id, actor, verb, None);
        }
    }
}

fn again(world: &Arc<World>, command: &Command) {
    let write = Write::command(command);
    world.tell("bus", format!("command {} comes again", command.id.short()));
    stranger(world, &write.subject, write.payload);
}

/// What a person asked for, in words.
fn said(verb: &Verb) -> String {
    let of = |rollout: &Rollout| {
        let Rollout {
            run,
            module,
            environment,
        } = rollout;
        format!("run {} of {module} in {environment}", run.short())
    };
    match verb {
        Verb::Approve(rollout) => format!("approves {}", of(rollout)),
        Verb::Promote(rollout) => format!("promotes {}", of(rollout)),
        Verb::Pause(stretch) => format!("pauses {stretch}"),
        Verb::Resume(stretch) => format!("resumes {stretch}"),
        Verb::Abort(stretch) => format!("aborts {stretch}"),
        Verb::Hold(it) => format!("holds {}", it.base),
        Verb::Release(it) => format!("releases {}", it.base),
        other => format!("{other:?}"),
    }
}

/// The first pause that covers a run of a module in an environment.
pub(crate) fn covers<'a>(
    mut standing: impl Iterator<Item = &'a Standing>,
    run: RunId,
    module: &str,
    environment: &str,
) -> Option<&'a Standing> {
    standing.find(|one| one.stretch.covers(module, environment) && one.stretch.covers_run(run))
}
