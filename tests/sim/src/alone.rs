//! What must hold of bases that are left alone, and of those that go back: looked at as each event is said.
//!
//! In: events, up to which change of the line a unit had heard. Out: what is broken, in words.
//!
//! A hold is stored by one aggregate and heard by another, later. So the rule is: from the moment at which a
//! module's record in an environment has heard of a hold, it asks nothing more of that base, neither forward, nor
//! back, nor to repair, until it has heard of its release. What it asked before is finished. Where nothing goes
//! wrong with services and bus, it has heard 10 s after the hold was stored.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, PlanId, Reason, RunId,
    line::{Act, Changed, Standing},
    rollout::{Direction, Finished, Plan, RolloutOutcome},
    task,
};

use crate::{
    care::{HEARD_MS, Look},
    people::{Heard, Lines},
};

type Unit = (String, String);

/// What is known of bases that are left alone, and of those that go back.
#[derive(Clone, Default)]
pub struct Alone {
    plans: BTreeMap<PlanId, Plan>,
    /// The last change of the line that gave a base back.
    released: BTreeMap<String, u64>,
    /// What could not be brought back where, and what its unit had heard of when it said so.
    quarantined: BTreeMap<(Unit, String), (RunId, u64)>,
    /// Bases that a run changed on its way forward.
    touched: BTreeMap<(RunId, String), BTreeSet<String>>,
    /// Bases that a rollout whose soak was cut short has left to the next one.
    left: BTreeMap<Unit, BTreeSet<String>>,
    /// Bases that are as they were before, by run and environment.
    returned: BTreeMap<(RunId, String), BTreeSet<String>>,
}

impl Alone {
    /// Takes in an event of a unit that had heard of a change of the line. What is broken by it.
    pub fn take(&mut self, look: &Look<'_>, heard: Heard, lines: &Lines) -> Option<String> {
        match look.body {
            Body::RolloutPlanned(p) => {
                self.plans.insert(p.id.clone(), p.plan.clone());
                if p.plan.direction != Direction::Forward {
                    return None;
                }
                let unit = (p.plan.module.clone(), p.plan.environment.clone());
                let mut bases = p.plan.bases();
                bases.find_map(|base| {
                    let why = self.why_alone(&unit, base, true, look, heard, lines)?;
                    Some(format!("plan {} takes {base}, and {why}", p.id.short()))
                })
            }
            Body::TaskRequested(p) => self.task_requested(p, look, heard, lines),
            Body::ObservationFinished(p) if p.stop.is_none() => {
                let plan = self.plans.get(&p.plan)?;
                if plan.direction == Direction::Back {
                    let place = (plan.run, plan.environment.clone());
                    let returned = self.returned.entry(place).or_default();
                    returned.insert(p.base.clone());
                }
                None
            }
            Body::BaseQuarantined(p) => {
                let unit = (p.module.clone(), p.environment.clone());
                let said = (p.run, heard.to.unwrap_or_default());
                self.quarantined.insert((unit, p.base.clone()), said);
                None
            }
            Body::BaseMended(p) => {
                let unit = (p.module.clone(), p.environment.clone());
                self.quarantined.remove(&(unit, p.base.clone()));
                None
            }
            Body::LineChanged(p) => {
                self.line_changed(p);
                None
            }
            Body::RolloutFinished(p) => self.rollout_finished(p),
            _ => None,
        }
    }

    fn line_changed(&mut self, changed: &Changed) {
        if let (Act::Release, Some(base)) = (changed.act, changed.stretch.base()) {
            self.released.insert(base.to_owned(), changed.number);
        }
    }

    /// Why a unit must leave a base alone, if it must. A repair, and a way back, must where a person holds it.
    fn why_alone(
        &self,
        unit: &Unit,
        base: &str,
        forward: bool,
        look: &Look<'_>,
        heard: Heard,
        lines: &Lines,
    ) -> Option<String> {
        let is_it =
            |one: &&Standing| one.stretch.base() == Some(base) && (forward || !one.quarantined);
        if let Some(one) = lines.known(heard).into_iter().find(is_it) {
            return Some(format!("its unit has heard that {one}"));
        }
        let long = lines.standing.iter().filter(|(_, since)| {
            look.script.is_calm() && look.now_ms.saturating_sub(*since) > HEARD_MS
        });
        if let Some(one) = long.map(|(one, _)| one).find(is_it) {
            return Some(format!("{one}"));
        }
        let own = self.quarantined.get(&(unit.clone(), base.to_owned()));
        let (_, said) = own.filter(|_| forward)?;
        let released = self.released.get(base).is_some_and(|number| number > said);
        (!released).then(|| format!("{} could not be brought back there", unit.0))
    }

    fn task_requested(
        &mut self,
        task: &task::Requested,
        look: &Look<'_>,
        heard: Heard,
        lines: &Lines,
    ) -> Option<String> {
        let direction = self.plans.get(&task.plan)?.direction;
        let forward = direction == Direction::Forward;
        let unit = (task.module.clone(), task.environment.clone());
        if forward {
            let place = (task.run, task.environment.clone());
            let touched = self.touched.entry(place).or_default();
            touched.insert(task.base.clone());
        }
        let why = self.why_alone(&unit, &task.base, forward, look, heard, lines)?;
        let run = task.run.short();
        Some(format!(
            "{} is changed for run {run} ({direction:?}), and {why}",
            task.base
        ))
    }

    /// What went back is back on every base that it touched, or the base is named: in quarantine, or held.
    fn rollout_finished(&mut self, finished: &Finished) -> Option<String> {
        let unit = (finished.module.clone(), finished.environment.clone());
        let place = (finished.run, finished.environment.clone());
        let mut touched = self.touched.remove(&place).unwrap_or_default();
        match finished.outcome {
            RolloutOutcome::Superseded => {
                self.left.entry(unit).or_default().extend(touched);
                return None;
            }
            RolloutOutcome::Stopped => return None,
            RolloutOutcome::Verified => {
                self.left.remove(&unit);
                return None;
            }
            RolloutOutcome::RolledBack | RolloutOutcome::Broken => {}
        }
        // A repair leaves nothing behind.
        if touched.is_empty() {
            return None;
        }
        touched.extend(self.left.remove(&unit).unwrap_or_default());
        let returned = self.returned.remove(&place).unwrap_or_default();
        let lost = touched.iter().find(|base| {
            let named = finished
                .failed
                .iter()
                .find(|stop| stop.base.as_ref() == Some(*base));
            let key = (unit.clone(), (*base).clone());
            let quarantined = self.quarantined.get(&key);
            let is_quarantined = quarantined.is_some_and(|(run, _)| *run == finished.run);
            let held = named.is_some_and(|stop| stop.reason == Reason::BaseHeld);
            let told = held || named.is_some() && is_quarantined;
            !returned.contains(*base) && !told
        })?;
        let run = finished.run.short();
        Some(format!(
            "run {run} went back, {lost} is not as it was, and nobody is told"
        ))
    }

    /// Modules that could not be brought back and are not said to be, by base.
    pub fn in_quarantine(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.quarantined.iter();
        let open = own.filter(|((_, base), (_, said))| {
            self.released.get(base).is_none_or(|number| number <= said)
        });
        open.map(|(((module, _), base), _)| (base.as_str(), module.as_str()))
    }
}
