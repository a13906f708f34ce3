//! Restarts: the bases of an environment that are to be restarted, one at a time.
//!
//! In: what bases report of their metaspace, people's commands, which modules can spare a base, what became of a
//! restart, time. Out: the list, a turn for each base on it, and how each ended. Which moment is right for a
//! module is its unit's to say (`spare.rs`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use ferry_config::{Config, Pool, Restart};
use ferry_events::{
    Body, Command, CommandId, Reason, Scope, Stop, Timestamp, Verb,
    base::{Lost, Seen},
    command::{OnBase, Settled},
    line::Changed,
    restart::{Asked, Cause, Finished, Given, Listed, Outcome, Over, Requested, Turn},
};
use ferry_runtime::{Context, Decision, Fault, Input};
use serde::{Deserialize, Serialize};

use super::{
    Nothing,
    care::{delta, later},
    unit::keep_last,
};

/// Commands that are remembered, so that a repeat of one says nothing again.
const COMMANDS_MAX: usize = 64;
/// Bases on one list: more than are restarted one by one in a night.
const LISTED_MAX: usize = 256;
/// By when the installer has begun what it is asked for: it may have one task of that base in hand.
const BEGIN_WITHIN: TimeDelta = TimeDelta::minutes(15);
/// Room for what is not counted: a restart of a service, a slow bus.
const SLACK: TimeDelta = TimeDelta::minutes(2);
/// Modules that a stop names.
const NAMED_MAX: usize = 5;

/// The list of an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Restarts {
    /// Counts the turns.
    number: u64,
    /// The bases that wait for their turn, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<Entry>,
    /// The turn in hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<InTurn>,
    /// What was seen last, by base.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen: BTreeMap<String, Sight>,
    /// Bases that people hold, and in whose words: they are not restarted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    held: BTreeMap<String, String>,
    /// Up to which change of the line that is so.
    #[serde(default, skip_serializing_if = "super::unit::is_zero")]
    line: u64,
    /// The last commands that were taken or refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<CommandId>,
}

/// A base on the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    base: String,
    pool: String,
    environment: String,
    cause: Cause,
    /// Its turn does not come before; none: it waits for a driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Timestamp>,
}

/// A base as it was seen last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sight {
    sighting: u64,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
    /// Names of the modules that are active there.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    active: BTreeSet<String>,
    /// Metaspace taken from the system and its limit, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metaspace: Option<(u64, u64)>,
}

/// How far a turn is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    /// These modules have not answered yet.
    Asking {
        /// By their names.
        missing: BTreeSet<String>,
    },
    /// The installer has it.
    Restarting,
    /// It was restarted at that time, and its modules are being brought back.
    Settling {
        /// When its driver had ended.
        since: Timestamp,
    },
}

/// The turn in hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct InTurn {
    turn: Turn,
    cause: Cause,
    stage: Stage,
    deadline: Timestamp,
    /// The names of the modules that it should carry.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    carries: BTreeSet<String>,
}

type Making = Decision<Restarts>;

fn driver<'a>(config: &'a Config, pool: &str) -> Option<&'a Restart> {
    config.pools.get(pool)?.restart.as_ref()
}

/// Whether bases of a pool may come on a list: what they report matters then.
pub(super) fn is_kept(config: &Config, pool: &str) -> bool {
    let pool = config.pools.get(pool);
    pool.is_some_and(|pool| pool.metaspace_mark.is_some() || pool.restart.is_some())
}

fn after(now: Timestamp, by: std::time::Duration) -> Timestamp {
    later(now, delta(by))
}

/// When a base must be back at the latest, if its turn is given at this moment.
fn back_by(config: &Config, pool: &str, restart: &Restart, given: Timestamp) -> Timestamp {
    let drain = config.pools.get(pool).map(Pool::drain_time);
    let takes = restart.timeout + restart.ready + drain.unwrap_or_default();
    after(given, takes) + BEGIN_WITHIN + SLACK
}

impl Entry {
    /// Whether a person waits for it.
    fn is_asked(&self) -> bool {
        matches!(self.cause, Cause::Asked { .. })
    }
}

impl Restarts {
    pub(super) fn decide(
        &self,
        input: &Input<Nothing>,
        context: &Context,
    ) -> Result<Making, Fault> {
        let making = Decision::to(self.clone());
        let making = match input {
            Input::Command(command) => making.told_to(command, context),
            Input::Event(event) => match &event.body {
                Body::BaseJoined(seen) => making.sees(seen, context),
                Body::BaseChanged(seen) => making.sees(seen, context),
                Body::BaseLost(lost) => making.loses(lost),
                Body::LineChanged(changed) => making.hears(changed),
                Body::RestartGiven(given) => making.given(given, context),
                Body::RestartFinished(finished) => making.finished(finished, context),
                _ => making,
            },
            Input::Due => making.overdue(context),
            _ => making,
        };
        let making = making.go_on(context);
        Ok(match making.state.turn {
            Some(_) => making,
            None => making.begin(context),
        })
    }

