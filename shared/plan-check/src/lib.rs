//! Judges plans, apart from the planner: two who would have to be wrong in the same way.
//!
//! In: a plan, and what is known of the bases that it concerns. Out: every rule that it breaks. It sees
//! only what goes over the wire, and shares no code with the planner.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ferry_events::{
    Digest,
    rollout::{Direction, Plan, Step, WayBack},
};

/// What is known, apart from the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The bases of the module in the environment.
    pub bases: Vec<Step>,
    /// The jar that was made for each pool's profile, by the pool's name.
    pub jars: BTreeMap<String, Digest>,
    /// The environments that come before this one, in order.
    pub before: Vec<String>,
    /// The environments in which this artifact is verified.
    pub verified: BTreeSet<String>,
    /// Whether it goes back to what was verified here, so that no environment comes before it.
    pub returns: bool,
    /// Bases that a person holds.
    pub held: BTreeSet<String>,
    /// Metaspace that bases have left, in bytes; one that is not here is not known.
    pub rooms: BTreeMap<String, u64>,
    /// What installing a module takes of it in a pool; one that is not here keeps nothing back.
    pub growths: BTreeMap<String, u64>,
}

/// The largest plan in bytes of JSON: it is told in one event, which goes in one message, and not alone.
pub const MOST_BYTES: usize = 900_000;

/// A rule that a plan breaks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// There is nothing to do, or a wave has nothing to do.
    Empty,
    /// It cannot be told.
    TooLarge {
        /// How many bytes of JSON it has.
        bytes: usize,
    },
    /// A base would be changed twice.
    Twice(String),
    /// A base is not one of the module's in the environment, or stands in another pool or zone.
    Stranger(String),
    /// A base of the module would be left out.
    LeftOut(String),
    /// A base that a person holds would be changed.
    Held(String),
    /// A base has too little metaspace left.
    NoRoom(String),
    /// A wave is over its limit.
    WaveTooLarge {
        /// Which, from 1.
        wave: usize,
        /// How many bases it has.
        bases: usize,
        /// How many it may have.
        most: usize,
    },
    /// A wave takes more of a zone out of service than may be.
    ZoneTooMany {
        /// Which wave, from 1.
        wave: usize,
        /// The zone.
        zone: String,
        /// How many bases of it are in the wave.
        bases: usize,
        /// How many may be.
        most: usize,
    },
    /// A wave leaves a zone with fewer bases in service than must stay, or with none.
    ZoneTooFew {
        /// Which wave, from 1.
        wave: usize,
        /// The zone.
        zone: String,
        /// How many bases of it stay.
        stay: usize,
        /// How many must.
        least: usize,
    },
    /// A base would get a jar that was not made for its pool's profile, or none.
    OtherProfile {
        /// The base.
        base: String,
        /// Its pool.
        pool: String,
    },
    /// An environment that comes before has not verified it.
    Skipped(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a wave has nothing to do"),
            Self::TooLarge { bytes } => write!(
                f,
                "it has {bytes} bytes as JSON, at most {MOST_BYTES} fit in its event: divide the bases over environments, or give them shorter names"
            ),
            Self::Twice(base) => write!(f, "{base} would be changed twice"),
            Self::Stranger(base) => {
                write!(
                    f,
                    "{base} is no base of the module there, or stands elsewhere"
                )
            }
            Self::LeftOut(base) => write!(f, "{base} would be left out"),
            Self::NoRoom(base) => write!(f, "{base} has too little metaspace left"),
            Self::Held(base) => write!(f, "{base} is held and would be changed"),
            Self::WaveTooLarge { wave, bases, most } => {
                write!(f, "wave {wave} has {bases} bases, at most {most} may be")
            }
            Self::ZoneTooMany {
                wave,
                zone,
                bases,
                most,
            } => write!(
                f,
                "wave {wave} takes {bases} bases of zone {zone} out of service, at most {most} may be"
            ),
            Self::ZoneTooFew {
                wave,
                zone,
                stay,
                least,
            } => write!(
                f,
                "wave {wave} leaves {stay} bases of zone {zone} in service, at least {least} must stay"
            ),
            Self::OtherProfile { base, pool } => write!(
                f,
                "{base} would get a jar that was not made for the profile of pool {pool}"
            ),
            Self::Skipped(environment) => {
                write!(f, "it is not verified in {environment}, which comes before")
            }
        }
    }
}

