//! What a run of kills came to.
//!
//! In: what was sent, done and found. Out: text for people, an object for programs.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use ferry_events::{Event, run};
use serde::Serialize;

use super::Plan;
use super::journal::Told;
use super::judge::{Findings, Runs};
use super::pushes::Sent;
use super::supervisor::{Count, Done};

/// So many findings of a kind are shown; the object has all.
const SHOWN_MAX: usize = 10;

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What fixed the schedule.
    pub seed: u64,
    /// For how long pushes and kills went on, in seconds.
    pub seconds: u64,
    /// nats-servers.
    pub servers: usize,
    /// Pushes that were made.
    pub pushes: usize,
    /// Those that were answered 202.
    pub accepted: usize,
    /// Deliveries that were sent again after their 202.
    pub again: usize,
    /// Deliveries that were told more than once until a 202 came.
    pub insisted: usize,
    /// Runs by their end; of failed ones, by their reason.
    pub runs: BTreeMap<String, usize>,
    /// Events that were checked.
    pub events: usize,
    /// What was done, by service.
    pub done: BTreeMap<String, Count>,
    /// From the end of the kills to rest, in milliseconds.
    pub rest_millis: u64,
    /// What was found.
    pub findings: Findings,
    /// Where everything is kept.
    pub dir: PathBuf,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        sent: &[Sent],
        done: &Done,
        told: &[Told],
        findings: Findings,
        rested: Duration,
    ) -> Self {
        let events: Vec<&Event> = told.iter().filter_map(|told| told.event.as_ref()).collect();
        let mut runs: BTreeMap<String, usize> = BTreeMap::new();
        for finished in Runs::of(&events).finished.values() {
            let end = match (finished.outcome, &finished.stop) {
                (run::Outcome::Success, _) => "succeeded".to_owned(),
                (run::Outcome::Cancel, _) => "superseded".to_owned(),
                (_, Some(stop)) => format!("failed ({})", stop.reason),
                (_, None) => "failed".to_owned(),
            };
            *runs.entry(end).or_default() += 1;
        }
        Self {
            seed: plan.seed,
            seconds: plan.length.as_secs(),
            servers: plan.servers,
            pushes: sent.len(),
            accepted: sent.iter().filter(|one| one.accepted.is_some()).count(),
            again: sent.iter().map(|one| one.again).sum(),
            insisted: sent.iter().filter(|one| one.attempts > 1).count(),
            runs,
            events: told.len(),
            done: done.counts.clone(),
            rest_millis: u64::try_from(rested.as_millis()).unwrap_or(u64::MAX),
            findings,
            dir: plan.dir.clone(),
        }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_clean()
    }

    /// The command that runs the same schedule again.
    pub fn command(&self) -> String {
        let minutes = self.seconds as f64 / 60.0;
        let cluster = if self.servers > 1 { " --cluster" } else { "" };
        format!(
            "cargo xtask chaos --minutes {minutes} --seed {}{cluster}",
            self.seed
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |what: &str, value: String| writeln!(out, "{what:<18} {value}");
        let total = |of: fn(&Count) -> usize| self.done.values().map(of).sum::<usize>();
        let counts = |of: fn(&Count) -> usize| {
            let mut text = total(of).to_string();
            let mut before = " (";
            for (service, count) in &self.done {
                let _ = write!(text, "{before}{service} {}", of(count));
                before = ", ";
            }
            text + ")"
        };
        row("seed", self.seed.to_string())?;
        row(
            "pushes",
            format!(
                "{} sent, {} accepted; {} told more than once until then, {} delivered again after it",
                self.pushes, self.accepted, self.insisted, self.again
            ),
        )?;
        row("kills", counts(|count| count.kills))?;
        row("freezes", counts(|count| count.freezes))?;
        let ends: Vec<String> = self
            .runs
            .iter()
            .map(|(end, count)| format!("{count} {end}"))
            .collect();
        row("runs", ends.join(", "))?;
        row("events", self.events.to_string())?;
        let secs = |millis: u64| format!("{:.1} s", millis as f64 / 1000.0);
        let stall = &self.findings.stall;
        let mut text = format!("{}, from {} on", secs(stall.millis), secs(stall.at));
        if !stall.away.is_empty() {
            let _ = write!(text, " ({})", stall.away.join(", "));
        }
        row("longest stall", text)?;
        row("rest after", secs(self.rest_millis))?;
        for (what, found) in self.findings.violations() {
            row(what, found.len().to_string())?;
            for line in found.iter().take(SHOWN_MAX) {
                row("", line.clone())?;
            }
        }
        for line in &self.findings.heads {
            row("head not live", line.clone())?;
        }
        row("kept in", self.dir.display().to_string())?;
        row("again", self.command())?;
        row(
            "",
            "the seed fixes the schedule of pushes, kills and freezes, not how processes interleave".to_owned(),
        )?;
        row(
            "Maven",
            "a stand-in that copies a jar; everything else is real, bases are simulated".to_owned(),
        )?;
        write!(
            out,
            "{}",
            if self.is_clean() {
                "passed: nothing lost, nothing doubled, nothing left undone"
            } else {
                "FAILED"
            }
        )
    }
}
