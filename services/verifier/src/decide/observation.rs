//! One observation: first the module must answer well once, then it must stay so for the soak.
//!
//! In: the request, and what was seen. Out: `module.answering`, then the verdict. The soak's end stands in
//! the record: whoever goes on after a crash repeats the phase, with a last look after that end.

use chrono::TimeDelta;
use ferry_events::{
    Reason, Scope, Stop, Timestamp,
    verify::{Answer, Answering, Finished, Requested},
};
use ferry_runtime::{Context, Decision, Fault};
use serde::{Deserialize, Serialize};

use super::{Outcome, State, Work};

/// By when a module without a probe must be active, in milliseconds from the request: it is active already
/// when the installer is done, so this only bridges a base that is slow to answer.
pub const ACTIVE_WITHIN: u64 = 20_000;

/// Where an observation stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// The module is waited for.
    Await {
        /// The request.
        requested: Requested,
        /// By when it must have answered well once.
        until: Timestamp,
    },
    /// It answered well, and must stay so.
    Soak {
        /// The request.
        requested: Requested,
        /// Until when.
        until: Timestamp,
        /// The first answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Answer>,
    },
    /// The verdict is said.
    Over,
}

/// A module was as it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Well {
    /// The last answer to the probe.
    pub answer: Option<Answer>,
    /// The revision that was seen, before and after.
    pub revision: u64,
}

/// A module was not as it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Why.
    pub stop: Stop,
    /// The last answer to the probe.
    pub answer: Option<Answer>,
    /// The revision that was seen, before and after.
    pub revision: u64,
}

impl Observation {
    pub(super) fn work(&self) -> Option<Work> {
        match self {
            Self::Await { requested, until } => Some(Work::Await {
                requested: Box::new(requested.clone()),
                until: *until,
            }),
            Self::Soak {
                requested, until, ..
            } => Some(Work::Soak {
                requested: Box::new(requested.clone()),
                until: *until,
            }),
            Self::Over => None,
        }
    }
}

fn after(context: &Context, millis: u64) -> Timestamp {
    let delta = TimeDelta::milliseconds(i64::try_from(millis).unwrap_or(i64::MAX));
    context
        .now
        .checked_add_signed(delta)
        .unwrap_or(Timestamp::MAX_UTC)
}

fn scope(requested: &Requested, context: &Context) -> Scope {
    let team = context.config.team_of_module(&requested.module);
    Scope::module(team, &requested.module).within(&requested.environment)
}

fn state(observation: Observation) -> Decision<State> {
    Decision::to(State::Observation(Box::new(observation)))
}

pub(super) fn begin(requested: &Requested, context: &Context) -> Decision<State> {
    let within = requested
        .probe
        .as_ref()
        .map_or(ACTIVE_WITHIN, |probe| probe.deadline_ms);
    state(Observation::Await {
        requested: requested.clone(),
        until: after(context, within),
    })
}

pub(super) fn outcome(
    observation: &Observation,
    outcome: &Outcome,
    context: &Context,
) -> Result<Decision<State>, Fault> {
    Ok(match (observation, outcome) {
        (Observation::Await { requested, .. }, Outcome::Well(well)) => {
            if well.revision != requested.revision {
                return Ok(stale(requested, well.revision, context));
            }
            let answering = Answering {
                observation: requested.observation,
                run: requested.run,
                module: requested.module.clone(),
                environment: requested.environment.clone(),
                base: requested.base.clone(),
                version: requested.version.clone(),
                answer: well.answer.clone(),
            };
            let next = match requested.soak_ms {
                0 => verdict(requested, None, well.answer.clone(), well.revision, context),
                soak => state(Observation::Soak {
                    requested: requested.clone(),
                    until: after(context, soak),
                    answer: well.answer.clone(),
                }),
            };
            let mut decision = Decision::to(next.state).say(scope(requested, context), answering);
            decision.events.extend(next.events);
            decision
        }
        (Observation::Soak { requested, .. }, Outcome::Well(well)) => {
            if well.revision != requested.revision {
                return Ok(stale(requested, well.revision, context));
            }
            verdict(requested, None, well.answer.clone(), well.revision, context)
        }
        (
            Observation::Await { requested, .. } | Observation::Soak { requested, .. },
            Outcome::Failed(failure),
        ) => {
            if failure.revision != requested.revision {
                return Ok(stale(requested, failure.revision, context));
            }
            let stop = Some(failure.stop.clone());
            verdict(
                requested,
                stop,
                failure.answer.clone(),
                failure.revision,
                context,
            )
        }
        (observation, outcome) => {
            return Err(Fault(format!(
                "{outcome:?} does not belong to {observation:?}"
            )));
        }
    })
}

pub(super) fn given_up(
    observation: &Observation,
    tries: u32,
    context: &Context,
) -> Decision<State> {
    match observation {
        Observation::Await { requested, .. } | Observation::Soak { requested, .. } => {
            let why = format!("looking at the base ended without a result {tries} times");
            let stop = Stop::new(Reason::OurFault, why);
            verdict(requested, Some(stop), None, requested.revision, context)
        }
        Observation::Over => state(Observation::Over),
    }
}

/// The module was changed on the base since it was asked about: what was seen is of something else.
fn stale(requested: &Requested, revision: u64, context: &Context) -> Decision<State> {
    let why = format!(
        "the module was changed on the base meanwhile: revision {revision}, asked about {}",
        requested.revision
    );
    verdict(
        requested,
        Some(Stop::new(Reason::PlanOutdated, why)),
        None,
        revision,
        context,
    )
}

fn verdict(
    requested: &Requested,
    stop: Option<Stop>,
    answer: Option<Answer>,
    revision: u64,
    context: &Context,
) -> Decision<State> {
    let finished = Finished {
        observation: requested.observation,
        task: requested.task,
        plan: requested.plan.clone(),
        run: requested.run,
        module: requested.module.clone(),
        environment: requested.environment.clone(),
        base: requested.base.clone(),
        revision,
        stop: stop.map(|stop| stop.on(&requested.base)),
        answer,
    };
    state(Observation::Over).say(scope(requested, context), finished)
}
