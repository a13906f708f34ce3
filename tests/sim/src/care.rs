//! What must hold where people are asked, and within which limits: looked at as each event is said.
//!
//! In: the events of all services in the order in which they are stored, and what a unit's record says with
//! them. Out: what is broken, in words. It knows the plans as they were told and what people sent, and
//! nothing of how the scheduler decides.

use std::collections::{BTreeMap, BTreeSet};

use ferry_events::{
    Body, CommandId, Event, PlanId, Reason, RunId, Timestamp, Verb, gate,
    rollout::{Direction, Plan, RolloutOutcome},
    run::RunKind,
};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    alone::Alone,
    gates::Gates,
    outside::Outside,
    people::{AUTHOR, CAREFUL, Heard, Lines, covers},
    script::{ENVIRONMENTS, Script},
};

/// Where nothing goes wrong with the services and the bus, each has heard what was said by then.
pub const HEARD_MS: u64 = 10_000;

/// Who sent which command.
pub type Sent = BTreeMap<CommandId, (String, Verb)>;

/// What is known of people and of what waits for them. All of it is forgotten with the events that it stands in.
#[derive(Clone, Default)]
pub struct People {
    /// What is waited for now.
    pub waits: BTreeMap<Uuid, gate::Requested>,
    /// What was waited for, and is not any more.
    over: BTreeSet<Uuid>,
    /// What is paused and held.
    pub lines: Lines,
    /// Up to which change of the line each unit had heard when it was last stored.
    heard: BTreeMap<(String, String), u64>,
    /// Which change of the line an event tells of.
    tells: BTreeMap<ferry_events::EventId, u64>,
    gates: Gates,
    /// Bases that are left alone, and those that go back.
    pub alone: Alone,
    /// The runs with their modules, the newest last.
    pub runs: Vec<(RunId, String)>,
    /// Runs that are a person's way back.
    by_hand: BTreeSet<RunId>,
    /// Who approved what.
    approved: BTreeMap<(RunId, String), BTreeSet<String>>,
    /// Reasons for which a good commit may stop, because a person did or did not do something.
    pub excused: BTreeSet<Reason>,
    plans: BTreeMap<PlanId, Plan>,
    /// Bases in hand or failed, by plan.
    in_hand: BTreeMap<PlanId, BTreeSet<String>>,
    /// Runs that had a base in hand in an environment.
    touched: BTreeSet<(RunId, String)>,
    /// Runs that ended there untouched.
    untouched: BTreeSet<(RunId, String)>,
    /// Bases that do not answer, and since when that was said.
    lost: BTreeMap<String, u64>,
}

/// An event as it is looked at.
pub struct Look<'a> {
    /// The script.
    pub script: &'a Script,
    /// What people sent.
    pub sent: &'a Sent,
    /// What was said.
    pub event: &'a Event,
    /// Its body.
    pub body: &'a Body,
    /// When it was decided, by the clock of whoever did.
    pub time: Timestamp,
    /// When it was stored.
    pub said: Timestamp,
    /// What was answered outside.
    pub outside: &'a Outside,
    /// The record that was committed with it, where it is of a module in an environment; else null.
    pub unit: &'a Value,
    /// Milliseconds of virtual time since the start.
    pub now_ms: u64,
}

impl Look<'_> {
    /// Whether the unit has heard that a base does not answer.
    fn knows_lost(&self, base: &str) -> bool {
        self.unit["care"][base]["lost"] == true
    }
}

impl People {
    /// Takes in an event. What is broken by it.
    pub fn take(&mut self, look: &Look<'_>) -> Vec<String> {
        let heard = self.heard_at(look);
        let alone = self.alone.take(look, heard, &self.lines);
        let gates = self.gates.take(look);
        let asked = self.take_asked(look, heard);
        [alone, gates, asked].into_iter().flatten().collect()
    }

    /// What was committed of a unit stands.
    pub fn stored(&mut self, unit: &Value) {
        let name = |key: &str| unit[key].as_str().unwrap_or_default().to_owned();
        if let Some(number) = unit["line"]["number"].as_u64() {
            let unit = (name("module"), name("environment"));
            self.heard.insert(unit, number);
        }
    }

