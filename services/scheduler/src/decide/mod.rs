//! The scheduler's decisions: which aggregate an input concerns, and what follows.
//!
//! Five kinds of aggregates: a *run* (`run.<id>`) passes its environments in order; a *unit*
//! (`unit.<module>.<environment>`) is the unit of consistency: active plan, queued rollout, verified
//! releases; the *line* (`line`) is what people paused; a *joint* (`joint.<id>`) keeps modules together that go
//! live together; *restarts* (`restarts.<environment>`) is the list of bases to be restarted. They tell each other by events only.

mod acts;
mod back;
mod by_base;
mod care;
mod halt;
mod joint;
mod line;
mod member;
mod plan;
mod preview;
mod quarantine;
mod queue;
mod repair;
mod restart;
mod rollout;
mod room;
mod run;
mod spare;
mod unit;
mod wanted;

pub use care::{Care, Owed};
pub use halt::{Halt, Wait};
pub use joint::Together;
pub use line::{Heard, Line};
pub use member::Part;
pub use queue::PassedOver;
pub use restart::Restarts;
pub use run::Run;
pub use spare::Away;
pub use unit::{Active, Banned, Phase, Stage, Task, Unit};

use std::collections::BTreeMap;

use ferry_bus::Keep;
use ferry_config::Config;
use ferry_events::line::Stretch;
use ferry_events::question::Question;
use ferry_events::restart::Turn;
use ferry_events::{Body, Command, Event, RunId, Scope, Service, Timestamp, Verb};
use ferry_runtime::{Context, Decide, Decision, Fault, Input, Key, Reply};
use serde::{Deserialize, Serialize};

/// A finished run's record is kept this long, for redeliveries of what it heard; a month, as long as
/// the stream keeps events.
const KEEP_FINISHED: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);

/// The scheduler.
pub struct Scheduler;

/// The scheduler has no work and no outcomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Nothing {}

/// An aggregate's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Never heard of.
    #[default]
    New,
    /// A run.
    Run(Box<Run>),
    /// A module in an environment.
    Unit(Box<Unit>),
    /// What is paused.
    Line(Box<Line>),
    /// A release of several modules.
    Joint(Box<Together>),
    /// Bases of an environment that are to be restarted.
    Restarts(Box<Restarts>),
}

/// The aggregate of a run.
pub fn run_key(run: RunId) -> Key {
    Key::new("run", &[&run.to_string()])
}

/// The aggregate of a module in an environment.
pub fn unit_key(module: &str, environment: &str) -> Key {
    Key::new("unit", &[module, environment])
}

/// The aggregate of what is paused: there is one.
pub fn line_key() -> Key {
    Key::new("line", &[])
}

/// The aggregate of a release of several modules that is under way.
pub fn joint_key(joint: uuid::Uuid) -> Key {
    Key::new("joint", &[&joint.to_string()])
}

/// The aggregate of an environment's bases that are to be restarted.
pub fn restarts_key(environment: &str) -> Key {
    Key::new("restarts", &[environment])
}

/// The units that a stretch of the line concerns.
fn units_of_stretch(config: &Config, stretch: &Stretch) -> Vec<Key> {
    let units = config.modules.keys().flat_map(|module| {
        let environments = config.environments_of_module(module).into_iter();
        environments.map(move |environment| (module, environment))
    });
    units
        .filter(|(module, environment)| stretch.covers(module, environment))
        .map(|(module, environment)| unit_key(module, environment))
        .collect()
}

/// The scope of a module's events.
pub(crate) fn scope(config: &Config, module: &str) -> Scope {
    Scope::module(config.team_of_module(module), module)
}

/// Where to look at a run, absolute.
pub(crate) fn run_uri(config: &Config, run: RunId) -> String {
    config
        .gateway
        .public_url()
        .join(&format!("runs/{run}"))
        .map_or_else(
            |_| format!("http://localhost/runs/{run}"),
            |uri| uri.to_string(),
        )
}

