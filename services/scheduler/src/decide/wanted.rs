//! The fact of what bases should run of a module in an environment.
//!
//! In: a unit before and after a decision. Out: the decision, with the fact where it says something new.

use ferry_events::{
    fact::{Owed, Wanted},
    rollout::Direction,
    subject,
};

use super::unit::{Making, Unit};

/// Adds the fact where it differs from what the unit before said.
pub(super) fn keep(before: &Unit, decided: Making) -> Making {
    let (told, mut wanted) = (of(before), of(&decided.state));
    if wanted == told {
        return decided;
    }
    // A first rollout ended without having touched anything: nothing is wanted there.
    if let (Some(told), None) = (told, &wanted) {
        wanted = Some(Wanted {
            versions: Default::default(),
            rollout: None,
            owed: Default::default(),
            ..told
        });
    }
    match wanted {
        Some(wanted) => decided.fact(
            subject::wanted_fact(&wanted.module, &wanted.environment),
            &wanted,
        ),
        None => decided,
    }
}

fn of(unit: &Unit) -> Option<Wanted> {
    let (module, biz) = unit.known_as()?;
    let in_hand = unit
        .active
        .as_ref()
        .map(|active| (&active.plan, active.requested.run));
    let repair = in_hand.filter(|(plan, _)| plan.direction == Direction::Repair);
    let owed = unit.care.iter().filter_map(|(base, care)| {
        let owed = care.owed.as_ref()?;
        let told = Owed {
            since: owed.since,
            repair: repair
                .filter(|(plan, _)| plan.bases().any(|planned| planned == base))
                .map(|(_, run)| run),
            repairs: u32::try_from(care.begun.len()).unwrap_or(u32::MAX),
            next: owed.next,
            lost: care.lost,
            stop: owed.stop.clone(),
        };
        Some((base.clone(), told))
    });
    Some(Wanted {
        module,
        environment: unit.environment.clone(),
        biz,
        versions: unit
            .verified
            .first()
            .map(|release| {
                let version = |(pool, slimmed): (&String, &ferry_events::artifact::Slimmed)| {
                    (pool.clone(), slimmed.version.clone())
                };
                release.pools.iter().map(version).collect()
            })
            .unwrap_or_default(),
        rollout: in_hand
            .filter(|(plan, _)| plan.direction != Direction::Repair)
            .map(|(_, run)| run),
        owed: owed.collect(),
    })
}
