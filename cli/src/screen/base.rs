//! `ferry bases`.
//!
//! In: bases as they were last seen. Out: a table.

use ferry_api::{BaseState, BaseView, ModuleOnBase};
use ferry_events::Timestamp;

use super::paint::{Toned, plain, table};
use super::text::{LINE_MAX, age, bytes, clean, one_line};
use super::{Paint, Tone};

/// The bases with what they carry.
pub fn bases(bases: &[BaseView], now: Timestamp, paint: Paint) -> String {
    if bases.is_empty() {
        return "no bases: add [[pools.NAME.bases]] to ferry.toml".to_owned();
    }
    let rows = bases
        .iter()
        .map(|base| {
            vec![
                plain(&base.name),
                plain(&base.environment),
                plain(&base.pool),
                plain(&base.zone),
                state(base),
                plain(modules(base)),
                plain(metaspace(base)),
                plain(
                    base.last_seen
                        .map(|at| age(now, at))
                        .unwrap_or_else(|| "never".to_owned()),
                ),
            ]
        })
        .collect();
    let header = [
        "BASE",
        "ENVIRONMENT",
        "POOL",
        "ZONE",
        "STATE",
        "MODULES",
        "METASPACE",
        "SEEN",
    ];
    let mut text = table(paint, &header, rows);
    for base in bases {
        if let Some(why) = &base.why {
            text.push_str(&format!("\n{}: {}", base.name, one_line(why, LINE_MAX)));
        }
    }
    text
}

fn state(base: &BaseView) -> Toned {
    match base.state {
        BaseState::Joined => ("joined".to_owned(), Tone::Good),
        BaseState::Lost => ("lost".to_owned(), Tone::Bad),
        BaseState::Unknown => ("unknown".to_owned(), Tone::Busy),
    }
}

fn modules(base: &BaseView) -> String {
    let modules: Vec<String> = base.modules.iter().map(module_words).collect();
    modules.join(", ")
}

/// Name and version; the state only where it is not the good one.
pub(super) fn module_words(module: &ModuleOnBase) -> String {
    let state = match module.state.as_str() {
        "activated" => String::new(),
        other => format!(" {}", clean(other)),
    };
    format!("{} {}{state}", clean(&module.name), clean(&module.version))
}

fn metaspace(base: &BaseView) -> String {
    match base.metaspace {
        None => String::new(),
        Some(room) => match room.max {
            Some(max) => format!("{} of {}", bytes(room.used), bytes(max)),
            None => bytes(room.used),
        },
    }
}
