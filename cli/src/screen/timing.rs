//! `ferry show RUN --timing`: where a run's time went.
//!
//! In: its hops. Out: text.

use super::Paint;
use super::paint::{indent, plain, table};
use super::text::took;
use crate::timing::{Hop, OnBase, Timing};

/// All of it.
pub fn timing(timing: &Timing, paint: Paint) -> String {
    let mut parts = vec![format!(
        "{} took {}",
        paint.strong(&format!("run {}", timing.run)),
        took(timing.whole_ms)
    )];
    if timing.hops.is_empty() {
        parts.push("nothing of it is told yet, or its events are past their time".to_owned());
        return parts.join("\n\n");
    }
    let rows = timing.hops.iter().map(hop).collect();
    parts.push(table(paint, &["AT", "TOOK", "BY", "WHAT", "WHERE"], rows));
    let sums: Vec<String> = timing
        .services
        .iter()
        .map(|(service, millis)| format!("{service} {}", took(*millis)))
        .collect();
    parts.push(format!("{}  {}", paint.strong("sum"), sums.join(", ")));
    if !timing.bases.is_empty() {
        let rows = timing.bases.iter().map(on_base).collect();
        parts.push(format!(
            "{}\n{}",
            paint.strong("on the bases"),
            indent(&table(paint, &[], rows), 2)
        ));
    }
    parts.join("\n\n")
}

fn hop(hop: &Hop) -> Vec<super::paint::Toned> {
    let place = match (&hop.environment, &hop.base) {
        (_, Some(base)) => base.clone(),
        (Some(environment), None) => environment.clone(),
        (None, None) => String::new(),
    };
    vec![
        plain(took(hop.at_ms)),
        plain(took(hop.took_ms)),
        plain(hop.service.name()),
        plain(hop.what),
        plain(place),
    ]
}

fn on_base(it: &OnBase) -> Vec<super::paint::Toned> {
    let steps: Vec<String> = it
        .steps
        .iter()
        .map(|step| format!("{} {}", step.step, took(step.millis)))
        .collect();
    vec![plain(it.base.clone()), plain(steps.join(", "))]
}
