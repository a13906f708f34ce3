//! The planner: which base gets what, in which wave, within which limits, past which gates.
//!
//! In: a release, the bases of a module in an environment, the environment's strategy. Out: a plan.
//! Pure: the same inputs give the same plan, and so the same plan id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ferry_config::{Amount, At, Config, Environment, OwnKey, Rollback};
use ferry_events::{
    Digest, Reason, Stop,
    artifact::{Own, Release},
    gate::{Ask, Gate, Place},
    rollout::{Aim, Direction, Judge, LeftOut, Limits, Plan, Requested, Step, WayBack, Zone},
    task::Want,
    verify::Probe,
};

use super::{by_base::ByBase, room};

/// What a pool's bases shall run of a release.
pub(super) fn want(release: &Release, pool: &str) -> Option<Want> {
    release.pools.get(pool).map(|slimmed| Want {
        digest: slimmed.digest.clone(),
        size: slimmed.size,
        version: slimmed.version.clone(),
        web_context_path: release.biz.web_context_path.clone(),
    })
}

/// What the bases of these pools shall run of a release.
pub(super) fn wants<'a>(
    release: Option<&Release>,
    pools: impl IntoIterator<Item = &'a str>,
) -> BTreeMap<String, Want> {
    pools
        .into_iter()
        .filter_map(|pool| Some((pool.to_owned(), want(release?, pool)?)))
        .collect()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What a plan is made from.
pub(super) struct Brief<'a> {
    /// What asked for it.
    pub requested: &'a Requested,
    /// What it brings.
    pub release: &'a Release,
    /// What is verified there now.
    pub live: Option<&'a Release>,
    /// Its number.
    pub generation: u64,
    /// The configuration in force.
    pub config: &'a Config,
    /// Its revision.
    pub revision: &'a Digest,
    /// Bases that are left alone, and why.
    pub left_alone: &'a BTreeMap<String, Stop>,
    /// Metaspace that bases have left, in bytes, as far as it is known.
    pub rooms: &'a BTreeMap<String, u64>,
    /// What an install is expected to take in each pool, in bytes.
    pub growths: &'a BTreeMap<String, u64>,
}

/// The plan that brings a release: a canary wave, then the others, no zone beyond its limits.
///
/// # Errors
/// A stop where there are no bases, all are held, one has no room, no jar for one of their pools, or a zone that must not be
/// changed.
pub(super) fn forward(brief: &Brief<'_>) -> Result<Plan, Stop> {
    let Requested {
        run,
        module,
        environment,
        ..
    } = brief.requested;
    let steps = steps(brief.config, module, environment);
    if steps.is_empty() {
        return Err(Stop::new(
            Reason::NoBases,
            format!("{module} has no bases in {environment}"),
        ));
    }
    let all = steps.clone();
    let (left_out, steps): (Vec<LeftOut>, Vec<Step>) = part(steps, brief.left_alone);
    if steps.is_empty() {
        return Err(all_held(&left_out));
    }
    if !matches!(brief.requested.aim, Aim::Back { .. }) {
        room::fits(&steps, brief.rooms, brief.growths)?;
    }
    let pools: BTreeSet<&str> = steps.iter().map(|step| step.pool.as_str()).collect();
    let wants = wants(Some(brief.release), pools.iter().copied());
    if let Some(pool) = pools.iter().find(|pool| !wants.contains_key(**pool)) {
        return Err(Stop::new(
            Reason::NotSlimmed,
            format!("no jar for pool {pool}"),
        ));
    }
    let restores = self::wants(brief.live, pools.iter().copied());
    let strategy = brief
        .config
        .environments
        .get(environment)
        .cloned()
        .unwrap_or_default();
    // What was verified before has been watched already: going back does not wait for anything.
    let back = matches!(brief.requested.aim, Aim::Back { .. });
    let mut limits = limits(&strategy, &all, &left_out, back)?;
    // Going back takes what was verified as it is.
    if !back {
        within_policies(brief.config, module, brief.release)?;
    }
    if back {
        (limits.canary, limits.parallel, limits.soak_ms) = (0, 0, 0);
        limits.pause_ms = 0;
        // A base that cannot be changed is no reason to keep what a person wants gone on the others.
        limits.max_failures = count(steps.len());
    }
    Ok(Plan {
        run: *run,
        module: module.clone(),
        environment: environment.clone(),
        direction: Direction::Forward,
        generation: brief.generation,
        configuration: brief.revision.clone(),
        wants,
        restores,
        judge: judge(brief.config, module, Some(brief.release), !back),
        waves: waves(&limits, steps, &left_out),
        limits,
        gates: if back {
            Vec::new()
        } else {
            gates(&strategy, brief)
        },
        left_out,
    })
}

