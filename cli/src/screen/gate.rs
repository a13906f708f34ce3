//! What a rollout waits for, what is paused and which bases are held: in sentences, with the command that ends it.
//!
//! In: gates, pauses, the time. Out: text.

use ferry_api::{GateView, Standing, Stretch};
use ferry_events::gate::{Ask, Verdict};
use ferry_events::{RunId, Timestamp};

use super::text::{LINE_MAX, age, clean, moment, one_line, until};

/// Where it waits, and for what: `before the first wave: approval by ada or bob`.
pub(super) fn what(gate: &GateView) -> String {
    format!("{}: {}", gate.point, one_line(&gate.what, LINE_MAX))
}

/// Whether it ends by itself in time.
fn opens(gate: &GateView) -> Option<Timestamp> {
    gate.opens.filter(|opens| *opens <= gate.until)
}

/// Since when, and until when: it never waits for ever.
pub(super) fn times(gate: &GateView, now: Timestamp) -> String {
    let since = format!("since {} ({})", moment(gate.since), age(now, gate.since));
    let end = moment(gate.until);
    match opens(gate) {
        Some(opens) => format!(
            "{since}, goes on at {} (in {}), waits until {end} at most",
            moment(opens),
            until(now, opens)
        ),
        None => format!(
            "{since}, until {end} (in {}), then it stops",
            until(now, gate.until)
        ),
    }
}

/// What was seen last, where something was.
pub(super) fn seen(gate: &GateView) -> Option<String> {
    let last = gate.last.as_ref()?;
    let verdict = match last.verdict {
        Verdict::Pass => "holds so far",
        Verdict::Fail => "does not hold",
        Verdict::Inconclusive => "inconclusive, so it halts until a person decides",
    };
    let name = clean(&gate.name);
    Some(format!(
        "{name}: {verdict}: {}",
        one_line(&last.seen, LINE_MAX)
    ))
}

/// What a person does next; of a pause by hand, the pauses say it themselves.
pub(super) fn next(gate: &GateView, run: RunId) -> String {
    let run = run.short();
    let go_on = format!("ferry promote {run} --why TEXT");
    match &gate.ask {
        Ask::Approval { .. } => format!("ferry approve {run} --why TEXT"),
        Ask::Decision => format!("`{go_on}`, or `ferry abort {run} --why TEXT`"),
        Ask::Metric { .. } | Ask::Check { .. } if gate.is_halted() => {
            format!("`{go_on}`, or `ferry abort {run} --why TEXT`")
        }
        Ask::Metric { .. } | Ask::Check { .. } => {
            format!("nothing: it is being judged; `{go_on}` lets it go on without that")
        }
        Ask::Calendar | Ask::Pause if opens(gate).is_some() => {
            format!("nothing: it goes on by itself; `{go_on}` lets it go on now")
        }
        Ask::Calendar | Ask::Pause => go_on,
        Ask::Release { .. } => {
            format!(
                "nothing: it ends with the others; `ferry abort {run} --why TEXT` ends it for all"
            )
        }
        Ask::Line => "lift the pause with `ferry resume`".to_owned(),
    }
}

/// What is paused or held, since when, by whom and why.
pub(super) fn paused(one: &Standing, now: Timestamp) -> String {
    let why = one.why.as_ref().map(|why| one_line(why, LINE_MAX));
    let why = why.map(|why| format!(": {why}"));
    let how = match one.stretch {
        Stretch::Base { .. } if one.quarantined => "in quarantine",
        Stretch::Base { .. } => "held",
        _ => "paused",
    };
    format!(
        "{} is {how} since {} ({}) by {}{}",
        clean(&one.stretch.to_string()),
        moment(one.since),
        age(now, one.since),
        clean(&one.actor),
        why.unwrap_or_default()
    )
}

/// The command that lifts a pause.
pub(super) fn resume(stretch: &Stretch) -> String {
    match stretch {
        Stretch::Everything => "ferry resume --everything".to_owned(),
        Stretch::Environment(name) => format!("ferry resume --env {}", clean(name)),
        Stretch::Module(name) => format!("ferry resume --module {}", clean(name)),
        Stretch::Run { run, .. } => format!("ferry resume {}", run.short()),
        Stretch::Base { base, .. } => format!("ferry base release {} --why TEXT", clean(base)),
    }
}