    /// When it must look again: the turn's deadline, or when the next turn may begin.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match &self.turn {
            Some(turn) => Some(turn.deadline),
            None => {
                let waiting = self.list.iter().filter(|entry| !self.waits_for_base(entry));
                waiting.filter_map(|entry| entry.next).min()
            }
        }
    }

    /// A base that a person holds waits for its release. One that is over its mark and does not answer begins
    /// anew by itself.
    fn waits_for_base(&self, entry: &Entry) -> bool {
        if self.held.contains_key(&entry.base) {
            return true;
        }
        let lost = self.seen.get(&entry.base).is_some_and(|seen| seen.lost);
        lost && !entry.is_asked()
    }

    fn is_in_turn(&self, base: &str) -> bool {
        let turn = self.turn.as_ref();
        turn.is_some_and(|it| it.turn.base == base)
    }

    /// That its metaspace is over the mark of its pool.
    fn over_mark(&self, base: &str, pool: &str, config: &Config) -> Option<Cause> {
        let pool = config.pools.get(pool)?;
        let (committed, max) = self.seen.get(base)?.metaspace?;
        let is_over = pool.is_over_mark(committed, max)?;
        is_over.then_some(Cause::Metaspace {
            committed,
            max,
            mark: pool.metaspace_mark?,
        })
    }
}

fn why_held(held: &BTreeMap<String, String>, base: &str) -> Stop {
    let why = held.get(base).cloned().unwrap_or_default();
    Stop::new(Reason::BaseHeld, why).on(base)
}

fn of_environment(environment: &str) -> Scope {
    Scope::default().within(environment)
}

trait Moves: Sized {
    fn told_to(self, command: &Command, context: &Context) -> Self;
    fn sees(self, seen: &Seen, context: &Context) -> Self;
    fn loses(self, lost: &Lost) -> Self;
    fn hears(self, changed: &Changed) -> Self;
    fn given(self, given: &Given, context: &Context) -> Self;
    fn finished(self, finished: &Finished, context: &Context) -> Self;
    fn overdue(self, context: &Context) -> Self;
    fn go_on(self, context: &Context) -> Self;
    fn list(self, entry: Entry, context: &Context) -> Self;
    fn begin(self, context: &Context) -> Self;
    fn end(self, outcome: Outcome, stop: Option<Stop>, context: &Context) -> Self;
}

impl Moves for Making {
    fn told_to(mut self, command: &Command, context: &Context) -> Self {
        let Verb::Restart(OnBase { base, environment }) = &command.verb else {
            return self;
        };
        let state = &mut self.state;
        if state.commands.contains(&command.id) {
            return self;
        }
        state.commands.push(command.id);
        keep_last(&mut state.commands, COMMANDS_MAX);
        let found = context.config.base(base).map(|(pool, _)| pool.to_owned());
        let listed = state.list.iter().find(|entry| entry.base == *base);
        let refusal = match &found {
            None => Some(Stop::new(
                Reason::BaseUnreachable,
                format!("the configuration has no base {base} any more"),
            )),
            Some(pool) if driver(&context.config, pool).is_none() => Some(Stop::new(
                Reason::NoRestartDriver,
                format!("[pools.{pool}.restart] is not set"),
            )),
            _ if state.held.contains_key(base) => Some(why_held(&state.held, base)),
            _ if state.is_in_turn(base) || listed.is_some_and(Entry::is_asked) => Some(Stop::new(
                Reason::NotWaiting,
                format!("{base} is on the list of restarts already"),
            )),
            _ if state.list.len() >= LISTED_MAX => Some(Stop::new(
                Reason::TooMany,
                format!("{LISTED_MAX} bases wait for a restart"),
            )),
            _ => None,
        };
        let scope = of_environment(environment);
        let settled = Settled::of(command, None, refusal.clone());
        let making = self.say(scope, settled);
        let (None, Some(pool)) = (refusal, found) else {
            return making;
        };
        let entry = Entry {
            base: base.clone(),
            pool,
            environment: environment.clone(),
            cause: Cause::Asked {
                actor: command.actor.clone(),
                why: command.why.clone(),
                command: command.id,
            },
            next: Some(context.now),
        };
        making.list(entry, context)
    }

