//! Repairs: bases that run something other than what was verified last are brought back, within limits.
//!
//! In: what was seen of bases, what became of repairs, time. Out: a plan for those bases alone, with a
//! run of its own. It begins only when nothing is rolled out, and gives way to any rollout.

use std::collections::{BTreeMap, BTreeSet};

use ferry_config::Reconcile;
use ferry_events::{
    Body, Reason, RunId, Stop,
    artifact::Release,
    base::{Drifted, GivenUp, Lost, Seen},
    body::{BaseJoined, WaveFinished},
    fact::ActivePlan,
    rollout::{Aim, Direction, Finished, Limits, Plan, Planned, Requested, RolloutOutcome, Step},
    run::{self, Outcome, RunKind},
    subject,
};
use ferry_runtime::Context;

use super::{
    care::{Owed, is_other},
    plan,
    queue::Queue,
    rollout::Rollouts,
    run_uri,
    unit::{Active, Making, Unit, ended, named, unit_scope},
};

/// Bases in one repair: as many as an installer changes at a time. The others follow in the next one.
const BASES_MAX: usize = 64;
/// Bases that a repair's message names.
const NAMED_MAX: usize = 3;
/// Where repairs are switched off, how long until it is looked whether they are on again.
const LOOK_AGAIN: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

pub(super) trait Repairs: Sized {
    /// A base was seen to run something other than what was left there.
    fn drifted(self, drifted: &Drifted, context: &Context) -> Self;
    /// A base answers, again or for the first time.
    fn joined(self, seen: &BaseJoined, context: &Context) -> Self;
    /// A base does not answer any more.
    fn lost(self, lost: &Lost, context: &Context) -> Self;
    /// These bases could not be brought back.
    fn owe(self, broken: &[Stop], context: &Context) -> Self;
    /// The rollout in hand is verified: bases that came after its plan was made are behind.
    fn owe_others(self, context: &Context) -> Self;
    /// Begins a repair of the bases that are due, when nothing is in hand.
    fn reconcile(self, context: &Context) -> Self;
    /// Ends a repair's wave once every base has settled, and goes on from there.
    fn advance_repair(self, context: &Context) -> Self;
    /// Ends a repair because a rollout takes its place.
    fn give_way(self, to: &Requested, context: &Context) -> Self;
}

/// The bases of the module in the environment, with their pools.
pub(super) fn pools(unit: &Unit, context: &Context) -> BTreeMap<String, String> {
    context
        .config
        .bases_of(&unit.module, &unit.environment)
        .into_iter()
        .map(|(pool, base)| (base.name.clone(), pool.to_owned()))
        .collect()
}

/// The pool of a base, if it is one of the module's in the environment.
fn pool_of(unit: &Unit, base: &str, context: &Context) -> Option<String> {
    let (found, _) = context.config.base(base)?;
    let of_module = context.config.pools_of_module(&unit.module).into_iter();
    let mut of_unit = of_module.filter(|(_, pool)| pool.environment == unit.environment);
    of_unit
        .any(|(pool, _)| pool == found)
        .then(|| found.to_owned())
}

/// Versions of a module that a base reports; only the active ones where there is one or none.
fn versions(seen: &Seen, biz: &str) -> Vec<String> {
    let there = || seen.modules.iter().filter(|one| one.name == biz);
    let several = there().count() > 1;
    there()
        .filter(|one| several || one.state == "activated")
        .map(|one| one.version.clone())
        .collect()
}

impl Unit {
    /// Whether these versions are something else than what the base should run.
    fn is_other(&self, pool: &str, actual: &[String]) -> bool {
        is_other(self.verified.first(), &self.rejected, pool, actual)
    }

    /// Its module, and the name under which bases know it; none before anything was rolled out.
    pub(super) fn known_as(&self) -> Option<(String, String)> {
        let in_hand = self.active.as_ref().or(self.gated.as_ref());
        let in_hand = in_hand.map(|active| &active.release);
        let release = self.verified.first().or(self.failed.as_ref()).or(in_hand)?;
        Some((release.module.clone(), release.biz.name.clone()))
    }

    /// A person gives a base back: it is brought up to date at once, however often it was tried before.
    pub(super) fn is_released(&mut self, base: &str, context: &Context) {
        if let Some(care) = self.care.get_mut(base) {
            care.reset(context.now);
            care.quarantined = None;
        }
    }

    /// Takes in what is on a base. During a rollout either version may be: it is looked at when that ended.
    fn sees(&mut self, base: &str, pool: &str, actual: Vec<String>, context: &Context) {
        let other = self.is_other(pool, &actual) || self.is_rolling_out();
        let Some(care) = self.care.get_mut(base) else {
            return;
        };
        if other {
            care.differs(actual, context.now, &context.config.reconcile);
        } else {
            care.owed = None;
        }
    }
}

