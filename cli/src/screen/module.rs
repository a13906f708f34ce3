//! `ferry modules`: what is live where.
//!
//! In: modules. Out: a table, one line a module and environment.

use ferry_api::{LiveView, ModuleView};
use ferry_events::Timestamp;

use super::paint::{Toned, plain, table};
use super::text::{age, short};
use super::{Paint, Tone};

/// The modules with what is live of them in each environment.
pub fn modules(modules: &[ModuleView], now: Timestamp, paint: Paint) -> String {
    if modules.is_empty() {
        return "no modules: add [modules.NAME] to ferry.toml".to_owned();
    }
    let mut rows = Vec::new();
    for module in modules {
        let mut first = true;
        for live in &module.environments {
            let name = if first { module.name.as_str() } else { "" };
            let repository = if first {
                module.repository.as_str()
            } else {
                ""
            };
            first = false;
            rows.push(vec![
                plain(name),
                plain(repository),
                plain(&live.environment),
                version(live),
                state(live),
                plain(live.commit.as_deref().map(short).unwrap_or_default()),
                plain(live.since.map(|at| age(now, at)).unwrap_or_default()),
            ]);
        }
        if first {
            rows.push(vec![
                plain(&module.name),
                plain(&module.repository),
                plain("no bases"),
            ]);
        }
    }
    let header = [
        "MODULE",
        "REPOSITORY",
        "ENVIRONMENT",
        "VERSION",
        "STATE",
        "COMMIT",
        "SINCE",
    ];
    table(paint, &header, rows)
}

/// The version that is live.
pub(super) fn version(live: &LiveView) -> Toned {
    match &live.version {
        Some(version) => plain(version),
        None => ("none".to_owned(), Tone::Faint),
    }
}

/// How it stands in one environment, the worst first.
pub(super) fn state(live: &LiveView) -> Toned {
    if !live.drifted.is_empty() {
        let bases: Vec<&str> = live.drifted.iter().map(|one| one.base.as_str()).collect();
        return (format!("drifted on {}", bases.join(", ")), Tone::Bad);
    }
    if let Some(run) = live.changing {
        return (format!("changing by {}", run.short()), Tone::Busy);
    }
    match (&live.version, live.verified) {
        (None, _) => plain(""),
        (Some(_), true) => ("verified".to_owned(), Tone::Good),
        (Some(_), false) => ("not verified".to_owned(), Tone::Busy),
    }
}