    fn heard_at(&self, look: &Look<'_>) -> Heard {
        let event = look.event;
        let environment = event.scope.environment.clone().unwrap_or_default();
        let unit = (event.scope.module.clone().unwrap_or_default(), environment);
        let before = self.heard.get(&unit).copied();
        let told = event
            .cause
            .and_then(|cause| self.tells.get(&cause).copied());
        Heard {
            from: before.max(told),
            to: look.unit["line"]["number"].as_u64(),
        }
    }

    fn take_asked(&mut self, look: &Look<'_>, heard: Heard) -> Option<String> {
        match look.body {
            Body::RunQueued(p) => {
                self.runs.push((p.run, p.module.clone()));
                if p.kind == RunKind::Rollback {
                    self.by_hand.insert(p.run);
                }
            }
            Body::RolloutPlanned(p) => {
                self.plans.insert(p.id.clone(), p.plan.clone());
            }
            Body::BaseLost(p) => {
                self.lost.entry(p.base.clone()).or_insert(look.now_ms);
            }
            Body::BaseJoined(p) => {
                self.lost.remove(&p.base);
            }
            Body::ObservationFinished(p) if p.stop.is_none() => {
                if let Some(bases) = self.in_hand.get_mut(&p.plan) {
                    bases.remove(&p.base);
                }
            }
            Body::GateRequested(p) => {
                if self.over.contains(&p.gate) {
                    return Some(format!("{} is waited for again after its end", p.name));
                }
                self.waits.insert(p.gate, p.as_ref().clone());
            }
            Body::GateFinished(p) => return self.gate_finished(p),
            Body::LineChanged(p) => {
                self.lines.change(p, look.now_ms);
                self.tells.insert(look.event.id, p.number);
            }
            Body::LineTold(p) => {
                self.tells.insert(look.event.id, p.number);
            }
            Body::CommandSettled(p) => {
                let (actor, verb) = look.sent.get(&p.command)?;
                return self.settled(actor, verb, p.stop.is_none());
            }
            Body::WaveStarted(p) if p.0.direction == Direction::Forward => {
                return self.wave_started(&p.0, look, heard);
            }
            Body::TaskRequested(p) => return self.task_requested(p, look, heard),
            Body::RolloutFinished(p) => {
                let place = (p.run, p.environment.clone());
                if p.outcome == RolloutOutcome::Stopped && !self.untouched.insert(place.clone()) {
                    return Some(format!("run {} stopped twice", p.run.short()));
                }
                if p.outcome == RolloutOutcome::Stopped && self.touched.contains(&place) {
                    return Some(format!(
                        "run {} stopped as if it had touched nothing in {}",
                        p.run.short(),
                        p.environment
                    ));
                }
            }
            _ => {}
        }
        None
    }

    /// Every wait has one end.
    fn gate_finished(&mut self, finished: &gate::Finished) -> Option<String> {
        self.over.insert(finished.gate);
        if matches!(
            finished.outcome,
            gate::Outcome::Expired | gate::Outcome::Failed
        ) {
            // Nobody answered in time, or somebody said no.
            self.excused
                .extend(finished.stop.as_ref().map(|stop| stop.reason));
            // What a gate spoke against does not come again by itself.
            self.excused.insert(Reason::FailedBefore);
        }
        match self.waits.remove(&finished.gate) {
            Some(_) => None,
            None => Some(format!("{} ended and was not waited for", finished.name)),
        }
    }

    fn settled(&mut self, actor: &str, verb: &Verb, taken: bool) -> Option<String> {
        match verb {
            Verb::Approve(rollout) if taken => {
                let place = (rollout.run, rollout.environment.clone());
                self.approved
                    .entry(place)
                    .or_default()
                    .insert(actor.to_owned());
                (actor == AUTHOR).then(|| {
                    let run = rollout.run.short();
                    format!("the author approved run {run}")
                })
            }
            Verb::Abort(_) if taken => {
                self.excused.insert(Reason::Aborted);
                None
            }
            Verb::Hold(_) if taken => {
                // Where nothing else can be spared, nothing begins; what goes back leaves a held base out.
                self.excused.extend([
                    Reason::BaseHeld,
                    Reason::TooFewInService,
                    Reason::RollbackFailed,
                ]);
                None
            }
            _ => None,
        }
    }