impl Repairs for Making {
    fn drifted(mut self, drifted: &Drifted, context: &Context) -> Self {
        let unit = &mut self.state;
        if unit.known_as().is_none() {
            return self;
        }
        unit.is_of(&drifted.module, &drifted.environment);
        let Some(pool) = pool_of(unit, &drifted.base, context) else {
            return self;
        };
        let care = unit.care.entry(&drifted.base);
        if drifted.sighting <= care.sighting || drifted.revision < care.revision {
            return self;
        }
        care.sighting = drifted.sighting;
        care.lost = false;
        unit.sees(&drifted.base, &pool, drifted.actual.clone(), context);
        self.reconcile(context)
    }

    fn joined(mut self, seen: &BaseJoined, context: &Context) -> Self {
        let unit = &mut self.state;
        let Some((module, biz)) = unit.known_as() else {
            if let Some(care) = unit.care.get_mut(&seen.base)
                && seen.sighting > care.sighting
            {
                (care.sighting, care.lost) = (seen.sighting, false);
            }
            return self;
        };
        unit.is_of(&module, &seen.environment);
        let Some(pool) = pool_of(unit, &seen.base, context) else {
            return self;
        };
        let actual = versions(seen, &biz);
        let known = unit.care.get(&seen.base).cloned().unwrap_or_default();
        let revision = seen.revisions.get(&unit.module).copied().unwrap_or(0);
        let stale = revision < known.revision;
        let news = known.lost
            || known.owed.is_some()
            || (!stale
                && (unit.is_rolling_out()
                    || unit.gated.is_some()
                    || unit.is_other(&pool, &actual)));
        if seen.sighting <= known.sighting || !news {
            return self;
        }
        let care = unit.care.entry(&seen.base);
        care.sighting = seen.sighting;
        care.lost = false;
        if !stale {
            unit.sees(&seen.base, &pool, actual, context);
        }
        self.admit(context).reconcile(context)
    }

    fn lost(mut self, lost: &Lost, context: &Context) -> Self {
        let unit = &mut self.state;
        // Before the first rollout, too: it must not take more out of a zone than it may.
        if let Some((module, _)) = unit.known_as() {
            unit.is_of(&module, &lost.environment);
            if pool_of(unit, &lost.base, context).is_none() {
                return self;
            }
        }
        let care = unit.care.entry(&lost.base);
        if lost.sighting > care.sighting {
            care.sighting = lost.sighting;
            care.lost = true;
        }
        self
    }

    fn owe(mut self, broken: &[Stop], context: &Context) -> Self {
        for stop in broken {
            if let Some(base) = &stop.base {
                let care = self.state.care.entry(base);
                care.failed(stop, context.now, &context.config.reconcile);
            }
        }
        self
    }

    fn owe_others(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        let Some(active) = &unit.active else {
            return self;
        };
        let changed = |base: &&str| !active.left_out.contains_key(*base);
        let changed = active.plan.bases().filter(changed).map(str::to_owned);
        let changed: BTreeSet<String> = changed.collect();
        let of_plan = active.plan.left_out.iter().map(|one| &one.step.base);
        let left_out = active.left_out.keys().chain(of_plan);
        let left_out: BTreeSet<String> = left_out.cloned().collect();
        let before = unit.verified.first().cloned();
        for (base, pool) in pools(unit, context) {
            if changed.contains(&base) {
                continue;
            }
            if left_out.contains(&base) {
                unit.care.entry(&base);
            }
            // One that never answered is looked at when it joins.
            if let Some(care) = unit.care.get_mut(&base)
                && care.owed.is_none()
            {
                let runs = before
                    .as_ref()
                    .and_then(|before| plan::want(before, &pool))
                    .map(|want| want.version);
                care.differs(
                    runs.into_iter().collect(),
                    context.now,
                    &context.config.reconcile,
                );
            }
        }
        self
    }

