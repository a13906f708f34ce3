//! What must hold of gates, freezes and windows: looked at as each event is said.
//!
//! In: events, the plans as they were told, what was answered outside. Out: what is broken, in words.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, PlanId, RunId, Timestamp,
    gate::{self, Ask, Gate, Outcome, Point, Verdict, gate_id},
    rollout::{Aim, Direction, Plan, Planned, RolloutOutcome, Wave},
    task,
};
use uuid::Uuid;

use crate::{care::Look, outside::Means};

/// How far two clocks may be apart, with what a deadline takes to be noticed.
const LATE_MS: i64 = 60_000;

/// What is known of gates.
#[derive(Clone, Default)]
pub struct Gates {
    /// Forward plans that are no person's way back.
    plans: BTreeMap<PlanId, Plan>,
    /// The newest of them, by run and environment.
    newest: BTreeMap<(RunId, String), PlanId>,
    by_hand: BTreeSet<RunId>,
    /// When each question was first asked, and what.
    asked: BTreeMap<Uuid, (u64, Ask)>,
    /// Those that are waited for, and until when; of other modules it is waited as long as they need.
    open: BTreeMap<Uuid, (String, Timestamp)>,
    verdicts: BTreeSet<(Uuid, String)>,
    passed: BTreeSet<Uuid>,
    /// Runs of which something was waited for that did not hold by itself: who asks may go on asking.
    left: BTreeSet<RunId>,
    /// Plans that a person let go on although it was closed.
    overridden: BTreeSet<PlanId>,
    /// Plans of which a gate did not hold.
    failed: BTreeMap<PlanId, String>,
    begun: BTreeSet<(PlanId, u32)>,
}

impl Gates {
    /// Takes in an event. What is broken by it.
    pub fn take(&mut self, look: &Look<'_>) -> Option<String> {
        match look.body {
            Body::RolloutRequested(p) => {
                if let Aim::Back { .. } = p.aim {
                    self.by_hand.insert(p.run);
                }
                None
            }
            Body::RolloutPlanned(p) => self.planned(p, look),
            Body::GateRequested(p) => self.requested(p, look),
            Body::GateJudged(p) => self.judged(p, look),
            Body::GateFinished(p) => self.finished(p, look),
            Body::WaveStarted(p) => self.wave_started(&p.0, look),
            Body::TaskRequested(p) => self.task_requested(p),
            Body::RolloutFinished(p) if p.outcome == RolloutOutcome::Verified => {
                let plan = self.newest.get(&(p.run, p.environment.clone()))?;
                let what = format!("run {} is verified in {}", p.run.short(), p.environment);
                self.must_have_passed(plan, Point::End, &what)
            }
            _ => None,
        }
        .or_else(|| self.overdue(look))
    }

    /// A plan has the gates that are configured, in their places.
    fn planned(&mut self, planned: &Planned, look: &Look<'_>) -> Option<String> {
        let plan = &planned.plan;
        if plan.direction != Direction::Forward || self.by_hand.contains(&plan.run) {
            return None;
        }
        let id = planned.id.clone();
        let place = (plan.run, plan.environment.clone());
        self.newest.insert(place, id.clone());
        self.plans.insert(id, plan.clone());
        let guard = look.script.settings.guard.as_ref();
        let configured = guard.map(|guard| guard.gates(&plan.environment));
        configured.into_iter().flatten().find_map(|(name, gate)| {
            let there = plan.gates.iter().find(|one| one.name == name);
            let same = there.is_some_and(|there| there.at == gate.at);
            (!same).then(|| format!("plan {} has not the gate {name}", planned.id.short()))
        })
    }

    fn requested(&mut self, requested: &gate::Requested, look: &Look<'_>) -> Option<String> {
        let asked = (look.now_ms, requested.ask.clone());
        self.asked.entry(requested.gate).or_insert(asked);
        if !matches!(requested.ask, Ask::Release { .. }) {
            let name = format!("{} of run {}", requested.name, requested.run.short());
            self.open.insert(requested.gate, (name, requested.until));
        }
        let ask = &requested.ask;
        (requested.until <= requested.since && !matches!(ask, Ask::Release { .. })).then(|| {
            let run = requested.run.short();
            format!(
                "{} of run {run} is waited for until it began",
                requested.name
            )
        })
    }

    /// The verdict says what was answered: as many well values as must be, and no nothing among them.
    fn judged(&mut self, judged: &gate::Judged, look: &Look<'_>) -> Option<String> {
        let (since, ask) = self.asked.get(&judged.gate)?;
        let is = match judged.verdict {
            Verdict::Pass => "passes",
            Verdict::Fail => "fails",
            Verdict::Inconclusive => "is inconclusive",
        };
        self.verdicts.insert((judged.gate, is.to_owned()));
        let true_to_it = match (ask, judged.verdict) {
            (_, Verdict::Inconclusive) => true,
            (Ask::Metric { query, count, .. }, Verdict::Pass) => {
                let in_a_row = look.script.is_calm() && !self.left.contains(&judged.run);
                look.outside.well(query, *since, in_a_row) >= *count
            }
            (Ask::Metric { query, .. }, Verdict::Fail) => look.outside.was_bad(query, *since),
            (Ask::Check { .. }, Verdict::Pass) => look.outside.said(judged.gate, Means::Well),
            (Ask::Check { .. }, Verdict::Fail) => look.outside.said(judged.gate, Means::Bad),
            (_, _) => false,
        };
        (!true_to_it).then(|| {
            let (name, run) = (&judged.name, judged.run.short());
            format!("{name} of run {run} {is}, and nothing like it was answered")
        })
    }