    fn sees(mut self, seen: &Seen, context: &Context) -> Self {
        let state = &mut self.state;
        if !is_kept(&context.config, &seen.pool) {
            return self;
        }
        let known = state.seen.get(&seen.base);
        if known.is_some_and(|known| known.sighting >= seen.sighting) {
            return self;
        }
        let active = seen.modules.iter().filter(|one| one.state == "activated");
        let sight = Sight {
            sighting: seen.sighting,
            at: seen.at,
            lost: false,
            active: active.map(|one| one.name.clone()).collect(),
            metaspace: seen.metaspace_committed.zip(seen.metaspace_max),
        };
        state.seen.insert(seen.base.clone(), sight);
        let over = state.over_mark(&seen.base, &seen.pool, &context.config);
        let place = state.list.iter().position(|entry| entry.base == seen.base);
        let listed = place.map(|place| &state.list[place].cause);
        match (over, listed) {
            (Some(cause), None) if !state.is_in_turn(&seen.base) => {
                let entry = Entry {
                    base: seen.base.clone(),
                    pool: seen.pool.clone(),
                    environment: seen.environment.clone(),
                    cause,
                    next: Some(context.now),
                };
                self.list(entry, context)
            }
            (None, Some(Cause::Metaspace { .. })) => {
                if let Some(place) = place {
                    state.list.remove(place);
                }
                let over = Over {
                    base: seen.base.clone(),
                    pool: seen.pool.clone(),
                    environment: seen.environment.clone(),
                    turn: None,
                    outcome: Outcome::NotNeeded,
                    stop: None,
                };
                self.say(of_environment(&seen.environment), over)
            }
            _ => self,
        }
    }

    fn loses(mut self, lost: &Lost) -> Self {
        if let Some(sight) = self.state.seen.get_mut(&lost.base)
            && sight.sighting < lost.sighting
        {
            sight.sighting = lost.sighting;
            sight.lost = true;
        }
        self
    }

    fn hears(mut self, changed: &Changed) -> Self {
        let state = &mut self.state;
        if changed.number <= state.line {
            return self;
        }
        state.line = changed.number;
        let held = changed.standing.iter().filter(|one| !one.quarantined);
        let held = held.filter(|one| one.stretch.environment() == changed.stretch.environment());
        state.held = held
            .filter_map(|one| Some((one.stretch.base()?.to_owned(), one.to_string())))
            .collect();
        self
    }

    fn given(mut self, given: &Given, context: &Context) -> Self {
        let Some(it) = &mut self.state.turn else {
            return self;
        };
        let Stage::Asking { missing } = &mut it.stage else {
            return self;
        };
        if it.turn != given.turn {
            return self;
        }
        match &given.stop {
            None => {
                if missing.remove(&given.module) {
                    it.carries.extend(given.biz.clone());
                }
                self
            }
            Some(stop) => {
                let stop = stop.clone().on(&given.turn.base);
                self.end(Outcome::Failed, Some(stop), context)
            }
        }
    }

    fn finished(mut self, finished: &Finished, context: &Context) -> Self {
        let Some(it) = &mut self.state.turn else {
            return self;
        };
        if it.turn != finished.turn || it.stage != Stage::Restarting {
            return self;
        }
        if let Some(stop) = &finished.stop {
            let stop = stop.clone().on(&finished.turn.base);
            return self.end(Outcome::Failed, Some(stop), context);
        }
        let settle = driver(&context.config, &it.turn.pool).map(|driver| driver.settle);
        it.deadline = after(context.now, settle.unwrap_or_default());
        it.stage = Stage::Settling {
            since: finished.ended,
        };
        self
    }

    fn overdue(self, context: &Context) -> Self {
        let Some(it) = &self.state.turn else {
            return self;
        };
        if context.now < it.deadline {
            return self;
        }
        let base = &it.turn.base;
        let why = match &it.stage {
            Stage::Asking { missing } => {
                let named: Vec<&str> = missing.iter().take(NAMED_MAX).map(String::as_str).collect();
                let more = match missing.len().saturating_sub(NAMED_MAX) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("{}{more} could not spare it in time", named.join(", "))
            }
            Stage::Restarting => "the installer did not say in time what came of it".to_owned(),
            Stage::Settling { .. } => {
                let there = self.state.seen.get(base);
                let is_there =
                    |module: &&String| there.is_some_and(|seen| seen.active.contains(*module));
                let missing: Vec<&str> = it
                    .carries
                    .iter()
                    .filter(|module| !is_there(module))
                    .map(String::as_str)
                    .collect();
                match missing.as_slice() {
                    [] => "it was not seen to have ended: does the command restart it?".to_owned(),
                    missing => format!("it answers, but without {}", missing.join(", ")),
                }
            }
        };
        let stop = Stop::new(Reason::RestartFailed, why).on(base);
        self.end(Outcome::Failed, Some(stop), context)
    }

