//! What a rollout waits for between its waves, before the first, and after the last.
//!
//! In: a place between waves, the plan's gates, the calendar, what is paused, verdicts, time. Out:
//! `gate.requested` and `gate.finished`; when all holds, the rollout goes on, and when something does not,
//! it stops. Every wait has an end, except that for the other modules of a release, once this one is well:
//! each of these has one.

use std::collections::BTreeMap;

use ferry_events::{
    Reason, Stop, Timestamp,
    body::WaveFinished,
    gate::{Ask, Finished, Gate, Judged, Outcome, Point, Requested, Verdict, gate_id},
    joint::Progress,
    line::Standing,
    rollout::{Aim, RolloutOutcome},
};
use ferry_runtime::Context;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    back::WayBack,
    member::{Members, SAY_AGAIN},
    queue::Queue,
    repair::Repairs,
    rollout::{Rollouts, delta},
    unit::{Active, Making, Stage, Unit, ended, unit_scope},
};

/// A rollout that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Halt {
    /// Where.
    pub point: Point,
    /// For what, by name.
    pub waits: BTreeMap<String, Wait>,
}

/// One thing that is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The wait.
    pub gate: Uuid,
    /// What it asks.
    pub ask: Ask,
    /// What is waited for, in a sentence.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// When it ends by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// Who said yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Whether it holds.
    #[serde(default)]
    pub passed: bool,
    /// Whether it could not be told, so that a person decides.
    #[serde(default)]
    pub inconclusive: bool,
}

impl Halt {
    /// Nothing is waited for yet.
    pub(super) fn at(point: Point) -> Self {
        Self {
            point,
            waits: BTreeMap::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.waits
            .values()
            .filter(|wait| !wait.passed)
            .map(|wait| wait.opens.map_or(wait.until, |opens| opens.min(wait.until)))
            .min()
    }
}

fn after(now: Timestamp, millis: u64) -> Timestamp {
    now.checked_add_signed(delta(millis))
        .unwrap_or(Timestamp::MAX_UTC)
}

pub(super) trait Halts: Sized {
    /// A rollout comes to a place between waves.
    fn arrive(self, point: Point, context: &Context) -> Self;
    /// Looks whether what is waited for holds, and goes on or stops.
    fn look(self, context: &Context) -> Self;
    /// The verifier judged a gate.
    fn judged(self, judged: &Judged, context: &Context) -> Self;
}

impl Active {
    fn halt(&self) -> Option<&Halt> {
        match &self.stage {
            Stage::Halt(halt) => Some(halt),
            _ => None,
        }
    }

    /// What it waits for.
    pub(super) fn halt_mut(&mut self) -> Option<&mut Halt> {
        match &mut self.stage {
            Stage::Halt(halt) => Some(halt),
            _ => None,
        }
    }

    /// What was waited for and is not any more.
    pub(super) fn cancelled(&self) -> Vec<Finished> {
        let Some(halt) = self.halt() else {
            return Vec::new();
        };
        let open = halt.waits.iter().filter(|(_, wait)| !wait.passed);
        open.map(|(name, wait)| self.over(name, wait, halt.point, Outcome::Cancelled))
            .collect()
    }

    /// How a wait ended.
    pub(super) fn over(&self, name: &str, wait: &Wait, point: Point, outcome: Outcome) -> Finished {
        Finished {
            gate: wait.gate,
            run: self.requested.run,
            plan: self.id.clone(),
            module: self.requested.module.clone(),
            environment: self.requested.environment.clone(),
            name: name.to_owned(),
            point,
            outcome,
            by: wait.by.clone(),
            why: None,
            stop: None,
        }
    }

    fn request(&self, name: &str, wait: &Wait, point: Point) -> Requested {
        Requested {
            gate: wait.gate,
            run: self.requested.run,
            plan: self.id.clone(),
            module: self.requested.module.clone(),
            environment: self.requested.environment.clone(),
            version: self.release.version().to_owned(),
            name: name.to_owned(),
            point,
            what: wait.what.clone(),
            ask: wait.ask.clone(),
            since: wait.since,
            until: wait.until,
            opens: wait.opens,
        }
    }

    fn wait(&self, name: &str, point: Point, ask: Ask, what: String, context: &Context) -> Wait {
        Wait {
            gate: gate_id(&self.id, point, name),
            ask,
            what,
            since: context.now,
            until: after(context.now, self.plan.limits.wait_ms),
            opens: None,
            by: Vec::new(),
            passed: false,
            inconclusive: false,
        }
    }

    /// A wait that may come again in the same place: each time it is another one.
    fn anew(&self, name: &str, point: Point, wait: Wait) -> Wait {
        let name = format!("{name} since {}", wait.since);
        Wait {
            gate: gate_id(&self.id, point, &name),
            ..wait
        }
    }

