//! The invariants, looked at from outside when all is at rest.
//!
//! In: the world: its events in order, each base's own ledger and modules, the repository. Out: what is
//! broken goes to [`World::broken`]; what is live, by module and environment.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, Digest, PushId, Reason, RunId, TaskId,
    fact::Wanted,
    joint::Joint,
    push::Resolution,
    rollout::{Direction, RolloutOutcome},
    run,
};
use ferry_fake_base::Phase;

use crate::{
    balancer::BEHIND,
    script::{Act, BASES, ENVIRONMENTS, MODULES, Quality},
    world::World,
};

/// The steps that change a base, as their request ids are derived.
const STEPS: [&str; 3] = ["uninstall", "install", "restore"];
/// A base that is at one call for longer than the limit of an installation, and is then waited for as long
/// again, is not waited for any more.
const HANGS_MS: u64 = 2 * 20_000;
/// More attempts than the installer makes.
const ATTEMPTS: u32 = 20;

type Unit = (String, String);

/// What the events say, once over.
#[derive(Default)]
struct Told {
    /// What is live as the last rollout left it, with how it ended.
    last: BTreeMap<Unit, (RolloutOutcome, Option<String>)>,
    /// What was verified last.
    verified: BTreeMap<Unit, String>,
    /// The plan of each task.
    tasks: BTreeMap<TaskId, (Digest, String)>,
    /// The unit of each plan.
    plans: BTreeMap<Digest, Unit>,
    /// How each run ended.
    ends: BTreeMap<RunId, run::Finished>,
    /// The run of the newest head, by module; its order.
    newest: BTreeMap<String, (u64, RunId, String)>,
    /// Modules that are not brought back on a base any more.
    given_up: BTreeSet<(String, String)>,
    /// Where a module was changed on a base, as the bus still knows.
    touched: BTreeSet<(String, String)>,
    /// Versions of modules that were planned, as the bus still knows.
    planned: BTreeSet<(String, String)>,
    /// Releases of several modules.
    joints: BTreeMap<uuid::Uuid, Joint>,
    /// Runs with the environments in which they were verified.
    passed: BTreeSet<(RunId, String)>,
    /// Whether a person asked to go back.
    rolled_back_by_hand: BTreeSet<String>,
}

impl Told {
    /// What bases may be asked for, of events that the bus holds or has forgotten.
    fn requested(&mut self, event: &ferry_events::Event) {
        match &event.body {
            Body::RolloutPlanned(p) => {
                let unit = (p.plan.module.clone(), p.plan.environment.clone());
                self.plans.insert(p.id.clone(), unit);
            }
            Body::TaskRequested(p) => {
                self.tasks.insert(p.task, (p.plan.clone(), p.base.clone()));
            }
            _ => {}
        }
    }
}

/// Looks at everything.
pub fn all(world: &World) -> BTreeMap<Unit, String> {
    let events = world.seen().events.clone();
    let mut told = Told::default();
    for event in &world.restores().forgotten {
        told.requested(event);
    }
    once_each(world, &events, &mut told);
    ends(world, &told);
    together(world, &told);
    ledgers(world, &told);
    in_service(world);
    let live = bases(world, &told);
    oracle(world, &told, &live);
    letters(world);
    left_alone(world, &told);
    live
}

/// At rest nobody holds a base, and each that is in quarantine is given up; whoever put it there knows, and so
/// does the line.
fn left_alone(world: &World, told: &Told) {
    let seen = world.seen();
    let standing = seen.people.lines.standing.iter();
    let alone: BTreeMap<&str, bool> = standing
        .filter_map(|(one, _)| Some((one.stretch.base()?, one.quarantined)))
        .collect();
    let own: BTreeSet<(&str, &str)> = seen.people.alone.in_quarantine().collect();
    let mut broken = Vec::new();
    for (base, quarantined) in &alone {
        if !quarantined {
            broken.push(format!("{base} is held at the end"));
        } else if !own.iter().any(|(one, _)| one == base) {
            broken.push(format!(
                "{base} is in quarantine, and no module has it there"
            ));
        }
    }
    for (base, module) in own {
        if !alone.contains_key(base) {
            broken.push(format!(
                "{module} has {base} in quarantine, and nobody else knows"
            ));
        }
        let given_up = (module.to_owned(), base.to_owned());
        if !told.given_up.contains(&given_up) {
            broken.push(format!(
                "{base} stays in quarantine, and {module} is not given up there"
            ));
        }
    }
    drop(seen);
    for what in broken {
        world.broken(what);
    }
}