/// The bases that are left alone, and the steps of all others.
fn part(steps: Vec<Step>, left_alone: &BTreeMap<String, Stop>) -> (Vec<LeftOut>, Vec<Step>) {
    let (mut left_out, mut others) = (Vec::new(), Vec::new());
    for step in steps {
        match left_alone.get(&step.base) {
            Some(why) => left_out.push(LeftOut {
                why: why.clone(),
                step,
            }),
            None => others.push(step),
        }
    }
    (left_out, others)
}

fn all_held(left_out: &[LeftOut]) -> Stop {
    let first = left_out.first();
    let why = first.map(|one| one.why.detail.clone()).unwrap_or_default();
    let detail = match left_out.len() {
        0 | 1 => why,
        all => format!("all {all} bases are left alone; {why}"),
    };
    Stop {
        base: first.map(|one| one.step.base.clone()),
        ..Stop::new(reason_of(first), detail)
    }
}

fn reason_of(left_out: Option<&LeftOut>) -> Reason {
    left_out.map_or(Reason::BaseHeld, |one| one.why.reason)
}

/// So many of a zone are left alone: they count as out of service.
fn left_out_of(left_out: &[LeftOut], zone: &str) -> u32 {
    count(left_out.iter().filter(|one| one.step.zone == zone).count())
}

/// How a release of a module is judged: by what it sets for itself, else by the configuration. What was
/// verified before has soaked already.
pub(super) fn judge(
    config: &Config,
    module: &str,
    release: Option<&Release>,
    soaks: bool,
) -> Judge {
    let central = config.module(module);
    let own = release.and_then(|release| release.own.as_ref());
    let probe = central.and_then(|module| module.probe.as_ref());
    let probe = probe.map(|probe| Probe {
        path: probe.path.clone(),
        status: probe.status,
        contains: probe.contains.clone(),
        timeout_ms: millis(probe.timeout),
        deadline_ms: millis(probe.deadline),
        interval_ms: millis(probe.interval),
    });
    let soak_ms = own.and_then(|own| own.soak_ms);
    let soak_ms = soak_ms.or_else(|| central.map(|module| millis(module.soak)));
    Judge {
        probe: own.and_then(|own| own.probe.clone()).or(probe),
        soak_ms: soak_ms.filter(|_| soaks).unwrap_or_default(),
        own: own_of_judge(own, soaks),
    }
}

/// Which of these a module set itself.
fn own_of_judge(own: Option<&Own>, soaks: bool) -> Vec<String> {
    let Some(own) = own else {
        return Vec::new();
    };
    let set = [
        (OwnKey::Soak, own.soak_ms.is_some() && soaks),
        (OwnKey::Probe, own.probe.is_some()),
    ];
    let set = set.into_iter().filter(|(_, set)| *set);
    set.map(|(key, _)| key.name().to_owned()).collect()
}

/// Whether what a release sets for itself is within the policies in force, which may be others than when it
/// was built.
///
/// # Errors
/// A stop that names each key that is not.
fn within_policies(config: &Config, module: &str, release: &Release) -> Result<(), Stop> {
    let Some(own) = &release.own else {
        return Ok(());
    };
    let mut found = Vec::new();
    for (name, policy) in config.policies_of(module) {
        let sets = |key: OwnKey| own.keys.iter().any(|set| set == key.name());
        for key in [OwnKey::Soak, OwnKey::Probe] {
            let refused = policy.refuses_key(name, key).filter(|_| sets(key));
            found.extend(refused.map(|why| format!("{}: {why}", key.name())));
        }
        let soak = own.soak_ms.map(Duration::from_millis);
        let soak = soak.and_then(|soak| policy.refuses_soak(name, soak));
        found.extend(soak.map(|why| format!("soak: {why}")));
        let probe = own.probe.as_ref();
        let probe = probe.and_then(|probe| policy.refuses_path(name, &probe.path));
        found.extend(probe.map(|why| format!("probe.path: {why}")));
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Stop::new(Reason::ModuleFileRefused, found.join("; ")))
}