/// Every rule that a plan breaks, sorted; none: it may run.
///
/// Of a way back and a repair only what they must never do is judged: their bases are out of service
/// already, and no environment comes before them.
pub fn check(plan: &Plan, known: &Known) -> Vec<Broken> {
    let mut broken = BTreeSet::new();
    if plan.waves.is_empty() || plan.waves.iter().any(Vec::is_empty) {
        broken.insert(Broken::Empty);
    }
    let bytes = serde_json::to_vec(plan).map_or(0, |json| json.len());
    if bytes > MOST_BYTES {
        broken.insert(Broken::TooLarge { bytes });
    }
    bases(plan, known, &mut broken);
    let forward = plan.direction == Direction::Forward;
    if forward {
        sizes(plan, known.returns, &mut broken);
        for environment in &known.before {
            if !known.returns && !known.verified.contains(environment) {
                broken.insert(Broken::Skipped(environment.clone()));
            }
        }
    }
    let spares = plan.direction == Direction::Back && plan.limits.way_back == WayBack::ReverseWaves;
    if forward || spares {
        zones(plan, known, forward, &mut broken);
    }
    broken.into_iter().collect()
}

fn bases(plan: &Plan, known: &Known, broken: &mut BTreeSet<Broken>) {
    let mut seen = BTreeSet::new();
    let of_module: BTreeMap<&str, &Step> = known
        .bases
        .iter()
        .map(|step| (step.base.as_str(), step))
        .collect();
    for step in plan.waves.iter().flatten() {
        if !seen.insert(step.base.as_str()) {
            broken.insert(Broken::Twice(step.base.clone()));
        }
        if plan.direction == Direction::Forward && known.held.contains(&step.base) {
            broken.insert(Broken::Held(step.base.clone()));
        }
        let room = known.rooms.get(&step.base).copied().unwrap_or(u64::MAX);
        let takes = known.growths.get(&step.pool).copied().unwrap_or(0);
        if plan.direction == Direction::Forward && !known.returns && room < takes {
            broken.insert(Broken::NoRoom(step.base.clone()));
        }
        // What was taken out of the configuration since may still have to go back.
        if plan.direction == Direction::Forward && of_module.get(step.base.as_str()) != Some(&step)
        {
            broken.insert(Broken::Stranger(step.base.clone()));
        }
        let got = plan.wants.get(&step.pool).map(|want| &want.digest);
        let right = known.jars.get(&step.pool);
        let must = plan.direction == Direction::Forward;
        if got != right && (must || got.is_some()) {
            broken.insert(Broken::OtherProfile {
                base: step.base.clone(),
                pool: step.pool.clone(),
            });
        }
    }
    if plan.direction == Direction::Forward {
        for base in &known.bases {
            if !seen.contains(base.base.as_str()) && !known.held.contains(&base.base) {
                broken.insert(Broken::LeftOut(base.base.clone()));
            }
        }
    }
}

fn sizes(plan: &Plan, returns: bool, broken: &mut BTreeSet<Broken>) {
    let (canary, parallel) = (plan.limits.canary as usize, plan.limits.parallel as usize);
    for (index, wave) in plan.waves.iter().enumerate() {
        let most = if index == 0 { canary } else { parallel };
        let unlimited = most == 0 && (index > 0 || returns);
        if !unlimited && wave.len() > most {
            broken.insert(Broken::WaveTooLarge {
                wave: index + 1,
                bases: wave.len(),
                most,
            });
        }
    }
}

fn zones(plan: &Plan, known: &Known, forward: bool, broken: &mut BTreeSet<Broken>) {
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    let fleet: Vec<&Step> = match forward {
        true => known.bases.iter().collect(),
        false => plan.waves.iter().flatten().collect(),
    };
    for step in fleet {
        *all.entry(&step.zone).or_default() += 1;
    }
    for (index, wave) in plan.waves.iter().enumerate() {
        let mut out: BTreeMap<&str, usize> = BTreeMap::new();
        for step in wave {
            *out.entry(&step.zone).or_default() += 1;
        }
        for (zone, bases) in out {
            let there = all.get(zone).copied().unwrap_or(0);
            let limits = plan.limits.zones.get(zone).cloned().unwrap_or_default();
            let most = limits.max_unavailable as usize;
            // Nobody knows whether one that is held serves; whoever goes back by hand does not wait for it.
            let held = known.bases.iter().filter(|step| {
                step.zone == zone && known.held.contains(&step.base) && forward && !known.returns
            });
            let bases = bases + held.count();
            if bases > most {
                broken.insert(Broken::ZoneTooMany {
                    wave: index + 1,
                    zone: zone.to_owned(),
                    bases,
                    most,
                });
            }
            if !forward {
                continue;
            }
            // A zone with several bases is never emptied, whatever the limits say.
            let least = (limits.min_available as usize).max(usize::from(there > 1));
            let stay = there.saturating_sub(bases);
            if stay < least {
                broken.insert(Broken::ZoneTooFew {
                    wave: index + 1,
                    zone: zone.to_owned(),
                    stay,
                    least,
                });
            }
        }
    }
}