/// Whether nothing is to be brought back any more: what the scheduler says of each base.
pub async fn nothing_owed(world: &World) -> bool {
    use ferry_bus::Bus as _;
    let facts = world
        .bus
        .list(&format!("{}.>", ferry_events::subject::WANTED_FACTS))
        .await;
    facts.unwrap_or_default().iter().all(|(_, record)| {
        let fact: Result<Wanted, _> = serde_json::from_slice(&record.payload);
        fact.is_ok_and(|fact| {
            fact.owed
                .values()
                .all(|owed| owed.next.is_none() && !owed.lost)
        })
    })
}

/// Once the push that made the branch's tip is resolved, the head is that commit, whatever comes later.
pub fn head(world: &World, pushes: &[PushId], tip: &str) {
    let (mut resolved, mut head) = (false, None);
    for event in &world.seen().events {
        let Body::PushResolved(p) = &event.body else {
            continue;
        };
        resolved |= pushes.contains(&p.push) && p.resolution != Resolution::Failed;
        if matches!(
            p.resolution,
            Resolution::Started | Resolution::NothingTouched
        ) {
            head.clone_from(&p.commit);
        }
    }
    if resolved && head.as_deref() != Some(tip) {
        world.broken(format!("the branch is at {tip}, and its head at {head:?}"));
    }
}