    /// Whether nothing would keep it from beginning now.
    pub(super) fn may_begin(&self, line: &super::line::Heard, context: &Context) -> bool {
        let point = Point::Start;
        self.planned(point, context).is_empty() && self.kept(point, line, context).is_empty()
    }

    /// The waits that the plan has for a place.
    pub(super) fn planned(&self, point: Point, context: &Context) -> BTreeMap<String, Wait> {
        let gates = self.plan.gates.iter();
        let here = gates.filter(|gate| gate.at.contains(&point.place()));
        let mut waits: BTreeMap<String, Wait> = here
            .map(|gate| {
                let wait = self.wait(&gate.name, point, gate.ask.clone(), what(gate), context);
                let until = after(context.now, gate.deadline_ms);
                (gate.name.clone(), Wait { until, ..wait })
            })
            .collect();
        let pause = self.plan.limits.pause_ms;
        if matches!(point, Point::After(_)) && pause > 0 {
            let opens = after(context.now, pause);
            let words = "the time between two waves".to_owned();
            let wait = self.wait("pause", point, Ask::Pause, words, context);
            let wait = Wait {
                opens: Some(opens),
                until: after(opens, self.plan.limits.wait_ms),
                ..wait
            };
            waits.insert("pause".to_owned(), wait);
        }
        waits
    }

    /// What keeps a wave from beginning now, besides the plan's gates. Going back waits for nothing.
    pub(super) fn kept(
        &self,
        point: Point,
        line: &super::line::Heard,
        context: &Context,
    ) -> Vec<(String, Wait)> {
        if point == Point::End || matches!(self.requested.aim, Aim::Back { .. }) {
            return Vec::new();
        }
        let mut kept = Vec::new();
        if let Some(standing) = line.pauses(self.requested.run) {
            let name = paused(standing);
            let wait = self.wait(&name, point, Ask::Line, standing.to_string(), context);
            kept.push((name.clone(), self.anew(&name, point, wait)));
        }
        if self.overridden.is_none()
            && let Some(closed) = context.config.closed(
                &self.requested.module,
                &self.requested.environment,
                context.now,
            )
        {
            let wait = self.wait(&closed.by, point, Ask::Calendar, closed.why, context);
            let wait = self.anew(&closed.by, point, wait);
            let opens = closed.opens;
            kept.push((closed.by, Wait { opens, ..wait }));
        }
        kept
    }
}

/// The name of a wait for the end of a pause.
fn paused(standing: &Standing) -> String {
    format!("paused {}", standing.stretch)
}

/// What a gate waits for, in a sentence.
fn what(gate: &Gate) -> String {
    match &gate.ask {
        Ask::Approval { by, count, not } => {
            let named: Vec<&str> = by
                .iter()
                .filter(|name| !not.contains(name))
                .map(String::as_str)
                .collect();
            match (by.as_slice(), not.as_slice()) {
                ([], []) => format!("the approval of {count} of those who may"),
                ([], not) => {
                    format!(
                        "the approval of {count} of those who may, but not {}",
                        not.join(", ")
                    )
                }
                _ => format!("the approval of {count} of {}", named.join(", ")),
            }
        }
        Ask::Metric {
            query,
            min,
            max,
            count,
            ..
        } => {
            let bounds = match (min, max) {
                (Some(min), Some(max)) => format!("from {min} to {max}"),
                (Some(min), None) => format!("at least {min}"),
                (None, Some(max)) => format!("at most {max}"),
                (None, None) => "any".to_owned(),
            };
            format!("{query} to be {bounds}, {count} times")
        }
        Ask::Check { url, .. } => format!("a yes of {url}"),
        Ask::Release { name, modules } => match modules.as_slice() {
            [] => format!("release {name} in the environments before"),
            modules => format!("{} of release {name}", modules.join(", ")),
        },
        Ask::Calendar | Ask::Pause | Ask::Line | Ask::Decision => gate.name.clone(),
    }
}

impl Unit {
    /// The rollout that waits.
    pub(super) fn halted(&mut self) -> Option<&mut Active> {
        let waits = |active: &&mut Active| matches!(active.stage, Stage::Halt(_));
        self.gated
            .as_mut()
            .filter(waits)
            .or_else(|| self.active.as_mut().filter(waits))
    }
}

/// What a look at one wait found.
enum Found {
    Holds,
    Waits,
    Fails(Outcome, Stop),
    Undecided(String),
}

impl Unit {
    fn find(&self, active: &Active, name: &str, wait: &Wait, context: &Context) -> Found {
        let late = context.now >= wait.until;
        if let Ask::Release { .. } = &wait.ask
            && let Some(stop) = active.part.must_stop()
        {
            return Found::Fails(Outcome::Failed, stop);
        }
        let expired = |reason: Reason| {
            let detail = format!("{name}: {}, waited for since {}", wait.what, wait.since);
            Found::Fails(Outcome::Expired, Stop::new(reason, detail))
        };
        let holds = match &wait.ask {
            Ask::Approval { count, .. } => wait.by.len() >= *count as usize,
            Ask::Pause => wait.opens.is_none_or(|opens| context.now >= opens),
            // As of the calendar: another pause is a wait of its own.
            Ask::Line => self
                .line
                .pauses(active.requested.run)
                .is_none_or(|standing| paused(standing) != name),
            Ask::Calendar => {
                let (module, environment) =
                    (&active.requested.module, &active.requested.environment);
                // Another obstacle may stand there now: that is a wait of its own.
                context
                    .config
                    .closed(module, environment, context.now)
                    .is_none_or(|closed| closed.by != name)
            }
            Ask::Release { .. } => {
                let halt = active.halt();
                halt.is_some_and(|halt| active.part.goes_on(halt.point))
            }
            Ask::Metric { .. } | Ask::Check { .. } | Ask::Decision => false,
        };
        if holds {
            return Found::Holds;
        }
        match &wait.ask {
            _ if !late => Found::Waits,
            ask if ask.is_judged() && !wait.inconclusive => {
                Found::Undecided("there was no verdict in time".to_owned())
            }
            Ask::Calendar | Ask::Line | Ask::Pause => expired(Reason::WaitExpired),
            _ => expired(Reason::GateExpired),
        }
    }
}

impl Halts for Making {
    fn arrive(mut self, point: Point, context: &Context) -> Self {
        let unit = &mut self.state;
        let place = match point {
            Point::Start => &mut unit.gated,
            _ => &mut unit.active,
        };
        let Some(active) = place else {
            return self;
        };
        let waits = active.planned(point, context);
        let scope = unit_scope(context, &active.requested);
        let requests = waits
            .iter()
            .map(|(name, wait)| active.request(name, wait, point));
        let requests: Vec<Requested> = requests.collect();
        active.stage = Stage::Halt(Halt { point, waits });
        let requested = active.requested.clone();
        for request in requests {
            self = self.say(scope.clone(), request);
        }
        if point == Point::Start {
            self = self.report(&requested, Progress::Waits, context);
        }
        self.look(context)
    }

