//! `ferry runs`.
//!
//! In: runs, newest first. Out: a table.

use ferry_api::{RunKind, RunState, RunSummary};
use ferry_events::Timestamp;

use super::paint::{Toned, plain, table};
use super::text::{age, millis, one_line, short, took};
use super::{Paint, Tone};

/// The runs, one a line.
pub fn runs(runs: &[RunSummary], now: Timestamp, paint: Paint) -> String {
    if runs.is_empty() {
        return "no runs".to_owned();
    }
    let rows = runs
        .iter()
        .map(|run| {
            vec![
                plain(run.id.short()),
                plain(&run.module),
                state(run.state),
                plain(run.environment.as_deref().unwrap_or_default()),
                plain(run.commit.as_deref().map(short).unwrap_or_default()),
                plain(age(now, run.began_at)),
                plain(took(millis(run.ended_at.unwrap_or(now) - run.began_at))),
                plain(about(run)),
            ]
        })
        .collect();
    let header = [
        "RUN",
        "MODULE",
        "STATE",
        "ENVIRONMENT",
        "COMMIT",
        "BEGAN",
        "TOOK",
        "ABOUT",
    ];
    table(paint, &header, rows)
}

/// A run's state in its tone.
pub(super) fn state(state: RunState) -> Toned {
    let tone = match state {
        RunState::Succeeded => Tone::Good,
        RunState::Failed | RunState::Broken => Tone::Bad,
        RunState::Superseded => Tone::Faint,
        _ => Tone::Busy,
    };
    (state.as_str().to_owned(), tone)
}

/// Why it stopped, else what it is about.
fn about(run: &RunSummary) -> String {
    if let Some(stop) = run
        .stop
        .as_ref()
        .filter(|_| run.state != RunState::Superseded)
    {
        let base = stop
            .base
            .as_ref()
            .map(|base| format!(" on {base}"))
            .unwrap_or_default();
        return format!("{}{base}", stop.code);
    }
    let message = one_line(run.message.as_deref().unwrap_or_default(), 48);
    match run.kind {
        RunKind::Change => message,
        RunKind::Rollback if message.is_empty() => "rollback".to_owned(),
        RunKind::Rollback => format!("rollback: {message}"),
        RunKind::Repair => format!("repair: {message}"),
    }
}
