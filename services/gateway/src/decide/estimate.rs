//! How long a plan should take, from how long the last changes took.
//!
//! In: a plan, the milliseconds of past changes. Out: milliseconds, or nothing where there is nothing to go by.

use ferry_events::rollout::Plan;

/// The time of a plan's own work: every wave as long as a change commonly takes, its soak, the pauses, and the
/// soak of all. `past` are the times of changes of the module, in milliseconds, in any order.
#[must_use]
pub fn takes(plan: &Plan, mut past: Vec<u64>) -> Option<u64> {
    past.sort_unstable();
    let change = *past.get(past.len() / 2)?;
    let waves = plan.waves.len() as u64;
    let each = change.saturating_add(plan.judge.soak_ms);
    let pauses = plan.limits.pause_ms.saturating_mul(waves.saturating_sub(1));
    Some(
        each.saturating_mul(waves)
            .saturating_add(pauses)
            .saturating_add(plan.limits.soak_ms),
    )
}