/// A step for each base of a module in an environment, in the order of their names.
fn steps(config: &Config, module: &str, environment: &str) -> Vec<Step> {
    config
        .bases_of(module, environment)
        .into_iter()
        .map(|(pool, base)| Step {
            base: base.name.clone(),
            pool: pool.to_owned(),
            zone: base.zone.clone(),
        })
        .collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The limits of an environment, each share counted out over these bases.
fn limits(
    strategy: &Environment,
    steps: &[Step],
    left_out: &[LeftOut],
    back: bool,
) -> Result<Limits, Stop> {
    let mut zones: BTreeMap<String, Zone> = BTreeMap::new();
    for step in steps {
        zones.entry(step.zone.clone()).or_default().bases += 1;
    }
    for (name, zone) in &mut zones {
        let bases = zone.bases as usize;
        *zone = limits_of_zone(strategy, bases);
        if at_a_time(zone) == 0 && back {
            (zone.max_unavailable, zone.min_available) = (1, 0);
        }
        let held = left_out_of(left_out, name);
        if at_a_time(zone) <= held && held < zone.bases && !back {
            if held > 0 {
                return Err(too_many_held(name, zone, held, left_out));
            }
            return Err(Stop::new(
                Reason::PlanRefused,
                format!(
                    "zone {name} has {bases} bases of the module, of which {} must stay in service and {} may be out of it",
                    zone.min_available, zone.max_unavailable
                ),
            ));
        }
    }
    let all = steps.len();
    let some = |amount: Amount| count(amount.at_most_of(all).max(1));
    Ok(Limits {
        zones,
        canary: some(strategy.canary),
        parallel: if strategy.parallel.is_zero() {
            0
        } else {
            some(strategy.parallel)
        },
        max_failures: strategy.max_failures,
        pause_ms: millis(strategy.pause),
        soak_ms: millis(strategy.soak),
        wait_ms: millis(strategy.wait),
        way_back: match strategy.rollback {
            Rollback::AtOnce => WayBack::AtOnce,
            Rollback::ReverseWaves => WayBack::ReverseWaves,
        },
    })
}

/// The limits of a zone with so many bases.
fn limits_of_zone(strategy: &Environment, bases: usize) -> Zone {
    // A zone with several bases is never emptied, whatever is allowed.
    let all_but_one = bases.saturating_sub(1).max(1);
    Zone {
        bases: count(bases),
        max_unavailable: count(match strategy.max_unavailable {
            None => all_but_one,
            Some(amount) if amount.is_zero() => 0,
            Some(amount) => amount.at_most_of(bases).clamp(1, all_but_one),
        }),
        min_available: count(strategy.min_available.at_least_of(bases)),
    }
}

/// The limits of a zone of an environment with so many bases of a module.
pub(super) fn zone(config: &Config, environment: &str, bases: usize) -> Zone {
    let strategy = config.environments.get(environment);
    limits_of_zone(&strategy.cloned().unwrap_or_default(), bases)
}

/// Why a zone cannot spare a base besides those that are held.
fn too_many_held(name: &str, zone: &Zone, held: u32, left_out: &[LeftOut]) -> Stop {
    let first = left_out.iter().find(|one| one.step.zone == name);
    let why = first.map(|one| one.why.detail.as_str());
    Stop::new(
        reason_of(first),
        format!(
            "zone {name} has {} bases of the module, of which {} must stay in service and {} may be out of it, and {held} left alone: {}",
            zone.bases,
            zone.min_available,
            zone.max_unavailable,
            why.unwrap_or_default()
        ),
    )
}

/// How many bases of a zone may be changed at a time while all are in service.
fn at_a_time(zone: &Zone) -> u32 {
    zone.max_unavailable
        .min(zone.bases.saturating_sub(zone.min_available))
}

/// Fills wave after wave in the order of the steps, none with more of a zone than may be changed at a time.
fn waves(limits: &Limits, mut steps: Vec<Step>, left_out: &[LeftOut]) -> Vec<Vec<Step>> {
    let mut waves = Vec::new();
    while !steps.is_empty() {
        let most = match (waves.is_empty(), limits.canary, limits.parallel) {
            (true, canary @ 1.., _) => canary as usize,
            (_, _, 0) => usize::MAX,
            (_, _, parallel) => parallel as usize,
        };
        let mut used: BTreeMap<String, u32> = BTreeMap::new();
        let (mut wave, mut later) = (Vec::new(), Vec::new());
        for step in steps {
            let used = used.entry(step.zone.clone()).or_default();
            let room = limits.zones.get(&step.zone).map_or(u32::MAX, |zone| {
                // By hand it goes back all the same, one after the other.
                at_a_time(zone)
                    .saturating_sub(left_out_of(left_out, &step.zone))
                    .max(1)
            });
            if wave.len() < most && *used < room {
                *used += 1;
                wave.push(step);
            } else {
                later.push(step);
            }
        }
        waves.push(wave);
        steps = later;
    }
    waves
}

/// The gates of an environment, with everything put in.
fn gates(strategy: &Environment, brief: &Brief<'_>) -> Vec<Gate> {
    let places = |at: &[At]| {
        let place = |at: &At| match at {
            At::Start => Place::Start,
            At::Wave => Place::Wave,
            At::End => Place::End,
        };
        at.iter().map(place).collect()
    };
    let approval = strategy.approval.iter().map(|approval| Gate {
        name: "approval".to_owned(),
        at: vec![Place::Start],
        deadline_ms: millis(approval.deadline),
        ask: Ask::Approval {
            by: people(&approval.by, brief.config),
            count: approval.count,
            not: brief
                .requested
                .author
                .iter()
                .filter(|_| approval.not_author)
                .cloned()
                .collect(),
        },
    });
    let metrics = strategy.metrics.iter().map(|(name, metric)| Gate {
        name: format!("metric {name}"),
        at: places(&metric.at),
        deadline_ms: millis(metric.deadline),
        ask: Ask::Metric {
            url: metric.url.to_string(),
            query: put_in(&metric.query, brief),
            min: metric.min.clone(),
            max: metric.max.clone(),
            interval_ms: millis(metric.interval),
            count: metric.count,
        },
    });
    let checks = strategy.checks.iter().map(|(name, check)| Gate {
        name: format!("check {name}"),
        at: places(&check.at),
        deadline_ms: millis(check.deadline),
        ask: Ask::Check {
            url: check.url.to_string(),
            interval_ms: millis(check.interval),
        },
    });
    let Requested {
        module,
        environment,
        joint,
        ..
    } = brief.requested;
    let joint = joint.iter().map(|joint| Gate {
        name: format!("release {}", joint.name),
        at: vec![Place::Start, Place::End],
        deadline_ms: joint.wait_ms,
        ask: Ask::Release {
            name: joint.name.clone(),
            modules: joint
                .modules_in(environment)
                .filter(|other| other != module)
                .map(str::to_owned)
                .collect(),
        },
    });
    let gates = approval.chain(metrics).chain(checks);
    gates.chain(joint).collect()
}

/// The names of tokens behind a list of approvers.
fn people(by: &[String], config: &Config) -> Vec<String> {
    let mut names: Vec<String> = by
        .iter()
        .flat_map(|name| match name.strip_prefix("team:") {
            Some(team) => config
                .teams
                .get(team)
                .map(|team| team.members.clone())
                .unwrap_or_default(),
            None => vec![name.clone()],
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

fn put_in(query: &str, brief: &Brief<'_>) -> String {
    query
        .replace("{module}", &brief.requested.module)
        .replace("{environment}", &brief.requested.environment)
        .replace("{version}", brief.release.version())
        .replace("{run}", &brief.requested.run.to_string())
}

/// The plan that brings every touched base back to the release before; without one, the bases are left
/// without the module.
pub(super) fn back(
    forward: &Plan,
    touched: &ByBase<String>,
    before: Option<&Release>,
    judge: Judge,
    generation: u64,
) -> Plan {
    let zones = forward.steps().map(|step| (&step.base, &step.zone));
    let zones: BTreeMap<&String, &String> = zones.collect();
    let zone = |base: &String| zones.get(base).copied().cloned().unwrap_or_default();
    let step = |(base, pool): (&String, &String)| Step {
        base: base.clone(),
        pool: pool.clone(),
        zone: zone(base),
    };
    let waves = match forward.limits.way_back {
        WayBack::AtOnce => vec![touched.iter().map(step).collect()],
        WayBack::ReverseWaves => {
            // What an earlier rollout left behind is in no wave of this one: it goes first.
            let planned: BTreeSet<&str> = forward.bases().collect();
            let others = touched
                .iter()
                .filter(|(base, _)| !planned.contains(base.as_str()))
                .map(step)
                .collect();
            let of_wave = |wave: &Vec<Step>| -> Vec<Step> {
                let steps = wave.iter();
                steps
                    .filter(|step| touched.contains_key(&step.base))
                    .cloned()
                    .collect()
            };
            let reverse = forward.waves.iter().rev().map(of_wave);
            std::iter::once(others)
                .chain(reverse)
                .filter(|wave| !wave.is_empty())
                .collect()
        }
    };
    Plan {
        direction: Direction::Back,
        generation,
        wants: wants(before, touched.values().map(String::as_str)),
        restores: BTreeMap::new(),
        judge,
        gates: Vec::new(),
        waves,
        left_out: Vec::new(),
        ..forward.clone()
    }
}