    fn finished(&mut self, finished: &gate::Finished, look: &Look<'_>) -> Option<String> {
        self.open.remove(&finished.gate);
        let (_, ask) = self.asked.get(&finished.gate)?;
        let words = |what: &str| {
            let (name, run) = (&finished.name, finished.run.short());
            Some(format!("{name} of run {run} {what}"))
        };
        match finished.outcome {
            Outcome::Passed => {
                self.passed.insert(finished.gate);
                let verdict = (finished.gate, "passes".to_owned());
                if ask.is_judged() && !self.verdicts.contains(&verdict) {
                    return words("passed without a verdict");
                }
                let guard = look.script.settings.guard.as_ref();
                let (module, environment) = (&finished.module, &finished.environment);
                let closed = guard.and_then(|guard| guard.closed(module, environment, look.time));
                // Another freeze or window in the way is waited for by itself.
                if let (Ask::Calendar, Some((name, closed))) = (ask, closed)
                    && name == finished.name
                {
                    return words(&format!("is over, and {closed}"));
                }
            }
            Outcome::Promoted => {
                self.passed.insert(finished.gate);
                self.left.insert(finished.run);
                if matches!(ask, Ask::Calendar) {
                    self.overridden.insert(finished.plan.clone());
                }
                if matches!(ask, Ask::Approval { .. } | Ask::Line | Ask::Release { .. }) {
                    return words("was promoted, and only those who are asked may let it pass");
                }
                if finished.by.is_empty() {
                    return words("was promoted by nobody");
                }
            }
            Outcome::Failed | Outcome::Expired => {
                self.left.insert(finished.run);
                let what = format!("{} did not hold", finished.name);
                self.failed.insert(finished.plan.clone(), what);
                if finished.stop.is_none() {
                    return words("stops a run and does not say why");
                }
            }
            Outcome::Cancelled => {
                self.left.insert(finished.run);
            }
        }
        None
    }

    /// No wave begins before what stands before it holds, nor where it is closed at the moment at which that was
    /// decided, by the clock of whoever decided it. Where nothing goes wrong, that is the moment at which it is said.
    fn wave_started(&mut self, wave: &Wave, look: &Look<'_>) -> Option<String> {
        self.begun.insert((wave.plan.clone(), wave.number));
        let plan = self.plans.get(&wave.plan)?;
        let what = format!("wave {} of run {} begins", wave.number, wave.run.short());
        if let Some(guard) = &look.script.settings.guard
            && !self.overridden.contains(&wave.plan)
            && let Some((_, closed)) = guard.closed(&plan.module, &plan.environment, look.time)
        {
            return Some(format!("{what} although {closed}"));
        }
        let off = (look.time - look.said).num_milliseconds().abs();
        if look.script.is_calm() && off > LATE_MS {
            return Some(format!("{what}, decided {off} ms off"));
        }
        let point = match wave.number {
            0 | 1 => Point::Start,
            number => Point::After(number - 1),
        };
        self.must_have_passed(&wave.plan, point, &what)
    }

    fn must_have_passed(&self, id: &PlanId, point: Point, what: &str) -> Option<String> {
        if let Some(failed) = self.failed.get(id) {
            return Some(format!("{what} although {failed}"));
        }
        let plan = self.plans.get(id)?;
        let stands = |gate: &&Gate| gate.at.contains(&point.place());
        let open = plan.gates.iter().filter(stands).find(|gate| {
            let wait = gate_id(id, point, &gate.name);
            !self.passed.contains(&wait)
        })?;
        Some(format!("{what} before {} holds {point}", open.name))
    }

    /// Whatever is asked of a base belongs to a wave that has begun.
    fn task_requested(&self, task: &task::Requested) -> Option<String> {
        let plan = self.plans.get(&task.plan)?;
        let mut waves = plan.waves.iter();
        let wave = waves.position(|wave| wave.iter().any(|step| step.base == task.base))?;
        let number = u32::try_from(wave + 1).ok()?;
        (!self.begun.contains(&(task.plan.clone(), number))).then(|| {
            let run = task.run.short();
            format!(
                "{} is changed for run {run} before its wave begins",
                task.base
            )
        })
    }

    /// Where nothing goes wrong, no wait outlasts its deadline.
    fn overdue(&self, look: &Look<'_>) -> Option<String> {
        if !look.script.is_calm() {
            return None;
        }
        let late = chrono::TimeDelta::milliseconds(LATE_MS);
        let mut open = self.open.values();
        let (name, until) = open.find(|(_, until)| *until + late < look.said)?;
        Some(format!("{name} is waited for beyond {until}"))
    }
}