    /// Whether as many people as must have said yes to a plan.
    pub fn is_approved(&self, script: &Script, plan: &PlanId) -> bool {
        let Some((careful, plan)) = script.settings.careful.as_ref().zip(self.plans.get(plan))
        else {
            return true;
        };
        let asked = plan.environment == ENVIRONMENTS[CAREFUL]
            && plan.direction == Direction::Forward
            && !self.by_hand.contains(&plan.run);
        let by = self.approved.get(&(plan.run, plan.environment.clone()));
        !asked || by.map_or(0, BTreeSet::len) >= careful.approvals as usize
    }

    /// No wave begins while a pause stands that covers it. A pause is said by one aggregate and heard by
    /// another, later: a wave may begin in between. So two things are held:
    ///
    /// - A unit keeps to what it has heard. With each event its record says up to which change of the line it
    ///   has heard; what stood after that change was said by the line itself, and is what counts here. This
    ///   holds in every script: record and event are one commit.
    /// - It hears. Where nothing goes wrong with services and bus, a wave that begins 10 s after the
    ///   pause was stored was begun by a unit that did not listen.
    fn wave_started(
        &self,
        wave: &ferry_events::rollout::Wave,
        look: &Look<'_>,
        heard: Heard,
    ) -> Option<String> {
        if self.by_hand.contains(&wave.run) {
            return None;
        }
        let (module, environment) = (&wave.module, &wave.environment);
        let known = self.lines.known(heard).into_iter();
        let known = covers(known, wave.run, module, environment);
        let long = self.lines.standing.iter().filter(|(_, since)| {
            look.script.is_calm() && look.now_ms.saturating_sub(*since) > HEARD_MS
        });
        let standing = long.map(|(standing, _)| standing);
        let stands = covers(standing, wave.run, module, environment);
        known.or(stands).map(|standing| {
            let run = wave.run.short();
            format!(
                "wave {} of run {run} begins although {standing}",
                wave.number
            )
        })
    }

    fn task_requested(
        &mut self,
        task: &ferry_events::task::Requested,
        look: &Look<'_>,
        heard: Heard,
    ) -> Option<String> {
        let plan = self.plans.get(&task.plan)?;
        if plan.direction == Direction::Repair {
            return None;
        }
        let place = (task.run, task.environment.clone());
        if self.untouched.contains(&place) {
            return Some(format!(
                "{} is changed for run {}, which stopped untouched",
                task.base,
                task.run.short()
            ));
        }
        self.touched.insert(place);
        if plan.direction == Direction::Back {
            return None;
        }
        if !self.is_approved(look.script, &task.plan) {
            return Some(format!(
                "{} is changed for run {}, which nobody approved for {}",
                task.base,
                task.run.short(),
                task.environment
            ));
        }
        let in_hand = self.in_hand.entry(task.plan.clone()).or_default();
        in_hand.insert(task.base.clone());
        // A person's way back waits for no base that is lost or failed.
        if self.by_hand.contains(&task.run) {
            return None;
        }
        let zone = &plan.steps().find(|step| step.base == task.base)?.zone;
        let limits = plan.limits.zones.get(zone)?;
        // Of a lost base the unit hears later than it is said: it counts where it was heard of, or must have been.
        let is_lost = |base: &str| {
            let since = self.lost.get(base);
            look.knows_lost(base)
                || since.is_some_and(|since| {
                    look.script.is_calm() && look.now_ms.saturating_sub(*since) > HEARD_MS
                })
        };
        // One that is held counts, too, also where the plan leaves it out.
        let known = self.lines.known(heard).into_iter();
        let held: BTreeSet<&str> = known.filter_map(|one| one.stretch.base()).collect();
        let steps = plan.all().filter(|step| step.zone == *zone);
        let out: Vec<&str> = steps
            .map(|step| step.base.as_str())
            .filter(|base| in_hand.contains(*base) || is_lost(base) || held.contains(base))
            .collect();
        let most = limits
            .max_unavailable
            .min(limits.bases.saturating_sub(limits.min_available));
        (out.len() > most as usize).then(|| {
            format!(
                "{} are out of service in zone {zone} at a time, and {most} may be",
                out.join(", ")
            )
        })
    }
}
