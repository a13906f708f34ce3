//! `ferry bases`.
//!
//! In: bases as they were last seen, beside what they should run. Out: a table; below it why they differ.

use ferry_api::{BaseState, BaseView, ModuleOnBase, RestartState, RestartView, WantedView};
use ferry_events::Timestamp;

use super::paint::{Toned, plain, table};
use super::text::{LINE_MAX, age, bytes, clean, one_line, until};
use super::{Paint, Tone, gate};

/// The bases with what they should carry and what they carry.
pub fn bases(bases: &[BaseView], now: Timestamp, paint: Paint) -> String {
    if bases.is_empty() {
        return "no bases: add [[pools.NAME.bases]] to ferry.toml".to_owned();
    }
    let rows = bases.iter().flat_map(|base| rows(base, now)).collect();
    let header = [
        "BASE",
        "ENVIRONMENT",
        "POOL",
        "ZONE",
        "STATE",
        "METASPACE",
        "SEEN",
        "MODULE",
        "WANTED",
        "ACTUAL",
    ];
    let mut text = table(paint, &header, rows);
    for base in bases {
        if let Some(held) = &base.held {
            text.push_str(&format!("\n{}", gate::paused(held, now)));
        }
        if let Some(restart) = &base.restart {
            text.push_str(&format!("\n{}: {}", base.name, restart_words(restart, now)));
        }
        if let Some(why) = &base.why {
            text.push_str(&format!("\n{}: {}", base.name, one_line(why, LINE_MAX)));
        }
        for it in &base.wanted {
            if let Some(why) = differs(base, it, now) {
                text.push_str(&format!("\n{}: {} {why}", base.name, it.module));
            }
        }
    }
    text
}

/// One row a module; the base stands in the first.
fn rows(base: &BaseView, now: Timestamp) -> Vec<Vec<Toned>> {
    let decided = |one: &ModuleOnBase| {
        let is_it = |actual: &ModuleOnBase| actual == one;
        base.wanted.iter().any(|it| it.actual.iter().any(is_it))
    };
    let mut modules: Vec<[Toned; 3]> = base.wanted.iter().map(wanted_cells).collect();
    // What others put there is none of Ferry's business.
    modules.extend(base.modules.iter().filter(|one| !decided(one)).map(|one| {
        [
            plain(clean(&one.name)),
            ("-".to_owned(), Tone::Faint),
            plain(version_words(one)),
        ]
    }));
    if modules.is_empty() {
        modules.push([plain(""), plain(""), plain("")]);
    }
    let mut first = Some(vec![
        plain(&base.name),
        plain(&base.environment),
        plain(&base.pool),
        plain(&base.zone),
        state(base),
        plain(metaspace(base)),
        plain(
            base.last_seen
                .map(|at| age(now, at))
                .unwrap_or_else(|| "never".to_owned()),
        ),
    ]);
    modules
        .into_iter()
        .map(|cells| {
            let mut row = first.take().unwrap_or_else(|| vec![plain(""); 7]);
            row.extend(cells);
            row
        })
        .collect()
}

fn wanted_cells(it: &WantedView) -> [Toned; 3] {
    let actual: Vec<String> = it.actual.iter().map(version_words).collect();
    let actual = if actual.is_empty() {
        "none".to_owned()
    } else {
        actual.join(", ")
    };
    let actual = if it.agrees {
        (actual, Tone::Good)
    } else {
        (format!("! {actual}"), Tone::Bad)
    };
    let wanted = it.wanted.as_deref().unwrap_or("none");
    [plain(clean(&it.module)), plain(clean(wanted)), actual]
}

/// Why a base runs something else than it should, and what is done about it; none where all is well.
pub(super) fn differs(base: &BaseView, it: &WantedView, now: Timestamp) -> Option<String> {
    let Some(repair) = &it.repair else {
        return match (it.agrees, it.rollout) {
            (true, _) => None,
            (false, Some(run)) => Some(format!("is being rolled out by run {}", run.short())),
            (false, None) => Some("differs".to_owned()),
        };
    };
    let since = age(now, repair.since);
    let last = repair
        .stop
        .as_ref()
        .filter(|_| !repair.is_given_up())
        .map(|stop| {
            format!(
                "; at last {}: {}",
                stop.code,
                one_line(&stop.detail, LINE_MAX)
            )
        })
        .unwrap_or_default();
    let what = match (repair.run, it.rollout, repair.next) {
        (Some(run), _, _) => format!("is being brought back by run {}", run.short()),
        (_, Some(run), _) => format!(
            "is looked at again after the rollout of run {}",
            run.short()
        ),
        _ if base.held.as_ref().is_some_and(|held| !held.quarantined) => {
            "is brought back once the base is released".to_owned()
        }
        (_, _, None) => {
            let cause = repair.stop.as_ref();
            let cause =
                cause.map(|stop| format!(": {}: {}", stop.code, one_line(&stop.detail, LINE_MAX)));
            format!("is given up{}", cause.unwrap_or_default())
        }
        _ if base.state == BaseState::Lost => "is brought back once the base answers".to_owned(),
        (_, _, Some(next)) => format!("is brought back again in {}", until(now, next)),
    };
    Some(format!("{what}, differs since {since}{last}"))
}

/// How far a restart is.
pub(super) fn restart_words(restart: &RestartView, now: Timestamp) -> String {
    let since = age(now, restart.since);
    let why = restart.why.as_deref().map(|why| one_line(why, LINE_MAX));
    let why = why.map(|why| format!("; {why}")).unwrap_or_default();
    let last = restart.stop.as_ref();
    let last = last.map(|stop| format!("{}: {}", stop.code, one_line(&stop.detail, LINE_MAX)));
    let at_last = last.as_ref().map(|last| format!("; at last {last}"));
    let at_last = at_last.unwrap_or_default();
    match (restart.state, restart.driven) {
        (RestartState::Listed, false) => {
            format!("is to be restarted by a person, since {since}{why}{at_last}")
        }
        (RestartState::Listed, true) => {
            format!("waits for its restart since {since}{why}{at_last}")
        }
        (RestartState::Asked, _) => {
            format!("waits until its modules can spare it for a restart, since {since}{why}")
        }
        (RestartState::Restarting, _) => format!("is being restarted since {since}{why}"),
        (RestartState::Settling, _) => {
            format!("was restarted; its modules are being brought back since {since}")
        }
        (RestartState::Failed, _) => {
            format!("its restart failed {since}: {}", last.unwrap_or_default())
        }
    }
}

fn state(base: &BaseView) -> Toned {
    let (state, tone) = match base.state {
        BaseState::Joined => ("joined", Tone::Good),
        BaseState::Lost => ("lost", Tone::Bad),
        BaseState::Unknown => ("unknown", Tone::Busy),
    };
    let Some(held) = &base.held else {
        return (state.to_owned(), tone);
    };
    let how = match held.quarantined {
        true => "quarantined",
        false => "held",
    };
    match base.state {
        BaseState::Joined => (how.to_owned(), Tone::Bad),
        _ => (format!("{how}, {state}"), Tone::Bad),
    }
}

/// Name and version; the state only where it is not the good one.
pub(super) fn module_words(module: &ModuleOnBase) -> String {
    format!("{} {}", clean(&module.name), version_words(module))
}

fn version_words(module: &ModuleOnBase) -> String {
    let state = match module.state.as_str() {
        "activated" => String::new(),
        other => format!(" {}", clean(other)),
    };
    format!("{}{state}", clean(&module.version))
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
