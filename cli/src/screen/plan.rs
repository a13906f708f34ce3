//! `ferry plan`: what would be done, before it is done.
//!
//! In: plans, an environment each. Out: waves, bases, what each runs and will run, gates, time, and what would
//! stop it.

use std::collections::BTreeMap;

use ferry_api::{EnvironmentPlan, PlanView};
use ferry_events::gate::Point;
use ferry_events::question::Differing;
use ferry_events::rollout::{Judge, Limits, Plan, Step};

use super::text::{clean, count, took};
use super::{Paint, Tone};

/// Bases of a wave that are named one by one; of more, the zones are counted.
const NAMED_MAX: usize = 12;

/// What would be done.
pub fn plan(plan: &PlanView, paint: Paint) -> String {
    if plan.environments.is_empty() {
        return format!("{} has no bases in any environment", plan.module);
    }
    let parts: Vec<String> = plan
        .environments
        .iter()
        .map(|there| environment(there, paint).join("\n"))
        .collect();
    parts.join("\n\n")
}

fn environment(there: &EnvironmentPlan, paint: Paint) -> Vec<String> {
    let it = &there.preview;
    let live = it.live.as_deref().unwrap_or("nothing");
    let mut lines = vec![paint.tone(
        Tone::Strong,
        &format!("{}: {live} → {}", it.environment, it.version),
    )];
    if let Some(plan) = &it.plan {
        let differing: BTreeMap<&str, &Differing> = it
            .differing
            .iter()
            .map(|one| (one.base.as_str(), one))
            .collect();
        waits(&mut lines, it, Point::Start);
        for (index, wave) in plan.waves.iter().enumerate() {
            let number = index + 1;
            let of = plan.waves.len();
            lines.push(format!("  wave {number} of {of}: {}", bases(wave, plan)));
            lines.extend(odd(wave, &differing, live));
            if index == 0 && of > 1 {
                waits(&mut lines, it, Point::After(1));
                if of > 2 && it.waits.iter().any(|wait| wait.point == Point::After(1)) {
                    lines.push("    (the same after each wave that another follows)".to_owned());
                }
            }
        }
        for one in &plan.left_out {
            let line = format!(
                "  left alone: {}: {}",
                one.step.base,
                clean(&one.why.detail)
            );
            lines.push(paint.tone(Tone::Bad, &line));
        }
        if plan.limits.soak_ms > 0 {
            lines.push(format!(
                "  then all bases must stay well for {}",
                took(plan.limits.soak_ms)
            ));
        }
        waits(&mut lines, it, Point::End);
        if !plan.judge.own.is_empty() {
            lines.push(format!("  each base: {}", judged(&plan.judge)));
        }
        lines.push(format!("  limits: {}", limits(&plan.limits)));
    }
    lines.push(match there.takes_ms {
        Some(millis) => format!(
            "  should take {}, by how long the last changes took; gates come on top",
            took(millis)
        ),
        None => "  how long it should take is not known: nothing was changed there yet".to_owned(),
    });
    for stop in &it.stops {
        let line = format!("  would be stopped: {}", clean(&stop.to_string()));
        lines.push(paint.tone(Tone::Bad, &line));
        lines.push(format!("    {}", stop.reason.next_step()));
    }
    lines
}

fn waits(lines: &mut Vec<String>, it: &ferry_events::question::Preview, point: Point) {
    for wait in it.waits.iter().filter(|wait| wait.point == point) {
        lines.push(format!(
            "  waits {point} for {} ({})",
            clean(&wait.what),
            wait.name
        ));
    }
}

fn bases(wave: &[Step], plan: &Plan) -> String {
    let mut zones: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for step in wave {
        zones.entry(&step.zone).or_default().push(&step.base);
    }
    let one_zone = plan.limits.zones.len() < 2;
    let named = wave.len() <= NAMED_MAX;
    let parts: Vec<String> = zones
        .into_iter()
        .map(|(zone, bases)| match (named, one_zone) {
            (true, true) => bases.join(", "),
            (true, false) => format!("{} ({zone})", bases.join(", ")),
            (false, true) => count(bases.len(), "base"),
            (false, false) => format!("{} in {zone}", count(bases.len(), "base")),
        })
        .collect();
    parts.join(", ")
}

/// Bases of a wave that do not run what is live.
fn odd<'a>(
    wave: &'a [Step],
    differing: &'a BTreeMap<&str, &Differing>,
    live: &'a str,
) -> impl Iterator<Item = String> + 'a {
    wave.iter().filter_map(move |step| {
        let one = differing.get(step.base.as_str())?;
        let what = match (&one.actual, one.lost) {
            (_, true) => "does not answer".to_owned(),
            (None, _) => "could not be changed last time".to_owned(),
            (Some(versions), _) if versions.is_empty() => "runs none of it".to_owned(),
            (Some(versions), _) => format!("runs {}", versions.join(", ")),
        };
        Some(format!("    {}: {what}, not {live}", step.base))
    })
}

fn limits(limits: &Limits) -> String {
    let mut parts: Vec<String> = limits
        .zones
        .iter()
        .map(|(name, zone)| {
            let out = zone
                .max_unavailable
                .min(zone.bases.saturating_sub(zone.min_available));
            format!("{out} of {} bases at a time in zone {name}", zone.bases)
        })
        .collect();
    parts.push(match limits.max_failures {
        0 => "the first failed base takes it back".to_owned(),
        most => format!("{} put up with", count(most as usize, "failed base")),
    });
    parts.join(", ")
}

/// How each base is judged, and what of it the module set itself.
fn judged(judge: &Judge) -> String {
    let whose = |key: &str| match judge.own.iter().any(|own| own == key) {
        true => " (from its .ferry.toml)",
        false => "",
    };
    let asked = match &judge.probe {
        Some(probe) => format!("GET {} answers {}", clean(&probe.path), probe.status),
        None => "the module is active".to_owned(),
    };
    let soak = match judge.soak_ms {
        0 => "no soak".to_owned(),
        millis => format!("stays well for {}", took(millis)),
    };
    format!("{asked}{}, {soak}{}", whose("probe"), whose("soak"))
}
