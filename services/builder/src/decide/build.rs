//! A build: one for a commit, a module and its settings, whoever asks for it and however often.
//!
//! In: `change.merged`, and what the build made. Out: `build.queued`, `build.started`,
//! `build.finished`, `artifact.packaged`, each for every run that waits for it. A build that is
//! there already answers at once; one that failed is tried again for a new run, as is a snippet
//! that is compiled against a base's last build.

use std::collections::{BTreeMap, VecDeque};

use ferry_config::Config;
use ferry_events::{
    Body, Digest, Reason, RunId, Scope, Stop,
    artifact::{Biz, Own, Packaged, RulesFile},
    body::{BuildQueued, BuildStarted},
    build::{Build, Finished},
    push::ChangeMerged,
};
use ferry_runtime::{Concern, Context, Decision, Fault, Input, Key};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Outcome, State, build_key,
    settings::{self, Settings},
};

/// Runs that wait for one build. Each is a command or a push back to the commit while it is built:
/// more is a script gone wrong. With it all that one decision says stays within a batch.
const WAITING_MAX: usize = 64;
/// Runs answered last, to spare work: one that comes again after these is built or answered again,
/// which changes nothing for it.
const ANSWERED_MAX: usize = 64;

/// A build's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildState {
    /// Its id.
    pub id: Uuid,
    /// The repository.
    pub repository: String,
    /// The module.
    pub module: String,
    /// The commit.
    pub commit: String,
    /// What it is built with; none: the module is unknown.
    pub settings: Option<Settings>,
    /// Runs that wait for it, in the order in which they came.
    pub waiting: Vec<RunId>,
    /// What they came of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub origins: BTreeMap<RunId, Uuid>,
    /// Runs that were answered last.
    pub answered: VecDeque<RunId>,
    /// Counts the attempts that were asked for: a failed one is followed by the next for a new run.
    pub round: u32,
    /// Whether this round was said to have begun.
    pub started: bool,
    /// The jar, once it is built.
    pub built: Option<Built>,
}

/// A jar in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What its manifest says.
    pub biz: Biz,
    /// What the module set for itself; none: it has no file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Box<Own>>,
    /// The rules by which its project slims.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RulesFile>,
}

/// What effects shall build.
#[derive(Clone, Debug, PartialEq)]
pub struct BuildWork {
    /// The build.
    pub id: Uuid,
    /// The repository.
    pub repository: String,
    /// The module.
    pub module: String,
    /// The commit.
    pub commit: String,
    /// What it is built with.
    pub settings: Settings,
    /// The run that has waited longest; the others are in the record.
    pub run: RunId,
    /// What that run came of.
    pub origin: Option<Uuid>,
    /// Which attempt it is.
    pub round: u32,
}

impl BuildState {
    fn new(id: Uuid, change: &ChangeMerged, settings: Option<Settings>) -> Self {
        Self {
            id,
            repository: change.repository.clone(),
            module: change.module.clone(),
            commit: change.commit.clone(),
            settings,
            waiting: Vec::new(),
            origins: BTreeMap::new(),
            answered: VecDeque::new(),
            round: 0,
            started: false,
            built: None,
        }
    }

    /// What is to be built now.
    pub fn work(&self) -> Option<BuildWork> {
        let run = *self.waiting.first()?;
        Some(BuildWork {
            id: self.id,
            repository: self.repository.clone(),
            module: self.module.clone(),
            commit: self.commit.clone(),
            settings: self.settings.clone()?,
            run,
            origin: self.origins.get(&run).copied(),
            round: self.round,
        })
    }

    /// Whom it concerns that it is built again.
    pub(super) fn concerns(&self, config: &Config) -> Vec<Concern> {
        let concern = |run: &RunId| Concern {
            scope: scope(config, &self.module),
            what: "build",
            run: Some(*run),
            ..Concern::default()
        };
        self.waiting.iter().map(concern).collect()
    }

    fn said(&self, run: RunId) -> Build {
        Build {
            run,
            module: self.module.clone(),
            build: self.id,
            commit: self.commit.clone(),
        }
    }

    fn finished(&self, run: RunId, stop: Option<Stop>, millis: u64, reused: bool) -> Finished {
        Finished {
            run,
            module: self.module.clone(),
            build: self.id,
            stop,
            millis,
            reused,
        }
    }

    fn packaged(&self, run: RunId, built: &Built, origin: Option<Uuid>) -> Packaged {
        Packaged {
            origin,
            run,
            module: self.module.clone(),
            digest: built.digest.clone(),
            size: built.size,
            commit: Some(self.commit.clone()),
            biz: built.biz.clone(),
            own: built.own.as_deref().cloned(),
            rules: built.rules.clone(),
        }
    }

    fn remember(&mut self, run: RunId) {
        self.answered.push_back(run);
        while self.answered.len() > ANSWERED_MAX {
            self.answered.pop_front();
        }
    }
}