/// What may be said once is said once; what ends says why.
fn once_each(world: &World, events: &[ferry_events::Event], told: &mut Told) {
    let mut ids = BTreeSet::new();
    let mut queued = BTreeSet::new();
    let mut services = BTreeSet::new();
    let mut jars: BTreeMap<(String, String), Digest> = BTreeMap::new();
    let mut observed: BTreeSet<(Digest, String)> = BTreeSet::new();
    let mut canary: BTreeMap<Digest, (Vec<Vec<String>>, usize, usize)> = BTreeMap::new();
    // Since when bases of the wave before may have been left out: they were held then.
    let mut held: BTreeMap<String, usize> = BTreeMap::new();
    let mut standing: BTreeSet<String> = BTreeSet::new();
    for (now, event) in events.iter().enumerate() {
        if !ids.insert(event.id) {
            world.broken(format!("event {} was stored twice", event.id));
        }
        let service = match &event.body {
            Body::ServiceDeployed(p) => Some(&p.0),
            Body::ServiceUpgraded(p) => Some(&p.0),
            Body::ServiceRolledback(p) => Some(&p.0),
            _ => None,
        };
        if let Some(service) = service
            && !services.insert((service.run, service.environment.clone()))
        {
            world.broken(format!("a service event twice for {}", service.run.short()));
        }
        let without_reason = |what: String| world.broken(format!("{what} without a reason"));
        match &event.body {
            Body::RunQueued(p) => {
                if !queued.insert(p.run) {
                    world.broken(format!("run {} was queued twice", p.run));
                }
                if p.command.is_some() {
                    told.rolled_back_by_hand.insert(p.module.clone());
                }
            }
            Body::ChangeMerged(p) => {
                if let Some(joint) = &p.joint {
                    told.joints.insert(joint.id, joint.clone());
                }
                let newest = told
                    .newest
                    .entry(p.module.clone())
                    .or_insert_with(|| (0, p.run, p.commit.clone()));
                if p.order > newest.0 {
                    *newest = (p.order, p.run, p.commit.clone());
                }
            }
            Body::ArtifactPackaged(p) => {
                let commit = p.commit.clone().unwrap_or_default();
                let first = jars.entry((p.module.clone(), commit.clone()));
                let first = first.or_insert_with(|| p.digest.clone());
                if *first != p.digest {
                    world.broken(format!("two artifacts of {} at {commit}", p.module));
                }
            }
            Body::RunFinished(p) => {
                if p.outcome != run::Outcome::Success && p.stop.is_none() {
                    without_reason(format!("run {} ended {:?}", p.run.short(), p.outcome));
                }
                if told.ends.insert(p.run, p.as_ref().clone()).is_some() {
                    world.broken(format!("run {} ended twice", p.run));
                }
            }
            Body::RolloutPlanned(p) => {
                let unit = (p.plan.module.clone(), p.plan.environment.clone());
                if p.plan.direction == Direction::Back {
                    let verified = told.verified.get(&unit);
                    for step in p.plan.steps() {
                        let to = p.plan.want(step).map(|want| &want.version);
                        if to != verified {
                            world.broken(format!(
                                "{} goes back to {to:?}, and {verified:?} was verified last",
                                step.base
                            ));
                        }
                    }
                }
                told.requested(event);
                let wants = p.plan.wants.values();
                let planned = wants.map(|want| (p.plan.module.clone(), want.version.clone()));
                told.planned.extend(planned);
                if p.plan.direction == Direction::Forward {
                    let waves = p.plan.waves.iter();
                    let bases = waves.map(|wave| wave.iter().map(|s| s.base.clone()).collect());
                    let failures = p.plan.limits.max_failures as usize;
                    canary.insert(p.id.clone(), (bases.collect(), failures, now));
                }
            }
            Body::TaskRequested(p) => {
                told.requested(event);
                // A wave begins when every base of the one before is verified, but for those put up with.
                if let Some((waves, failures, planned)) = canary.get(&p.plan) {
                    let wave = waves.iter().position(|wave| wave.contains(&p.base));
                    let before = wave.unwrap_or_default().checked_sub(1);
                    let before = before.map(|wave| &waves[wave]).into_iter().flatten();
                    let open = before
                        .filter(|base| !observed.contains(&(p.plan.clone(), (*base).clone())))
                        .filter(|base| {
                            let until = held.get(*base);
                            !standing.contains(*base) && until.is_none_or(|until| until < planned)
                        });
                    for base in open.skip(*failures) {
                        world.broken(format!(
                            "{} is changed before {base} of the wave before is verified",
                            p.base
                        ));
                    }
                }
            }
            Body::LineChanged(p) => {
                let before = std::mem::take(&mut standing);
                held.extend(before.into_iter().map(|base| (base, now)));
                let bases = p.standing.iter().filter_map(|one| one.stretch.base());
                standing.extend(bases.map(str::to_owned));
            }
            Body::ObservationFinished(p) if p.stop.is_none() => {
                observed.insert((p.plan.clone(), p.base.clone()));
            }
            Body::TaskFinished(p) => {
                if p.stop.as_ref().is_some_and(|stop| stop.base.is_none()) {
                    world.broken(format!("task {} failed and names no base", p.task));
                }
                // A base that did not answer is as it was.
                if p.revision > 0 {
                    told.touched.insert((p.module.clone(), p.base.clone()));
                }
            }
            Body::ModuleGivenUp(p) => {
                told.given_up.insert((p.module.clone(), p.base.clone()));
            }
            Body::RolloutFinished(p) => {
                let unit = (p.module.clone(), p.environment.clone());
                if p.outcome != RolloutOutcome::Verified && p.stop.is_none() {
                    without_reason(format!("rollout of {unit:?} ended {:?}", p.outcome));
                }
                if p.outcome == RolloutOutcome::Verified {
                    told.passed.insert((p.run, p.environment.clone()));
                    told.verified
                        .extend(p.live.clone().map(|live| (unit.clone(), live)));
                }
                told.last.insert(unit, (p.outcome, p.live.clone()));
            }
            _ => {}
        }
    }
}

/// Every accepted push and command ends, and every run.
fn ends(world: &World, told: &Told) {
    let seen = world.seen();
    let mut open: Vec<String> = Vec::new();
    open.extend(
        seen.accepted
            .difference(&seen.resolved)
            .map(|push| format!("push {} was accepted and lost", push.short())),
    );
    open.extend(
        seen.commands
            .difference(&seen.settled)
            .map(|command| format!("command {} was accepted and lost", command.short())),
    );
    open.extend(
        seen.open
            .iter()
            .filter(|run| !told.ends.contains_key(run))
            .map(|run| format!("run {} never ends", run.short())),
    );
    let waits = seen.people.waits.values();
    open.extend(waits.map(|wait| {
        let run = wait.run.short();
        format!("{} of run {run} never ends", wait.name)
    }));
    drop(seen);
    for what in open {
        world.broken(what);
    }
}

/// Of a release of several modules all are verified in an environment, or none.
fn together(world: &World, told: &Told) {
    // What a restored bus has forgotten was done all the same.
    let restores = |timed: &crate::script::Timed| matches!(timed.act, Act::Restore(_));
    if world.script.acts.iter().any(restores) {
        return;
    }
    for joint in told.joints.values() {
        for environment in &joint.environments {
            let goes = |name: &String| name == environment;
            let members = joint.members.iter();
            let members = members.filter(|member| member.environments.iter().any(goes));
            let is_verified = |run: RunId| told.passed.contains(&(run, environment.clone()));
            let (well, not): (Vec<_>, Vec<_>) = members
                .map(|member| (&member.module, member.run))
                .partition(|(_, run)| is_verified(*run));
            if !well.is_empty() && !not.is_empty() {
                world.broken(format!(
                    "of release {} in {environment} {well:?} are verified, and {not:?} are not",
                    joint.name
                ));
            }
        }
    }
}