/// Whether rollouts to a pool ask how much metaspace its bases have left.
fn gates_on_metaspace(config: &Config, pool: &str) -> bool {
    let pool = config.pools.get(pool);
    pool.is_some_and(|pool| pool.metaspace_growth > 0)
}

/// The modules that go to a pool.
fn modules_of_pool<'a>(config: &'a Config, pool: &'a str) -> impl Iterator<Item = &'a str> {
    let modules = config.modules.keys().map(String::as_str);
    modules.filter(move |module| {
        let pools = config.pools_of_module(module);
        pools.iter().any(|(name, _)| *name == pool)
    })
}

/// Their units.
fn units_of_pool(config: &Config, pool: &str, environment: &str) -> Vec<Key> {
    modules_of_pool(config, pool)
        .map(|module| unit_key(module, environment))
        .collect()
}

/// The list of restarts, where what a base reports may concern it.
fn restarts_of_pool(config: &Config, pool: &str, environment: &str) -> Option<Key> {
    restart::is_kept(config, pool).then(|| restarts_key(environment))
}

/// The units and the list that a turn concerns.
fn keys_of_turn(config: &Config, turn: &Turn) -> Vec<Key> {
    let units = units_of_pool(config, &turn.pool, &turn.environment);
    let list = restarts_key(&turn.environment);
    units.into_iter().chain([list]).collect()
}

impl Decide for Scheduler {
    type State = State;
    type Work = Nothing;
    type Outcome = Nothing;

    fn service(&self) -> Service {
        Service::Scheduler
    }

    fn route(&self, event: &Event, config: &Config) -> Vec<Key> {
        match &event.body {
            Body::ChangeMerged(p) => vec![run_key(p.run)],
            Body::BuildFinished(p) => vec![run_key(p.run)],
            Body::ArtifactPublished(p) => vec![run_key(p.release.run)],
            Body::ArtifactRefused(p) => vec![run_key(p.run)],
            Body::ProfilePublished(p) => vec![run_key(p.run)],
            Body::RolloutFinished(p) => vec![run_key(p.run)],
            Body::RolloutRequested(p) => vec![unit_key(&p.module, &p.environment)],
            Body::TaskFinished(p) => vec![unit_key(&p.module, &p.environment)],
            Body::ObservationFinished(p) => vec![unit_key(&p.module, &p.environment)],
            Body::ModuleDrifted(p) => vec![unit_key(&p.module, &p.environment)],
            Body::BaseJoined(p) => {
                let list = restarts_of_pool(config, &p.pool, &p.environment);
                let units = units_of_pool(config, &p.pool, &p.environment);
                units.into_iter().chain(list).collect()
            }
            Body::GateJudged(p) => vec![unit_key(&p.module, &p.environment)],
            Body::LineAsked(_) => vec![line_key()],
            Body::LineTold(p) => vec![unit_key(&p.module, &p.environment)],
            Body::LineChanged(p) => {
                let units = units_of_stretch(config, &p.stretch);
                let list = p.stretch.base().and(p.stretch.environment());
                units.into_iter().chain(list.map(restarts_key)).collect()
            }
            Body::JointReported(p) => vec![joint_key(p.joint.id)],
            Body::JointTold(p) => vec![unit_key(&p.module, &p.environment)],
            Body::BaseChanged(p) => {
                let list = restarts_of_pool(config, &p.pool, &p.environment);
                let units = match gates_on_metaspace(config, &p.pool) {
                    true => units_of_pool(config, &p.pool, &p.environment),
                    false => Vec::new(),
                };
                units.into_iter().chain(list).collect()
            }
            Body::RestartAsked(p) => units_of_pool(config, &p.turn.pool, &p.turn.environment),
            Body::RestartGiven(p) => vec![restarts_key(&p.turn.environment)],
            Body::RestartFinished(p) => keys_of_turn(config, &p.turn),
            Body::RestartOver(p) if p.turn.is_some() => {
                units_of_pool(config, &p.pool, &p.environment)
            }
            Body::BaseQuarantined(_) | Body::BaseMended(_) => vec![line_key()],
            Body::BaseLost(p) => {
                let list = restarts_of_pool(config, &p.pool, &p.environment);
                let units = units_of_pool(config, &p.pool, &p.environment);
                units.into_iter().chain(list).collect()
            }
            _ => Vec::new(),
        }
    }

