//! The planner: which base gets what, in which wave.
//!
//! In: a release, the bases of a module in an environment, the environment's strategy. Out: waves.
//! Pure: the same inputs give the same plan, and so the same plan id.

use std::collections::BTreeMap;

use ferry_config::Config;
use ferry_events::{
    Digest, Reason, RunId, Stop,
    artifact::Release,
    rollout::{Direction, Plan, Step},
    task::Want,
};

/// What a pool's bases shall run of a release.
pub(super) fn want(release: &Release, pool: &str) -> Option<Want> {
    release.pools.get(pool).map(|slimmed| Want {
        digest: slimmed.digest.clone(),
        size: slimmed.size,
        version: slimmed.version.clone(),
        web_context_path: release.biz.web_context_path.clone(),
    })
}

/// The plan that brings a release: a canary wave, then the rest.
///
/// # Errors
/// A stop where there are no bases, or no jar for one of their pools.
pub(super) fn forward(
    run: RunId,
    release: &Release,
    environment: &str,
    generation: u64,
    config: &Config,
    revision: &Digest,
) -> Result<Plan, Stop> {
    let module = &release.module;
    let bases = config.bases_of(module, environment);
    if bases.is_empty() {
        return Err(Stop::new(
            Reason::NoBases,
            format!("{module} has no bases in {environment}"),
        ));
    }
    let mut steps = Vec::with_capacity(bases.len());
    for (pool, base) in bases {
        let want = want(release, pool)
            .ok_or_else(|| Stop::new(Reason::NotSlimmed, format!("no jar for pool {pool}")))?;
        steps.push(Step {
            base: base.name.clone(),
            pool: pool.into(),
            want: Some(want),
        });
    }
    let strategy = config
        .environments
        .get(environment)
        .cloned()
        .unwrap_or_default();
    let canary = (strategy.canary as usize).clamp(1, steps.len());
    let rest = steps.split_off(canary);
    let mut waves = vec![steps];
    let size = if strategy.parallel == 0 {
        rest.len().max(1)
    } else {
        strategy.parallel as usize
    };
    waves.extend(rest.chunks(size).map(<[Step]>::to_vec));
    Ok(Plan {
        run,
        module: module.clone(),
        environment: environment.into(),
        direction: Direction::Forward,
        generation,
        configuration: revision.clone(),
        waves,
    })
}

/// The plan that brings every touched base back to the release before, all at once; without one,
/// the bases are left without the module.
pub(super) fn back(
    forward: &Plan,
    touched: &BTreeMap<String, String>,
    before: Option<&Release>,
) -> Plan {
    let wave = touched
        .iter()
        .map(|(base, pool)| Step {
            base: base.clone(),
            pool: pool.clone(),
            want: before.and_then(|release| want(release, pool)),
        })
        .collect();
    Plan {
        direction: Direction::Back,
        generation: forward.generation + 1,
        waves: vec![wave],
        ..forward.clone()
    }
}