    fn reconcile(mut self, context: &Context) -> Self {
        let unit = &mut self.state;
        if unit.active.is_some() || (unit.queued.is_some() && unit.gated.is_none()) {
            return self;
        }
        let (now, limits) = (context.now, &context.config.reconcile);
        let due: Vec<String> = unit
            .repairs_due()
            .filter(|(_, next)| *next <= now)
            .map(|(base, _)| base.clone())
            .collect();
        if due.is_empty() {
            return self;
        }
        let pools = pools(unit, context);
        let verified = unit.verified.first().cloned();
        let Some(release) = verified.clone().or_else(|| unit.failed.clone()) else {
            // Nothing was ever decided for them.
            for base in due {
                if let Some(care) = unit.care.get_mut(&base) {
                    care.owed = None;
                }
            }
            return self;
        };
        let (mut steps, mut given_up, mut why) = (Vec::new(), Vec::new(), Vec::new());
        for base in due {
            let Some(pool) = pools.get(&base) else {
                unit.care.remove(&base);
                continue;
            };
            let want = verified
                .as_ref()
                .and_then(|release| plan::want(release, pool));
            let rejected = std::mem::take(&mut unit.rejected);
            let other = |actual: &Vec<String>| is_other(verified.as_ref(), &rejected, pool, actual);
            let used_up = unit
                .care
                .get(&base)
                .is_some_and(|care| care.is_used_up(limits));
            if let Some(care) = unit.care.get_mut(&base)
                && let Some(owed) = &mut care.owed
            {
                let right = owed.actual.as_ref().is_some_and(|actual| !other(actual));
                // A release without a jar for its pool was never decided for this base.
                if right || (verified.is_some() && want.is_none()) {
                    care.owed = None;
                } else if !limits.enabled {
                    owed.next = Some(now + LOOK_AGAIN);
                } else if used_up {
                    if !owed.is_given_up() {
                        let stop = given_up_because(owed, care.begun.len(), limits).on(&base);
                        owed.stop = Some(stop.clone());
                        given_up.push(GivenUp {
                            base: base.clone(),
                            environment: unit.environment.clone(),
                            module: unit.module.clone(),
                            wanted: want.map(|want| want.version),
                            repairs: u32::try_from(care.begun.len()).unwrap_or(u32::MAX),
                            stop,
                        });
                    }
                    owed.next = None;
                } else if steps.len() < BASES_MAX {
                    care.begun.push(now);
                    why.push(cause(&base, owed.actual.as_deref()));
                    let zone = context.config.base(&base);
                    steps.push(Step {
                        zone: zone.map(|(_, base)| base.zone.clone()).unwrap_or_default(),
                        base,
                        pool: pool.clone(),
                    });
                }
            }
            unit.rejected = rejected;
        }
        let scope = super::scope(&context.config, &unit.module).within(&unit.environment);
        for body in given_up {
            self = self.say(scope.clone(), body);
        }
        if steps.is_empty() {
            return self;
        }
        self.begin_repair(release, steps, &why, context)
    }

    fn advance_repair(mut self, context: &Context) -> Self {
        let Some(active) = &self.state.active else {
            return self;
        };
        if active.is_busy() {
            return self;
        }
        let scope = unit_scope(context, &active.requested);
        let stop = not_brought_back(active);
        let wave = WaveFinished(active.describe_wave(stop.clone()));
        let (last, broken) = (
            active.wave + 1 >= active.plan.waves.len(),
            active.broken.clone(),
        );
        self = self.say(scope, wave);
        if !last {
            if let Some(active) = &mut self.state.active {
                active.wave += 1;
            }
            return self.start_wave(context);
        }
        let outcome = match stop {
            None => RolloutOutcome::Verified,
            Some(_) => RolloutOutcome::Broken,
        };
        self.owe(&broken, context)
            .end_repair(outcome, stop, context)
            .next(context)
    }

    fn give_way(self, to: &Requested, context: &Context) -> Self {
        let broken = self
            .state
            .active
            .as_ref()
            .map(|active| active.broken.clone())
            .unwrap_or_default();
        let why = format!("the rollout of run {} took its place", to.run.short());
        self.owe(&broken, context).end_repair(
            RolloutOutcome::Superseded,
            Some(Stop::new(Reason::Superseded, why)),
            context,
        )
    }
}

/// What a base runs, for people.
fn cause(base: &str, actual: Option<&[String]>) -> String {
    match actual {
        None => format!("{base} could not be changed before"),
        Some([]) => format!("{base} runs none"),
        Some(versions) => format!("{base} runs {}", versions.join(", ")),
    }
}

