//! The story of a run: what it was for, what happened, what everything followed from, how it stands.
//!
//! In: the acts around it, in order, the run and the bases as they are now. Out: its [`WhyView`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use chrono::TimeDelta;
use ferry_api::{About, BaseView, CauseView, RunState, RunView, WhyView};
use ferry_events::gate::Ask;
use ferry_events::rollout::Direction;
use ferry_events::run::{self, Outcome, RunKind};
use ferry_events::{Body, Event, PushId, Reason, RunId, Stop, Timestamp};

use super::trouble::{self, Place};
use super::words::{because, line, named};
use super::{Sentences, Weight};

/// What follows a run belongs to its story for so long: repairs, people who mend.
const AFTERMATH: TimeDelta = TimeDelta::hours(24);

/// What is known of a run besides its acts.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The run as the views hold it; nothing: it is longer ago than they remember.
    pub run: Option<&'a RunView>,
    /// The bases now.
    pub bases: &'a [BaseView],
    /// Environments in which something newer was decided since.
    pub past: &'a BTreeSet<String>,
}

/// A story in the making.
#[derive(Debug)]
pub struct OfRun {
    run: RunId,
    module: String,
    push: Option<PushId>,
    /// What people said of the line and what became of bases before the run's first event is none of its story.
    began: bool,
    sentences: Sentences,
    places: BTreeMap<String, Place>,
    /// The first thing that went wrong on each base, by environment; without a base: what stopped it.
    first: BTreeMap<(Option<String>, Option<String>), (Timestamp, Stop)>,
    /// Why it went back, when and where.
    back: Option<(Timestamp, String, Stop)>,
    ended: Option<(Timestamp, run::Finished)>,
    /// Repairs of what it left.
    repairs: BTreeSet<RunId>,
}

impl OfRun {
    /// A story of which only the push is known, where there was one.
    pub fn new(run: RunId, module: &str, push: Option<PushId>) -> Self {
        Self {
            run,
            module: module.to_owned(),
            push,
            began: false,
            sentences: Sentences::default(),
            places: BTreeMap::new(),
            first: BTreeMap::new(),
            back: None,
            ended: None,
            repairs: BTreeSet::new(),
        }
    }

    /// Takes the next act. It breaks where the story is over.
    pub fn take(&mut self, event: &Event) -> ControlFlow<()> {
        if let Some((at, _)) = &self.ended
            && event.time > *at + AFTERMATH
        {
            return ControlFlow::Break(());
        }
        if event.run() == Some(self.run) {
            self.began = true;
            self.sentences.take(event, Weight::Run);
            self.own(event);
        } else if self.concerns(event) {
            self.sentences.take(event, Weight::Run);
        }
        ControlFlow::Continue(())
    }

    fn own(&mut self, event: &Event) {
        let at = event.time;
        match &event.body {
            Body::RolloutPlanned(it) => {
                let name = it.plan.environment.clone();
                if let (Direction::Back, Some(stop)) = (it.plan.direction, &it.because) {
                    self.back.get_or_insert((at, name.clone(), stop.clone()));
                }
                self.places.entry(name).or_default().planned(it);
            }
            Body::WaveStarted(it) => self.place(&it.environment).wave(it),
            Body::WaveFinished(it) => self.place(&it.environment).waved(it),
            Body::TaskFinished(it) => {
                self.failed(event, it.stop.as_ref(), Some(&it.base));
                self.place(&it.environment).changed(it);
            }
            Body::ObservationFinished(it) => {
                self.failed(event, it.stop.as_ref(), Some(&it.base));
                self.place(&it.environment).observed(it);
            }
            Body::RolloutFinished(it) => {
                self.failed(event, it.stop.as_ref(), None);
                self.place(&it.environment).finished(it);
            }
            Body::GateFinished(it) => self.failed(event, it.stop.as_ref(), None),
            Body::BuildFinished(it) => self.failed(event, it.stop.as_ref(), None),
            Body::ArtifactRefused(it) => self.failed(event, Some(&it.stop), None),
            Body::RunFinished(it) => {
                self.failed(event, it.stop.as_ref(), None);
                self.ended = Some((at, (**it).clone()));
            }
            _ => {}
        }
    }

    fn place(&mut self, environment: &str) -> &mut Place {
        self.places.entry(environment.to_owned()).or_default()
    }

    /// Remembers what went wrong first.
    fn failed(&mut self, event: &Event, stop: Option<&Stop>, base: Option<&str>) {
        let Some(stop) = stop.filter(|stop| stop.reason != Reason::PlanOutdated) else {
            return;
        };
        let stop = match base {
            Some(base) => stop.clone().on(base),
            None => stop.clone(),
        };
        let key = (event.scope.environment.clone(), base.map(str::to_owned));
        self.first.entry(key).or_insert((event.time, stop));
    }

    /// What is said of others and belongs to the story all the same.
    fn concerns(&mut self, event: &Event) -> bool {
        if let Body::PushReceived(it) = &event.body {
            return Some(it.push) == self.push;
        }
        if let Body::PushResolved(it) = &event.body {
            return Some(it.push) == self.push;
        }
        if !self.began {
            return false;
        }
        let places = &self.places;
        let touches = |environment: &str| places.contains_key(environment);
        match &event.body {
            Body::LineChanged(it) => {
                self.ended.is_none()
                    && it.stretch.covers_run(self.run)
                    && (it.stretch.covers(&self.module, "")
                        || self
                            .places
                            .keys()
                            .any(|name| it.stretch.covers(&self.module, name)))
            }
            Body::BaseLost(it) => touches(&it.environment),
            Body::BaseJoined(it) => touches(&it.environment),
            Body::ModuleGivenUp(it) => it.module == self.module && touches(&it.environment),
            Body::RunQueued(it) if it.kind == RunKind::Repair && it.module == self.module => {
                let ours = self.ended.is_some() && it.environments.iter().any(|name| touches(name));
                if ours {
                    self.repairs.insert(it.run);
                }
                ours
            }
            Body::RunFinished(it) => self.repairs.contains(&it.run),
            _ => false,
        }
    }

