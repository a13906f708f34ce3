//! Freezes and windows: whether a wave may begin at a moment, and when it may next.
//! In: the configuration, a module, an environment, a moment. Out: [`Closed`], or nothing where it is open.
//! Pure: the moment comes from the caller.

use std::str::FromStr;

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;

use crate::model::{Config, Freeze, Window};
use crate::text::duration;

/// Freezes in a row that are looked through for the next opening: more than a year has.
const LOOKS_MAX: usize = 64;

/// Why no wave may begin now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// `freeze` or `window`, and the name, as `freeze christmas`.
    pub by: String,
    /// Why, as people wrote it, or when it is open.
    pub why: String,
    /// When a wave may next begin; none: not within what can be foreseen.
    pub opens: Option<DateTime<Utc>>,
}

impl Config {
    /// What keeps a wave of this module from beginning in this environment at this moment.
    pub fn closed(&self, module: &str, environment: &str, now: DateTime<Utc>) -> Option<Closed> {
        let (by, why) = self.closed_by(module, environment, now)?;
        // Each look goes to where the present obstacle ends; another one may stand there.
        let mut at = now;
        let mut opens = None;
        for _ in 0..LOOKS_MAX {
            at = match self.next_change(module, environment, at) {
                Some(next) => next,
                None => break,
            };
            if self.closed_by(module, environment, at).is_none() {
                opens = Some(at);
                break;
            }
        }
        Some(Closed { by, why, opens })
    }

    fn freezes_of(
        &self,
        module: &str,
        environment: &str,
    ) -> impl Iterator<Item = (&String, &Freeze)> {
        self.freezes.iter().filter(move |(_, freeze)| {
            crate::ask::any_glob(&freeze.modules, module)
                && crate::ask::any_glob(&freeze.environments, environment)
        })
    }

    fn closed_by(
        &self,
        module: &str,
        environment: &str,
        at: DateTime<Utc>,
    ) -> Option<(String, String)> {
        for (name, freeze) in self.freezes_of(module, environment) {
            if span(freeze).is_some_and(|(from, until)| (from..until).contains(&at)) {
                return Some((format!("freeze {name}"), freeze.why.clone()));
            }
        }
        let windows = &self.environments.get(environment)?.windows;
        if windows.is_empty() || windows.values().any(|window| is_open(window, at)) {
            return None;
        }
        let names: Vec<&str> = windows.keys().map(String::as_str).collect();
        let open: Vec<String> = windows.values().map(described).collect();
        Some((format!("window {}", names.join(", ")), open.join("; or ")))
    }

    /// The next moment after `at` at which a freeze ends or a window opens.
    fn next_change(
        &self,
        module: &str,
        environment: &str,
        at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let ends = self
            .freezes_of(module, environment)
            .filter_map(|(_, freeze)| span(freeze))
            .map(|(_, until)| until)
            .filter(|until| *until > at);
        let opens = self
            .environments
            .get(environment)
            .into_iter()
            .flat_map(|environment| environment.windows.values())
            .filter_map(|window| opens_after(window, at));
        ends.chain(opens).min()
    }
}

fn described(window: &Window) -> String {
    format!(
        "open for {} from {:?} ({})",
        duration::format(window.open_for),
        window.opens,
        window.time_zone
    )
}

fn span(freeze: &Freeze) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let zone = time_zone(&freeze.time_zone).ok()?;
    Some((
        moment(local_time(&freeze.from).ok()?, zone),
        moment(local_time(&freeze.until).ok()?, zone),
    ))
}

/// A local time as a moment: the earlier one where clocks were set back; where they were set forward over
/// it, an hour later.
fn moment(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    zone.from_local_datetime(&local)
        .earliest()
        .or_else(|| {
            zone.from_local_datetime(&(local + Duration::hours(1)))
                .earliest()
        })
        .map_or_else(|| local.and_utc(), |moment| moment.with_timezone(&Utc))
}

fn is_open(window: &Window, at: DateTime<Utc>) -> bool {
    let Some((cron, zone, open_for)) = parts(window) else {
        return false;
    };
    let begin = (at - open_for).with_timezone(&zone);
    cron.find_next_occurrence(&begin, false)
        .is_ok_and(|opened| opened.with_timezone(&Utc) <= at)
}

fn opens_after(window: &Window, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (cron, zone, _) = parts(window)?;
    let next = cron.find_next_occurrence(&at.with_timezone(&zone), false);
    next.ok().map(|next| next.with_timezone(&Utc))
}

fn parts(window: &Window) -> Option<(Cron, Tz, Duration)> {
    Some((
        cron(&window.opens).ok()?,
        time_zone(&window.time_zone).ok()?,
        Duration::from_std(window.open_for).ok()?,
    ))
}

/// Reads a cron expression of five fields.
pub(crate) fn cron(text: &str) -> Result<Cron, String> {
    Cron::from_str(text).map_err(|error| {
        format!("{text:?} is not a cron expression such as \"0 9 * * mon-fri\": {error}")
    })
}

/// Reads a time zone's IANA name.
pub(crate) fn time_zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is not a time zone of the IANA's, such as \"Europe/Berlin\" or \"UTC\"")
    })
}

/// Reads a date, or a date and a time.
pub(crate) fn local_time(text: &str) -> Result<NaiveDateTime, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .map(|date| date.and_time(chrono::NaiveTime::MIN))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
        .map_err(|_| {
            format!("{text:?} is not a date such as \"2026-12-20\" or \"2026-12-20T18:00\"")
        })
}