    fn look(mut self, context: &Context) -> Self {
        let line = self.state.line.clone();
        let Some(active) = self.state.halted().cloned() else {
            return self;
        };
        let Some(halt) = active.halt() else {
            return self;
        };
        let (point, mut waits) = (halt.point, halt.waits.clone());
        let scope = unit_scope(context, &active.requested);
        let (mut said, mut asked, mut stop, mut out) = (Vec::new(), Vec::new(), None, None);
        for (name, wait) in waits.iter_mut().filter(|(_, wait)| !wait.passed) {
            match self.state.find(&active, name, wait, context) {
                Found::Waits => {}
                Found::Holds => {
                    wait.passed = true;
                    said.push(active.over(name, wait, point, Outcome::Passed));
                }
                Found::Undecided(seen) => {
                    asked.push(undecided(&active, name, wait, point, &seen, context))
                }
                // It said that it is well: it goes back only when it is told.
                Found::Fails(Outcome::Expired, why) if active.is_bound() => {
                    wait.until = context.now + SAY_AGAIN;
                    out = Some(why);
                }
                Found::Fails(outcome, why) => {
                    wait.passed = true;
                    let over = active.over(name, wait, point, outcome);
                    said.push(Finished {
                        stop: Some(why.clone()),
                        ..over
                    });
                    stop.get_or_insert(why);
                }
            }
        }
        let all = waits.values().all(|wait| wait.passed);
        if all && stop.is_none() {
            // What held a while ago may hold no more: the calendar and the line are asked at the last moment.
            for (name, wait) in active.kept(point, &line, context) {
                asked.push(active.request(&name, &wait, point));
                waits.insert(name, wait);
            }
        }
        for (name, wait) in &mut waits {
            if wait.ask == Ask::Calendar && !wait.passed {
                let closed = context.config.closed(
                    &active.requested.module,
                    &active.requested.environment,
                    context.now,
                );
                wait.opens = closed
                    .filter(|closed| closed.by == *name)
                    .and_then(|closed| closed.opens);
            }
        }
        let goes_on = waits.values().all(|wait| wait.passed);
        // Of the others it is waited for only when nothing else is.
        let is_release = |wait: &Wait| matches!(wait.ask, Ask::Release { .. });
        let mut own = waits.values().filter(|wait| !is_release(wait));
        let is_well = point == Point::End
            && stop.is_none()
            && !active.part.well
            && waits.values().any(is_release)
            && own.all(|wait| wait.passed);
        if let Some(halted) = self.state.halted() {
            halted.stage = Stage::Halt(Halt { point, waits });
            halted.part.well |= is_well;
        }
        for finished in said {
            self = self.say(scope.clone(), finished);
        }
        for request in asked {
            self = self.say(scope.clone(), request);
        }
        if is_well {
            self = self.report(&active.requested, Progress::Well, context);
        }
        if let Some(stop) = out {
            self = self.ask_out(stop, context);
        }
        match stop {
            Some(stop) => self.stop_rollout(stop, context),
            None if goes_on => self.go_on(point, context),
            None => self,
        }
    }