/// Decides for a build.
///
/// # Errors
/// When the configuration changed between the routing and this: the message is routed again.
pub fn decide(
    key: &Key,
    state: &State,
    input: &Input<Outcome>,
    context: &Context,
) -> Result<Decision<State>, Fault> {
    let unchanged = || Ok(Decision::to(state.clone()));
    let config = &*context.config;
    if let Input::Event(event) = input {
        return match &event.body {
            Body::ChangeMerged(change) if !change.uploaded => asked(key, state, change, config),
            _ => unchanged(),
        };
    }
    let State::Build(build) = state else {
        return unchanged();
    };
    if build.waiting.is_empty() {
        return unchanged();
    }
    match input {
        Input::Report(Outcome::Began { round }) if *round == build.round && !build.started => {
            Ok(started(build.clone(), Vec::new(), config))
        }
        Input::Outcome(Outcome::Built { millis, result }) => {
            Ok(ended(build.clone(), result.clone(), *millis, config))
        }
        Input::GivenUp { tries, stop } => {
            let detail = format!("the builder ended {tries} times while it built this");
            Ok(ended(
                build.clone(),
                Err(stop
                    .clone()
                    .unwrap_or_else(|| Stop::new(Reason::BuildLost, detail))),
                0,
                config,
            ))
        }
        _ => unchanged(),
    }
}

fn scope(config: &Config, module: &str) -> Scope {
    Scope::module(config.team_of_module(module), module)
}

fn asked(
    key: &Key,
    state: &State,
    change: &ChangeMerged,
    config: &Config,
) -> Result<Decision<State>, Fault> {
    let mut build = match state {
        State::Build(build) => build.clone(),
        _ => {
            let settings = settings::of(config, &change.module);
            let id = settings::build_id(change, settings.as_ref());
            if build_key(id) != *key {
                return Err(Fault(
                    "the configuration changed while the change was on its way".into(),
                ));
            }
            BuildState::new(id, change, settings)
        }
    };
    let (run, scope) = (change.run, scope(config, &change.module));
    if build.waiting.contains(&run) || build.answered.contains(&run) {
        return Ok(Decision::to(state.clone()));
    }
    let refusal = if build.settings.is_none() {
        Some(Stop::new(Reason::UnknownModule, change.module.clone()))
    } else if build.waiting.len() >= WAITING_MAX {
        Some(Stop::new(
            Reason::TooMany,
            format!("{WAITING_MAX} runs wait for this build"),
        ))
    } else {
        None
    };
    if refusal.is_some() {
        build.remember(run);
        let finished = build.finished(run, refusal, 0, false);
        return Ok(Decision::to(State::Build(build)).say(scope, finished));
    }
    // A snippet's base may have another build by now, and compiling is as quick as looking.
    let follows = build
        .settings
        .as_ref()
        .is_some_and(Settings::follows_a_base);
    if let Some(built) = build.built.clone().filter(|_| !follows) {
        build.remember(run);
        let (finished, packaged) = (
            build.finished(run, None, 0, true),
            build.packaged(run, &built, change.origin()),
        );
        return Ok(Decision::to(State::Build(build))
            .say(scope.clone(), finished)
            .say(scope, packaged));
    }
    if build.waiting.is_empty() {
        build.round += 1;
        build.started = false;
    }
    build.waiting.push(run);
    build
        .origins
        .extend(change.origin().map(|origin| (run, origin)));
    let queued = BuildQueued(build.said(run));
    let begun = build.started.then(|| BuildStarted(build.said(run)));
    let decision = Decision::to(State::Build(build)).say(scope.clone(), queued);
    Ok(match begun {
        Some(begun) => decision.say(scope, begun),
        None => decision,
    })
}

/// Says of each waiting run that its build began.
fn started(mut build: BuildState, mut events: Vec<Body>, config: &Config) -> Decision<State> {
    build.started = true;
    events.extend(
        build
            .waiting
            .iter()
            .map(|run| BuildStarted(build.said(*run)).into()),
    );
    let scope = scope(config, &build.module);
    events
        .into_iter()
        .fold(Decision::to(State::Build(build)), |decision, body| {
            decision.say(scope.clone(), body)
        })
}

fn ended(
    mut build: BuildState,
    result: Result<Built, Stop>,
    millis: u64,
    config: &Config,
) -> Decision<State> {
    let scope = scope(config, &build.module);
    let mut events: Vec<Body> = Vec::new();
    if !build.started {
        // A quick end may come before the word that it began.
        events.extend(
            build
                .waiting
                .iter()
                .map(|run| Body::from(BuildStarted(build.said(*run)))),
        );
    }
    let mut origins = std::mem::take(&mut build.origins);
    for run in std::mem::take(&mut build.waiting) {
        let stop = result.as_ref().err().cloned();
        events.push(build.finished(run, stop, millis, false).into());
        if let Ok(built) = &result {
            let origin = origins.remove(&run);
            events.push(build.packaged(run, built, origin).into());
        }
        build.remember(run);
    }
    build.started = false;
    build.built = result.ok();
    events
        .into_iter()
        .fold(Decision::to(State::Build(build)), |decision, body| {
            decision.say(scope.clone(), body)
        })
}