/// Each base's own ledger: no request twice, and nothing of an old plan after a newer one's first change. A
/// plan is as old as its beginning: one that waited for people is newer than a repair meanwhile. Where the
/// bus was put back, plans are counted anew; what was asked before belongs to no count.
fn ledgers(world: &World, told: &Told) {
    let mut requests = BTreeMap::new();
    for (task, (plan, base)) in &told.tasks {
        for step in STEPS {
            for attempt in 1..=ATTEMPTS {
                let what = (*task, step, attempt, plan.clone(), base.clone());
                requests.insert(task.request(step, attempt).to_string(), what);
            }
        }
    }
    for (name, _) in BASES {
        let Some(base) = world.base(name) else {
            continue;
        };
        let mut effects: BTreeMap<String, u32> = BTreeMap::new();
        let mut newest: BTreeMap<Unit, u64> = BTreeMap::new();
        let mut asked: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        let cuts = world.restores().cuts.get(name).cloned();
        let cuts = cuts.unwrap_or_default();
        for (line, entry) in base.ledger().entries().into_iter().enumerate() {
            let before = cuts.iter().filter(|cut| **cut <= line).count();
            if cuts.contains(&line) {
                newest.clear();
            }
            if let (Phase::Asked, Some(id)) = (entry.phase, &entry.request_id) {
                asked.insert(id.clone(), (entry.at_ms, before));
            }
            if entry.phase != Phase::Ended || !entry.effect {
                continue;
            }
            // A call that is asked to tell a cause has no request id; its address is its fence.
            let Some(id) = &entry.request_id else {
                continue;
            };
            let drained = world.script.settings.drains && name.starts_with(BEHIND);
            if drained && world.balancer().was_in_service(id) {
                world.broken(format!("{name} was changed while it was in service: {id}"));
            }
            let times = effects.entry(id.clone()).or_default();
            *times += 1;
            let Some((task, step, attempt, plan, of)) = requests.get(id) else {
                world.broken(format!(
                    "{name} was changed by a request that nobody made: {id}"
                ));
                continue;
            };
            if *times > 1 {
                world.broken(format!(
                    "{name} was changed {times} times for ({}, {step}, {attempt})",
                    task.short()
                ));
            }
            if of != name {
                world.broken(format!("{name} was changed for a task of {of}"));
            }
            let Some(unit) = told.plans.get(plan) else {
                world.broken(format!(
                    "{name} was changed under a plan that was never told"
                ));
                continue;
            };
            let (asked_ms, asked_before) = asked.get(id).copied().unwrap_or((entry.at_ms, before));
            if asked_before != before {
                continue;
            }
            // What a restore made the bus forget was approved before it, or was not: nobody can tell.
            let remembered = before == cuts.len();
            if remembered && !world.seen().people.is_approved(&world.script, plan) {
                world.broken(format!("{name} was changed, and nobody approved it"));
            }
            let newest = newest.entry(unit.clone()).or_default();
            let took = entry.at_ms - asked_ms;
            let Some(begun) = world.seen().begun(plan, before) else {
                world.broken(format!("{name} was changed under a plan that never began"));
                continue;
            };
            if begun < *newest && took <= HANGS_MS {
                world.broken(format!(
                    "{name} was changed under plan {} of {unit:?} after a newer one had",
                    plan.short()
                ));
            }
            *newest = (*newest).max(begun);
        }
    }
}

/// At rest no base is out of its load balancer.
fn in_service(world: &World) {
    for base in world.balancer().out() {
        world.broken(format!("{base} is left out of its load balancer"));
    }
}