    fn judged(mut self, judged: &Judged, context: &Context) -> Self {
        let Some(halted) = self.state.halted() else {
            return self;
        };
        let active = halted.clone();
        let Some(halt) = halted.halt_mut() else {
            return self;
        };
        let point = halt.point;
        let known = halt
            .waits
            .get_mut(&judged.name)
            .filter(|wait| wait.gate == judged.gate && !wait.passed && !wait.inconclusive);
        let Some(wait) = known else {
            return self;
        };
        let scope = unit_scope(context, &active.requested);
        let seen = Some(judged.seen.clone());
        match judged.verdict {
            Verdict::Pass => {
                wait.passed = true;
                let over = active.over(&judged.name, wait, point, Outcome::Passed);
                self.say(scope, Finished { why: seen, ..over })
                    .look(context)
            }
            Verdict::Fail => {
                wait.passed = true;
                let stop = Stop::new(
                    Reason::GateFailed,
                    format!("{}: {}", judged.name, judged.seen),
                );
                let over = active.over(&judged.name, wait, point, Outcome::Failed);
                let over = Finished {
                    why: seen,
                    stop: Some(stop.clone()),
                    ..over
                };
                self.say(scope, over).stop_rollout(stop, context)
            }
            Verdict::Inconclusive => {
                let asked = undecided(&active, &judged.name, wait, point, &judged.seen, context);
                self.say(scope, asked)
            }
        }
    }
}

/// It could not be told whether a gate holds: a person decides.
fn undecided(
    active: &Active,
    name: &str,
    wait: &mut Wait,
    point: Point,
    seen: &str,
    context: &Context,
) -> Requested {
    wait.inconclusive = true;
    wait.ask = Ask::Decision;
    wait.what = format!("a person, because {name} is inconclusive: {seen}");
    wait.until = after(context.now, active.plan.limits.wait_ms);
    active.request(name, wait, point)
}

trait Goes: Sized {
    fn go_on(self, point: Point, context: &Context) -> Self;
}

impl Goes for Making {
    fn go_on(mut self, point: Point, context: &Context) -> Self {
        match point {
            Point::Start => self.activate(context),
            Point::End => self.verified(context),
            Point::After(wave) => {
                if let Some(active) = &mut self.state.active {
                    active.wave = wave as usize;
                    active.stage = Stage::Wave;
                }
                self.start_wave(context)
            }
        }
    }
}

/// Stops a rollout wherever it is.
pub(super) trait Stops: Sized {
    /// Stops what waits to begin; takes back what has begun.
    fn stop_rollout(self, stop: Stop, context: &Context) -> Self;
}

impl Stops for Making {
    fn stop_rollout(mut self, stop: Stop, context: &Context) -> Self {
        if self.state.gated.is_none() && self.state.active.as_ref().is_some_and(Active::is_bound) {
            return self.ask_out(stop, context);
        }
        if let Some(gated) = &self.state.gated
            && gated.touched.is_empty()
        {
            let live = self.state.verified.first().cloned();
            let outcome = RolloutOutcome::Stopped;
            let ended = ended(&gated.requested, outcome, live.as_ref(), Some(stop));
            return self.finish(ended, context).next(context);
        }
        let mut cancelled = Vec::new();
        if self.state.gated.is_some() && self.state.active.is_some() {
            let to = self
                .state
                .gated
                .as_ref()
                .map(|gated| gated.requested.clone());
            if let Some(to) = to {
                self = self.give_way(&to, context);
            }
        }
        // It took over bases that an earlier one had changed: those go back.
        if let Some(gated) = self.state.gated.take() {
            cancelled = gated.cancelled();
            self.state.active = Some(gated);
        } else if let Some(active) = &self.state.active {
            cancelled = active.cancelled();
        }
        let Some(active) = &mut self.state.active else {
            return self;
        };
        let scope = unit_scope(context, &active.requested);
        if active.stage == Stage::Wave {
            let wave = WaveFinished(active.describe_wave(Some(stop.clone())));
            self = self.say(scope.clone(), wave);
        }
        let Some(active) = &mut self.state.active else {
            return self;
        };
        active.stage = Stage::Wave;
        active.failure = Some(stop);
        for over in cancelled {
            self = self.say(scope.clone(), over);
        }
        self.turn_back(context)
    }
}