    /// Whatever the turn in hand can go on with now.
    fn go_on(mut self, context: &Context) -> Self {
        let state = &mut self.state;
        let Some(it) = &mut state.turn else {
            return self;
        };
        let Some(restart) = driver(&context.config, &it.turn.pool) else {
            let why = format!("[pools.{}.restart] is not set any more", it.turn.pool);
            let stop = Stop::new(Reason::NoRestartDriver, why).on(&it.turn.base);
            return self.end(Outcome::Failed, Some(stop), context);
        };
        match &mut it.stage {
            Stage::Asking { .. } if state.held.contains_key(&it.turn.base) => {
                let stop = why_held(&state.held, &it.turn.base);
                self.end(Outcome::Failed, Some(stop), context)
            }
            Stage::Asking { missing } => {
                missing.retain(|module| context.config.modules.contains_key(module));
                if !missing.is_empty() {
                    return self;
                }
                it.stage = Stage::Restarting;
                it.deadline = back_by(&context.config, &it.turn.pool, restart, context.now);
                let requested = Requested {
                    turn: it.turn.clone(),
                    begin_by: context.now + BEGIN_WITHIN,
                };
                let scope = of_environment(&it.turn.environment);
                self.say(scope, requested)
            }
            Stage::Restarting => self,
            Stage::Settling { since } => {
                let seen = state.seen.get(&it.turn.base);
                let back = seen.is_some_and(|seen| {
                    !seen.lost && seen.at > *since && it.carries.is_subset(&seen.active)
                });
                if !back && !it.carries.is_empty() {
                    return self;
                }
                self.end(Outcome::Restarted, None, context)
            }
        }
    }

    fn list(mut self, entry: Entry, context: &Context) -> Self {
        let list = &mut self.state.list;
        list.retain(|one| one.base != entry.base);
        if list.len() >= LISTED_MAX {
            return self;
        }
        let listed = Listed {
            base: entry.base.clone(),
            pool: entry.pool.clone(),
            environment: entry.environment.clone(),
            cause: entry.cause.clone(),
            since: context.now,
            driven: driver(&context.config, &entry.pool).is_some(),
        };
        // Whom a person waits for comes before those that wait for themselves.
        let place = match entry.is_asked() {
            true => list.iter().take_while(|one| one.is_asked()).count(),
            false => list.len(),
        };
        let scope = of_environment(&entry.environment);
        list.insert(place, entry);
        self.say(scope, listed)
    }

    fn begin(mut self, context: &Context) -> Self {
        let state = &mut self.state;
        let config = &context.config;
        // Who was taken out of the configuration waits for nothing.
        state
            .list
            .retain(|entry| config.base(&entry.base).is_some());
        state.seen.retain(|base, _| config.base(base).is_some());
        for entry in &mut state.list {
            if driver(config, &entry.pool).is_none() {
                entry.next = None;
            }
        }
        let mut list = state.list.iter().enumerate();
        let next = list.find_map(|(place, entry)| {
            let restart = driver(config, &entry.pool)?;
            let is_due = entry.next.is_none_or(|next| next <= context.now);
            (is_due && !state.waits_for_base(entry)).then_some((place, restart))
        });
        let Some((place, restart)) = next else {
            return self;
        };
        let entry = state.list.remove(place);
        state.number += 1;
        let turn = Turn {
            number: state.number,
            base: entry.base,
            pool: entry.pool,
            environment: entry.environment,
        };
        let until = after(context.now, restart.wait);
        let missing = super::modules_of_pool(config, &turn.pool)
            .map(str::to_owned)
            .collect();
        let asked = Asked {
            turn: turn.clone(),
            until,
            back_by: back_by(config, &turn.pool, restart, until),
        };
        let scope = of_environment(&turn.environment);
        state.turn = Some(InTurn {
            turn,
            cause: entry.cause,
            stage: Stage::Asking { missing },
            deadline: until,
            carries: BTreeSet::new(),
        });
        // Where no module is on its bases, nobody has to be asked.
        self.say(scope, asked).go_on(context)
    }

    fn end(mut self, outcome: Outcome, stop: Option<Stop>, context: &Context) -> Self {
        let Some(it) = self.state.turn.take() else {
            return self;
        };
        let InTurn { turn, cause, .. } = it;
        let over = Over {
            base: turn.base.clone(),
            pool: turn.pool.clone(),
            environment: turn.environment.clone(),
            turn: Some(turn.number),
            outcome,
            stop,
        };
        let making = self.say(of_environment(&turn.environment), over);
        // One that is still over its mark gets another turn, not at once.
        let state = &making.state;
        let still = state.over_mark(&turn.base, &turn.pool, &context.config);
        let every = driver(&context.config, &turn.pool).map(|driver| driver.every);
        match still
            .filter(|_| matches!(cause, Cause::Metaspace { .. }) || outcome == Outcome::Restarted)
        {
            Some(cause) => {
                let entry = Entry {
                    base: turn.base,
                    pool: turn.pool,
                    environment: turn.environment,
                    cause,
                    next: Some(after(context.now, every.unwrap_or_default())),
                };
                making.list(entry, context)
            }
            None => making,
        }
    }
}