    fn route_command(&self, command: &Command, _config: &Config) -> Vec<Key> {
        match &command.verb {
            Verb::Rollback { module, .. } => vec![run_key(RunId::of_command(command.id, module))],
            Verb::Approve(rollout) | Verb::Promote(rollout) => {
                vec![unit_key(&rollout.module, &rollout.environment)]
            }
            Verb::Pause(_)
            | Verb::Resume(_)
            | Verb::Abort(_)
            | Verb::Hold(_)
            | Verb::Release(_) => vec![line_key()],
            Verb::Restart(on) => vec![restarts_key(&on.environment)],
            Verb::Run { .. } | Verb::Deploy { .. } | Verb::Replay(_) | Verb::Drop(_) => Vec::new(),
        }
    }

    fn route_question(&self, question: &Question, config: &Config) -> Vec<Key> {
        preview::keys(question, config)
    }

    fn answer(
        &self,
        question: &Question,
        states: &BTreeMap<Key, State>,
        context: &Context,
    ) -> Reply {
        preview::answer(question, states, context).into()
    }

    fn decide(
        &self,
        key: &Key,
        state: &State,
        input: &Input<Nothing>,
        context: &Context,
    ) -> Result<Decision<State>, Fault> {
        match (key.kind(), state) {
            ("run", State::New) => Run::default()
                .decide(input, context)
                .map(|d| wrap(d, State::Run)),
            ("run", State::Run(run)) => run.decide(input, context).map(|d| wrap(d, State::Run)),
            ("unit", State::New) => Unit::default()
                .decide(key, input, context)
                .map(|d| wrap(d, State::Unit)),
            ("unit", State::Unit(unit)) => unit
                .decide(key, input, context)
                .map(|d| wrap(d, State::Unit)),
            ("line", State::New) => Line::default()
                .decide(input, context)
                .map(|d| wrap(d, State::Line)),
            ("line", State::Line(line)) => {
                line.decide(input, context).map(|d| wrap(d, State::Line))
            }
            ("joint", State::New) => Together::default()
                .decide(input, context)
                .map(|d| wrap(d, State::Joint)),
            ("joint", State::Joint(joint)) => {
                joint.decide(input, context).map(|d| wrap(d, State::Joint))
            }
            ("restarts", State::New) => Restarts::default()
                .decide(input, context)
                .map(|d| wrap(d, State::Restarts)),
            ("restarts", State::Restarts(list)) => list
                .decide(input, context)
                .map(|d| wrap(d, State::Restarts)),
            _ => Err(Fault(format!(
                "aggregate {key} has a state of another kind"
            ))),
        }
    }

    fn wake_at(&self, state: &State) -> Option<Timestamp> {
        match state {
            State::Unit(unit) => unit.deadline(),
            State::Restarts(list) => list.deadline(),
            _ => None,
        }
    }

    fn keep(&self, state: &State) -> Keep {
        match state {
            State::Run(run) if run.is_finished() => Keep::For(KEEP_FINISHED),
            State::Joint(joint) if joint.is_over() => Keep::For(KEEP_FINISHED),
            _ => Keep::Forever,
        }
    }
}

fn wrap<S: Default + PartialEq>(
    decision: Decision<S>,
    kind: fn(Box<S>) -> State,
) -> Decision<State> {
    let Decision {
        state,
        events,
        facts,
    } = decision;
    // Nothing heard, nothing said: the aggregate stays unheard of.
    let untouched = state == S::default() && events.is_empty();
    Decision {
        state: if untouched {
            State::New
        } else {
            kind(Box::new(state))
        },
        events,
        facts,
    }
}
