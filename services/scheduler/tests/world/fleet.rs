//! Bases that keep what they were given, each with its faults. In: tasks and observations. Out: what the
//! installer and the verifier would say, now or when a soak has ended.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use ferry_events::{Body, Digest, Reason, Stop, Timestamp, restart, task, verify};

use super::{observed, task_finished};

/// Watching that lasts this long or longer takes its time; shorter ones are over at once.
const SOAKS: u64 = 60_000;

/// One base.
#[derive(Default)]
pub struct Base {
    /// The version that runs there.
    pub runs: Option<String>,
    /// Versions that do not start there.
    pub refuses: BTreeSet<String>,
    /// Versions that answer badly there.
    pub answers_badly: BTreeSet<String>,
    /// Versions that stop answering well halfway through a soak.
    pub falls_over: BTreeSet<String>,
    /// Nobody hears from its installer or verifier.
    pub silent: bool,
    /// It does not answer.
    pub lost: bool,
    /// Its driver fails.
    pub stuck: bool,
}

/// All bases.
#[derive(Default)]
pub struct Fleet {
    pub bases: BTreeMap<String, Base>,
    /// Metaspace that an install takes, in bytes, where the installer asks.
    pub growth: Option<u64>,
    /// What silent bases were asked.
    held: Vec<Body>,
    /// What is said later.
    later: Vec<(Timestamp, Body)>,
}

impl Fleet {
    pub fn base(&mut self, name: &str) -> &mut Base {
        self.bases.entry(name.to_owned()).or_default()
    }

    /// When something is said next by itself.
    pub fn next(&self) -> Option<Timestamp> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    /// What is said by now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Body> {
        let (due, later) = std::mem::take(&mut self.later)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.later = later;
        due.into_iter().map(|(_, body)| body).collect()
    }

    /// What was asked of a base while it was silent.
    pub fn take_held(&mut self, base: &str) -> Vec<Body> {
        let (held, others) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|body| base_of(body) == base);
        self.held = others;
        held
    }

    /// A base does not answer any more: whoever watches it says so.
    pub fn lose(&mut self, name: &str) -> Vec<Body> {
        self.base(name).lost = true;
        let (watched, others) = std::mem::take(&mut self.later)
            .into_iter()
            .partition(|(_, body)| base_of(body) == name);
        self.later = others;
        let lost = |(_, body)| match body {
            Body::ObservationFinished(p) => verify::Finished {
                stop: Some(Stop::new(Reason::BaseLost, "connection refused")),
                ..*p
            }
            .into(),
            other => other,
        };
        Vec::into_iter(watched).map(lost).collect()
    }

    pub fn answer(
        &mut self,
        body: &Body,
        in_force: Option<&Digest>,
        now: Timestamp,
        revisions: &mut BTreeMap<String, u64>,
    ) -> Option<Body> {
        let answer = match body {
            Body::TaskRequested(p) if self.base(&p.base).silent => None,
            Body::ObservationRequested(p) if self.base(&p.base).silent => None,
            Body::RestartRequested(p) if self.base(&p.turn.base).silent => None,
            Body::RestartRequested(p) => return Some(self.restart(p, now)),
            Body::TaskRequested(p) => return Some(self.change(p, in_force, revisions)),
            Body::ObservationRequested(p) => return self.watch(p, now),
            _ => return None,
        };
        self.held.push(body.clone());
        answer
    }

    fn change(
        &mut self,
        p: &task::Requested,
        in_force: Option<&Digest>,
        revisions: &mut BTreeMap<String, u64>,
    ) -> Body {
        let base = self.bases.entry(p.base.clone()).or_default();
        let revision = revisions.entry(p.base.clone()).or_default();
        if in_force != Some(&p.plan) {
            let stop = Stop::new(Reason::PlanOutdated, "another plan is in force");
            return task_finished(p, *revision, Err(stop));
        }
        if base.lost {
            let stop = Stop::new(Reason::BaseUnreachable, "connection refused");
            return task_finished(p, *revision, Err(stop));
        }
        *revision += 1;
        let version = |want: &Option<task::Want>| want.as_ref().map(|want| want.version.clone());
        let starts = |version: &Option<String>| {
            version
                .as_ref()
                .is_none_or(|version| !base.refuses.contains(version))
        };
        let (want, before) = (version(&p.want), version(&p.restore));
        if starts(&want) {
            base.runs = want;
            let done = task_finished(p, *revision, Ok(()));
            let Body::TaskFinished(done) = done else {
                unreachable!("it is one");
            };
            return task::Finished {
                metaspace_growth: self.growth,
                ..*done
            }
            .into();
        }
        base.runs = before.filter(|_| starts(&version(&p.restore)));
        let stop = Stop::new(Reason::InstallFailed, "NoClassDefFoundError");
        task_finished(p, *revision, Err(stop))
    }

    fn restart(&mut self, p: &restart::Requested, now: Timestamp) -> Body {
        let base = self.base(&p.turn.base);
        let why = match (base.stuck, now > p.begin_by) {
            (true, _) => Some("systemctl ended with exit status: 1"),
            (_, true) => Some("its moment is past"),
            _ => None,
        };
        if why.is_none() {
            base.runs = None;
            base.lost = false;
        }
        restart::Finished {
            turn: p.turn.clone(),
            stop: why.map(|why| Stop::new(Reason::RestartFailed, why).on(&p.turn.base)),
            ended: now,
            millis: 40_000,
        }
        .into()
    }

    fn watch(&mut self, p: &verify::Requested, now: Timestamp) -> Option<Body> {
        let base = self.bases.entry(p.base.clone()).or_default();
        let has = |versions: &BTreeSet<String>| {
            p.version
                .as_ref()
                .is_some_and(|version| versions.contains(version))
        };
        let stop = if base.lost {
            Some(Stop::new(Reason::BaseLost, "connection refused"))
        } else if p.version != base.runs {
            let runs = base.runs.as_deref().unwrap_or("nothing");
            Some(Stop::new(Reason::NotActive, format!("it runs {runs}")))
        } else if has(&base.answers_badly) {
            Some(Stop::new(Reason::ProbeFailed, "500"))
        } else {
            None
        };
        if let Some(stop) = stop {
            return Some(observed(p, Err(stop)));
        }
        if p.soak_ms < SOAKS {
            return Some(observed(p, Ok(())));
        }
        let soak = TimeDelta::milliseconds(p.soak_ms as i64);
        let (after, result) = if has(&base.falls_over) {
            (soak / 2, Err(Stop::new(Reason::SoakFailed, "503")))
        } else {
            (soak, Ok(()))
        };
        self.later.push((now + after, observed(p, result)));
        None
    }
}

fn base_of(body: &Body) -> &str {
    match body {
        Body::TaskRequested(p) => &p.base,
        Body::RestartRequested(p) => &p.turn.base,
        Body::ObservationRequested(p) => &p.base,
        Body::ObservationFinished(p) => &p.base,
        _ => "",
    }
}