    /// What everything followed from: why it went back, else what went wrong first.
    fn cause(&self) -> Option<(Timestamp, Option<String>, Stop)> {
        if let Some((at, environment, stop)) = &self.back {
            let key = (Some(environment.clone()), stop.base.clone());
            let seen = self.first.get(&key).map_or(*at, |(seen, _)| *seen.min(at));
            return Some((seen, Some(environment.clone()), stop.clone()));
        }
        let first = self.first.iter().min_by_key(|(_, (at, _))| *at);
        let (key, (at, stop)) = first?;
        let (_, ended) = self.ended.as_ref()?;
        (ended.outcome != Outcome::Success).then(|| (*at, key.0.clone(), stop.clone()))
    }

    /// The story, as it stands.
    pub fn told(self, known: Known<'_>) -> WhyView {
        let cause = self.cause();
        let troubles: Vec<_> = self
            .places
            .iter()
            .filter(|(name, _)| !known.past.contains(*name))
            .filter_map(|(name, place)| place.trouble(name, &self.module, known.bases))
            .collect();
        let mut next = Vec::new();
        for it in &troubles {
            let stop = cause.as_ref().map(|(_, _, stop)| stop);
            next.extend(trouble::next(it, &self.module, self.run, stop));
        }
        if troubles.is_empty() {
            next.extend(known.run.map(goes_on).unwrap_or_default());
            if let Some((_, _, stop)) = &cause
                && next.is_empty()
            {
                next.push(stop.reason.next_step().to_owned());
            }
        }
        let out: Vec<&str> = troubles
            .iter()
            .flat_map(|it| &it.not_back)
            .map(|one| one.base.as_str())
            .collect();
        let now = self.now(known.run, &out);
        let over = known.run.is_some_and(|run| run.summary.state.is_over());
        let behind = over && self.ended.is_none();
        let (story, left_out) = self.sentences.told();
        WhyView {
            about: About::Run,
            name: self.run.to_string(),
            module: Some(self.module),
            now,
            cause: cause.map(|(at, environment, stop)| CauseView {
                at,
                environment,
                stop: (&stop).into(),
            }),
            troubles,
            next,
            story,
            left_out,
            behind,
        }
    }

    fn now(&self, run: Option<&RunView>, out: &[&str]) -> String {
        let module = &self.module;
        let short = self.run.short();
        let state = run.map(|run| run.summary.state);
        let outcome = self.ended.as_ref().map(|(_, ended)| ended.outcome);
        let place = |environment: Option<&String>| {
            environment
                .map(|name| format!(" in {name}"))
                .unwrap_or_default()
        };
        let ended = self.ended.as_ref().map(|(_, ended)| ended);
        let at = ended.and_then(|ended| ended.environment.as_ref());
        let at = place(at.or(run.and_then(|run| run.summary.environment.as_ref())));
        let as_it_was = match out {
            [] => "what was there before is there".to_owned(),
            out => format!("not as it should be: {}", named(out)),
        };
        match (state, outcome) {
            (Some(RunState::Succeeded), _) | (None, Some(Outcome::Success)) => {
                format!("run {short} of {module} succeeded")
            }
            (Some(RunState::Superseded), _) | (None, Some(Outcome::Cancel)) => {
                let why = ended.and_then(|ended| ended.stop.as_ref());
                let why = why.map(|stop| format!(": {}", line(&stop.detail)));
                let why = why.unwrap_or_default();
                format!("run {short} of {module} gave way to a newer one{at}{why}")
            }
            (Some(RunState::Failed), _) | (None, Some(Outcome::Failure)) => {
                format!("run {short} of {module} failed{at}; {as_it_was}")
            }
            (Some(RunState::Broken), _) | (None, Some(Outcome::Error)) => {
                let left = match out {
                    [] => "all bases run what they should by now".to_owned(),
                    _ => as_it_was,
                };
                format!(
                    "run {short} of {module} failed{at}, and was not taken back everywhere; {left}"
                )
            }
            (Some(_), _) if self.back.is_some() => {
                let why = self.back.as_ref().map(|(.., stop)| because(stop));
                format!(
                    "run {short} of {module} is going back{at}: {}",
                    why.unwrap_or_default()
                )
            }
            (Some(RunState::RollingOut), _) => {
                format!("run {short} of {module} is being rolled out{at}")
            }
            _ => format!("run {short} of {module} is on its way"),
        }
    }
}

/// What a run waits for, and which command ends that.
fn goes_on(run: &RunView) -> Vec<String> {
    let id = run.summary.id.short();
    let mut next = Vec::new();
    for there in &run.environments {
        for gate in &there.gates {
            let name = &there.name;
            next.push(match &gate.ask {
                Ask::Approval { .. } => format!("ferry approve {id} --env {name} --why TEXT"),
                Ask::Line => "ferry status    # what is paused, and how to lift it".to_owned(),
                _ => format!("ferry promote {id} --env {name} --why TEXT    # or wait"),
            });
        }
    }
    next
}
