//! Freezes and windows: whether a wave may begin at a moment, and when it may next.
//! In: the configuration, a module, an environment, a moment. Out: [`Closed`], or nothing where it is open.
//! Pure: the moment comes from the caller.

use chrono::{DateTime, Duration, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::model::{Config, Freeze, Window};
use crate::text::duration;

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
        let opens = self.opens(module, environment, now);
        Some(Closed { by, why, opens })
    }

    /// The first moment from `at` on at which a wave may begin.
    fn opens(
        &self,
        module: &str,
        environment: &str,
        mut at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        loop {
            // Each turn leaves a freeze behind for good, so that this ends.
            while let Some(until) = self.frozen_until(module, environment, at) {
                at = until;
            }
            if self.closed_by_windows(environment, at).is_none() {
                return Some(at);
            }
            let windows = self.environments.get(environment)?.windows.values();
            at = windows.filter_map(|window| opens_after(window, at)).min()?;
            if self.frozen_until(module, environment, at).is_none() {
                return Some(at);
            }
        }
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
        self.closed_by_windows(environment, at)
    }

    fn closed_by_windows(&self, environment: &str, at: DateTime<Utc>) -> Option<(String, String)> {
        let windows = &self.environments.get(environment)?.windows;
        if windows.is_empty() || windows.values().any(|window| is_open(window, at)) {
            return None;
        }
        let names: Vec<&str> = windows.keys().map(String::as_str).collect();
        let open: Vec<String> = windows.values().map(described).collect();
        Some((format!("window {}", names.join(", ")), open.join("; or ")))
    }

    /// When the freezes end that stand at this moment.
    fn frozen_until(
        &self,
        module: &str,
        environment: &str,
        at: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        self.freezes_of(module, environment)
            .filter_map(|(_, freeze)| span(freeze))
            .filter(|(from, until)| (*from..*until).contains(&at))
            .map(|(_, until)| until)
            .max()
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
    span_of(&freeze.from, &freeze.until, &freeze.time_zone)
}

/// The first moment of a freeze and the first after it; none where one of the texts is wrong.
pub(crate) fn span_of(
    from: &str,
    until: &str,
    zone: &str,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let zone = time_zone(zone).ok()?;
    Some((
        moment(local_time(from).ok()?, zone),
        moment(local_time(until).ok()?, zone),
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
    let five = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed);
    five.build().parse(text).map_err(|error| {
        format!("{text:?} is not a cron expression such as \"0 9 * * mon-fri\": {error}")
    })
}

/// Whether a cron expression that can be read names a date that never comes, such as the 30th of February.
pub(crate) fn never_opens(text: &str) -> bool {
    // Any moment does: a date comes once in eight years at least, or never.
    cron(text).is_ok_and(|cron| {
        cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false)
            .is_err()
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
