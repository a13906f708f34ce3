//! `ferry history`: what was live of a module, where and when.
//!
//! In: versions with their times. Out: a table, the newest first.

use ferry_api::{HistoryView, PeriodEnd, PeriodView};

use super::paint::{Toned, plain, table};
use super::text::{clean, count, moment, one_line, short};
use super::{Paint, Tone};

/// What was live.
pub fn history(history: &HistoryView, paint: Paint) -> String {
    if history.periods.is_empty() {
        return format!("nothing of {} was ever rolled out", clean(&history.module));
    }
    let header = [
        "ENVIRONMENT",
        "VERSION",
        "COMMIT",
        "SINCE",
        "UNTIL",
        "HOW IT ENDED",
        "RUN",
        "BY",
    ];
    let rows = history.periods.iter().map(row).collect();
    let mut text = table(paint, &header, rows);
    if history.left_out > 0 {
        let left_out = usize::try_from(history.left_out).unwrap_or(usize::MAX);
        text.push_str(&format!(
            "\n… and {} before that",
            count(left_out, "version")
        ));
    }
    text
}

fn row(it: &PeriodView) -> Vec<Toned> {
    let stop = it.stop.as_ref().map(|stop| {
        let base = stop.base.as_ref().map(|base| format!(" on {base}"));
        format!(": {}{}", stop.code, base.unwrap_or_default())
    });
    let by = it.ended_by.map(|run| format!(" by run {}", run.short()));
    let (end, tone) = match it.end {
        PeriodEnd::Live => ("live", Tone::Good),
        PeriodEnd::RollingOut => ("being rolled out", Tone::Busy),
        PeriodEnd::Replaced => ("replaced", Tone::Plain),
        PeriodEnd::RolledBack => ("rolled back", Tone::Bad),
        PeriodEnd::Broken => ("rolled back, not everywhere", Tone::Bad),
        PeriodEnd::Superseded => ("superseded", Tone::Faint),
    };
    let end = format!(
        "{end}{}{}",
        by.unwrap_or_default(),
        stop.unwrap_or_default()
    );
    vec![
        plain(clean(&it.environment)),
        plain(clean(&it.version)),
        plain(it.commit.as_deref().map(short).unwrap_or("-")),
        plain(moment(it.since)),
        plain(it.until.map_or_else(|| "-".to_owned(), moment)),
        (end, tone),
        plain(it.run.short()),
        plain(
            it.by
                .as_deref()
                .map_or_else(|| "-".to_owned(), |by| one_line(by, 40)),
        ),
    ]
}