fn message(why: &[String]) -> String {
    let named = why[..why.len().min(NAMED_MAX)].join("; ");
    match why.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

fn given_up_because(owed: &Owed, repairs: usize, limits: &Reconcile) -> Stop {
    let last = match &owed.stop {
        Some(stop) => format!("at last: {stop}"),
        None => match owed.actual.as_deref().unwrap_or_default() {
            [] => "it lost the module each time".to_owned(),
            versions => format!("it runs {} each time", versions.join(", ")),
        },
    };
    let window = humantime::format_duration(limits.window);
    Stop::new(
        Reason::RepairGivenUp,
        format!("brought back {repairs} times within {window}; {last}"),
    )
}

/// Why a repair is broken: each base that could not be brought back, with its cause.
fn not_brought_back(active: &Active) -> Option<Stop> {
    let causes: Vec<String> = active.broken.iter().map(ToString::to_string).collect();
    let stop = Stop::new(Reason::RepairFailed, causes.join("; "));
    match active.broken.as_slice() {
        [] => None,
        [only] => Some(Stop {
            base: only.base.clone(),
            ..Stop::new(
                Reason::RepairFailed,
                format!("{}: {}", only.reason, only.detail),
            )
        }),
        _ => Some(stop),
    }
}

trait Ends: Sized {
    fn begin_repair(
        self,
        release: Release,
        steps: Vec<Step>,
        why: &[String],
        context: &Context,
    ) -> Self;
    fn end_repair(self, outcome: RolloutOutcome, stop: Option<Stop>, context: &Context) -> Self;
}

impl Ends for Making {
    fn begin_repair(
        mut self,
        release: Release,
        steps: Vec<Step>,
        why: &[String],
        context: &Context,
    ) -> Self {
        let unit = &mut self.state;
        let (module, environment) = (unit.module.clone(), unit.environment.clone());
        unit.generation += 1;
        let run = RunId::of_repair(&module, &environment, unit.generation);
        let at_a_time = context
            .config
            .environments
            .get(&environment)
            .map_or(0, |environment| {
                environment.parallel.at_most_of(steps.len())
            });
        let size = match at_a_time {
            0 => steps.len(),
            some => some,
        };
        let pools: Vec<String> = steps.iter().map(|step| step.pool.clone()).collect();
        let pools = pools.iter().map(String::as_str);
        let verified = unit.verified.first();
        let plan = Plan {
            run,
            module: module.clone(),
            environment: environment.clone(),
            direction: Direction::Repair,
            generation: unit.generation,
            configuration: context.revision.clone(),
            wants: plan::wants(verified, pools),
            restores: BTreeMap::new(),
            judge: plan::judge(&context.config, &module, verified, false),
            limits: Limits::default(),
            gates: Vec::new(),
            waves: steps.chunks(size).map(<[Step]>::to_vec).collect(),
            left_out: Vec::new(),
        };
        let requested = Requested {
            run,
            module: module.clone(),
            environment: environment.clone(),
            branch: String::new(),
            order: 0,
            aim: Aim::Release(Box::new(release.clone())),
            author: None,
            force: false,
            passed: Vec::new(),
            joint: None,
        };
        let scope = super::scope(&context.config, &module);
        let queued = run::Queued {
            run,
            module: module.clone(),
            kind: RunKind::Repair,
            environments: vec![environment],
            repository: context
                .config
                .module(&module)
                .map(|module| module.repository.clone())
                .unwrap_or_default(),
            branch: String::new(),
            commit: release.commit.clone(),
            author: None,
            message: Some(message(why)),
            push: None,
            command: None,
        };
        let started = run::Started {
            run,
            module,
            uri: run_uri(&context.config, run),
        };
        let active = Active::new(requested, release, plan, context.now);
        let planned = Planned {
            id: active.id.clone(),
            plan: active.plan.as_ref().clone(),
            version: verified.map(|verified| verified.version().to_owned()),
            because: None,
        };
        let of_unit = unit_scope(context, &active.requested);
        unit.active = Some(active);
        self.say(scope.clone(), queued)
            .say(scope, started)
            .say(of_unit, planned)
            .start_wave(context)
    }

    fn end_repair(
        mut self,
        outcome: RolloutOutcome,
        stop: Option<Stop>,
        context: &Context,
    ) -> Self {
        let Some(active) = self.state.active.take() else {
            return self;
        };
        let requested = &active.requested;
        let live = self.state.verified.first();
        let rollout = Finished {
            failed: named(&active.broken),
            ..ended(requested, outcome, live, stop.clone())
        };
        let run = run::Finished {
            run: requested.run,
            module: requested.module.clone(),
            outcome: match outcome {
                RolloutOutcome::Verified => Outcome::Success,
                RolloutOutcome::Superseded => Outcome::Cancel,
                _ => Outcome::Error,
            },
            stop,
            environment: Some(requested.environment.clone()),
        };
        let none = ActivePlan {
            plan: None,
            run: None,
        };
        let fact = subject::plan_fact(&requested.module, &requested.environment);
        let scope = unit_scope(context, requested);
        let of_run = super::scope(&context.config, &requested.module);
        self.fact(fact, &none)
            .say(scope, Body::from(rollout))
            .say(of_run, run)
    }
}
