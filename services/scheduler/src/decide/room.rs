//! Metaspace: a module is rolled out only to bases that have room for it.
//!
//! In: what bases report, what installs took in their pool. Out: the room that each base has left, and those
//! with too little. What is not known keeps nothing back.

use std::collections::BTreeMap;

use ferry_config::Config;
use ferry_events::{Reason, Stop, base::Seen, rollout::Step, task};
use ferry_runtime::Context;

use super::{
    gates_on_metaspace,
    unit::{Making, Unit, keep_last},
};

/// Bases that a refusal names.
const NAMED_MAX: usize = 3;
const KIB: u64 = 1024;
/// Installs that are remembered of each pool: a module grows and shrinks with its versions.
const GROWTHS_MAX: usize = 8;

pub(super) trait Rooms: Sized {
    /// A base reports how much metaspace it has.
    fn sees_room(self, seen: &Seen, context: &Context) -> Self;
}

impl Rooms for Making {
    fn sees_room(mut self, seen: &Seen, context: &Context) -> Self {
        let unit = &mut self.state;
        if !gates_on_metaspace(&context.config, &seen.pool) {
            return self;
        }
        let left = seen
            .metaspace_max
            .zip(seen.metaspace_committed)
            .map(|(max, committed)| max.saturating_sub(committed) / KIB);
        let known = unit.care.get(&seen.base).and_then(|care| care.room);
        if known.is_some_and(|(_, sighting)| sighting >= seen.sighting) {
            return self;
        }
        // Nothing is known of it that would have to be forgotten.
        if left.is_none() && known.is_none() {
            return self;
        }
        let care = unit.care.entry(&seen.base);
        care.room = left.map(|left| (left, seen.sighting));
        self
    }
}

impl Unit {
    /// What an install is expected to take in each pool, in bytes: the most that the last ones took, before any
    /// what the configuration says.
    pub(super) fn growths(&self, config: &Config) -> BTreeMap<String, u64> {
        let pools = config.pools.iter();
        pools
            .filter(|(_, pool)| pool.metaspace_growth > 0)
            .map(|(name, pool)| {
                let learned = self.growths.get(name).and_then(|last| last.iter().max());
                let learned = learned.map(|kib| kib.saturating_mul(KIB));
                (name.clone(), learned.unwrap_or(pool.metaspace_growth))
            })
            .collect()
    }

    /// An install that it waited for took some.
    pub(super) fn learn(&mut self, finished: &task::Finished, context: &Context) {
        let pool = context.config.base(&finished.base).map(|(pool, _)| pool);
        let (Some(growth), Some(pool)) = (finished.metaspace_growth, pool) else {
            return;
        };
        if gates_on_metaspace(&context.config, pool) {
            let last = self.growths.entry(pool.to_owned()).or_default();
            last.push(growth.div_ceil(KIB));
            keep_last(last, GROWTHS_MAX);
        }
    }

    /// Metaspace that bases have left, in bytes, by name.
    pub(super) fn rooms(&self) -> BTreeMap<String, u64> {
        let care = self.care.iter();
        care.filter_map(|(base, care)| Some((base.clone(), care.room?.0.saturating_mul(KIB))))
            .collect()
    }
}

/// Holds a plan's bases to the room that they have.
///
/// # Errors
/// A stop that names bases without.
pub(super) fn fits(
    steps: &[Step],
    rooms: &BTreeMap<String, u64>,
    growths: &BTreeMap<String, u64>,
) -> Result<(), Stop> {
    let lacking = |step: &Step| {
        let (left, takes) = (rooms.get(&step.base)?, growths.get(&step.pool)?);
        (left < takes).then(|| {
            format!(
                "{} has {} KiB of metaspace left, and an install takes {} KiB",
                step.base,
                left / KIB,
                takes / KIB
            )
        })
    };
    let lacking: Vec<(&str, String)> = steps
        .iter()
        .filter_map(|step| Some((step.base.as_str(), lacking(step)?)))
        .collect();
    let Some((first, _)) = lacking.first() else {
        return Ok(());
    };
    let named: Vec<&str> = lacking
        .iter()
        .take(NAMED_MAX)
        .map(|(_, why)| why.as_str())
        .collect();
    let named = named.join("; ");
    let detail = match lacking.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named}; and {more} more"),
    };
    Err(Stop::new(Reason::NoRoom, detail).on(*first))
}