/// At rest each base runs what was decided, and nothing else.
fn bases(world: &World, told: &Told) -> BTreeMap<Unit, String> {
    let mut live = BTreeMap::new();
    for module in MODULES {
        for environment in ENVIRONMENTS {
            let unit = (module.to_owned(), environment.to_owned());
            let Some((_, version)) = told.last.get(&unit) else {
                continue;
            };
            if let Some(version) = version {
                live.insert(unit.clone(), version.clone());
            }
            for (name, _) in BASES.iter().filter(|(_, of)| *of == environment) {
                let Some(base) = world.base(name) else {
                    continue;
                };
                let there: Vec<String> = base
                    .modules()
                    .into_iter()
                    .filter(|one| one.name == module)
                    .map(|one| format!("{} {}", one.version, one.state))
                    .collect();
                let wanted: Vec<String> = version
                    .iter()
                    .map(|version| format!("{version} activated"))
                    .collect();
                // One that is brought back again and again is given up, and named.
                let given_up = told
                    .given_up
                    .contains(&(module.to_owned(), (*name).to_owned()));
                // What a base got since the copy that the bus was put back to is none of Ferry's business.
                // Only what the bus has forgotten knew of it.
                let touched = (module.to_owned(), (*name).to_owned());
                let forgotten = |one: &String| {
                    let version = one.split(' ').next().unwrap_or_default();
                    let planned = (module.to_owned(), version.to_owned());
                    !told.planned.contains(&planned)
                };
                let unknown = version.is_none()
                    && world.restores().times > 0
                    && (!told.touched.contains(&touched) || there.iter().all(forgotten));
                if there != wanted && !given_up && !unknown {
                    world.broken(format!(
                        "{name} runs {there:?} of {module}, and {wanted:?} was decided"
                    ));
                }
            }
        }
    }
    live
}

/// What is live is what the branch's head says; where it is not, its run says why.
fn oracle(world: &World, told: &Told, live: &BTreeMap<Unit, String>) {
    let tip = world.git.lock().expect("no panic under this lock").tip();
    let Some(tip) = tip else { return };
    for (number, module) in MODULES.iter().enumerate() {
        let content = {
            let git = world.git.lock().expect("no panic under this lock");
            git.content(&tip, number)
        };
        let Some((_, run, _)) = told.newest.get(*module) else {
            if content.is_some() && !world.seen().accepted.is_empty() {
                world.broken(format!("{module} is on the branch, and has no run"));
            }
            continue;
        };
        if told.rolled_back_by_hand.contains(*module) {
            continue;
        }
        let end = told.ends.get(run);
        let good = matches!(&content, Some((_, Quality::Good | Quality::Slow)));
        for environment in ENVIRONMENTS {
            let unit = ((*module).to_owned(), environment.to_owned());
            let made = live
                .get(&unit)
                .and_then(|version| world.made_of_version(version));
            let there = made.as_ref().map(|made| made.origin.as_str());
            let wanted = content.as_ref().map(|(origin, _)| origin.as_str());
            if let Some(made) = &made
                && !matches!(made.quality, Quality::Good | Quality::Slow)
            {
                world.broken(format!("{module} in {environment} is {:?}", made.quality));
            }
            if there == wanted && (good || wanted.is_none()) {
                continue;
            }
            // The head's content is not live: its run has to say why.
            let reason = end
                .and_then(|end| end.stop.as_ref())
                .map(|stop| stop.reason);
            match reason {
                None => world.broken(format!(
                    "{module} in {environment} is at {there:?}, the branch at {wanted:?}, and no run says why"
                )),
                Some(reason) if good && !excuse(world, reason) => world.broken(format!(
                    "{module} in {environment}: a good commit is not live, because of {reason}"
                )),
                Some(_) => {}
            }
        }
    }
}

/// Whether a good commit may stop for a reason: only where the script is hard on bases or on git.
fn excuse(world: &World, reason: Reason) -> bool {
    // A person stopped it, or did not answer in time.
    let by_people = world.seen().people.excused.contains(&reason);
    // Whether another one of its release failed for good reason is looked at where that one is.
    let by_others = reason == Reason::ReleaseFailed && world.script.settings.together;
    by_people
        || by_others
        || world.is_hard() && !matches!(reason, Reason::OurFault | Reason::Malformed)
}

/// Only what a stranger published is set aside.
fn letters(world: &World) {
    let letters = world.seen().letters.clone();
    let strange = |newer: bool| {
        world
            .script
            .acts
            .iter()
            .any(|timed| timed.act == Act::Strange { newer })
    };
    for (letter, parked) in letters {
        let expected = letter.subject.starts_with("ferry.events.stranger.") && strange(parked);
        if !expected {
            world.broken(format!(
                "a dead letter of {}: {} {:?}",
                letter.service, letter.reason, letter.errors
            ));
        }
    }
}
