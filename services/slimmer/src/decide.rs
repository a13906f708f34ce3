//! What the slimmer decides: to slim each packaged artifact once for its run, and to say the result.
//!
//! Two kinds of aggregates: a run's artifact (`slim.<run>`), and what a module published last
//! (`last.<module>`): the reports with which its next jar is compared; of a base, the profile against which
//! others are slimmed.
//!
//! In: `artifact.packaged`, the result of slimming, questions for reports. Out: `artifact.published`,
//! `profile.published` or `artifact.refused`, answers.

use std::collections::BTreeMap;

use ferry_bus::Keep;
use ferry_config::Config;
use ferry_events::{
    Body, Digest, Event, Reason, RunId, Scope, Service, Stop, Timestamp,
    artifact::{Packaged, Profiled, Published, Refused, Release, Slimmed},
    question::{Answer, Question},
};
use ferry_runtime::{Concern, Context, Decide, Decision, Fault, Input, Key, Reply, Slot};
use serde::{Deserialize, Serialize};

/// A record is kept this long for late repeats: a month, as long as the stream keeps events.
const KEEP: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
/// Jars slimmed at a time. Slimming is bound by the processor and the disk, not by waiting.
const PARALLEL: usize = 2;

/// The slimmer.
pub struct Slimmer;

/// One run's artifact, or what a module published last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    packaged: Option<Packaged>,
    done: bool,
    /// The reports, by pool.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    reports: BTreeMap<String, Digest>,
    /// When a module published them, and with which run; none: they are a run's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<(Timestamp, RunId)>,
    /// The profile of a base that it published, by its name in the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    profile: Option<Digest>,
}

impl State {
    /// The reports, by pool.
    pub fn reports(&self) -> &BTreeMap<String, Digest> {
        &self.reports
    }

    /// The name in the store of the profile of a base.
    pub fn profile(&self) -> Option<&Digest> {
        self.profile.as_ref()
    }

    fn of_run(packaged: &Packaged) -> Self {
        Self {
            packaged: Some(packaged.clone()),
            ..Self::default()
        }
    }

    /// The later one counts, in whatever order they come.
    fn publish(&self, at: Timestamp, run: RunId, last: Self) -> Self {
        let published = Some((at, run));
        match published <= self.published {
            true => self.clone(),
            false => Self { published, ..last },
        }
    }
}

fn reports_of(release: &Release) -> BTreeMap<String, Digest> {
    let report = |(pool, slimmed): (&String, &Slimmed)| {
        let report = slimmed.report.clone()?;
        Some((pool.clone(), report))
    };
    release.pools.iter().filter_map(report).collect()
}

/// Where a run's artifact is.
pub fn run_key(run: RunId) -> Key {
    Key::new("slim", &[&run.to_string()])
}

/// Where it stands what a module published last.
pub fn last_key(module: &str) -> Key {
    Key::new("last", &[module])
}

/// What came of slimming.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A jar for each pool.
    Slimmed(Box<Release>),
    /// What a base provides.
    Profiled(Box<Profiled>),
    /// There is none.
    Refused {
        /// Why.
        stop: Stop,
        /// The report, where it came to one, and its pool.
        report: Option<(String, Digest)>,
    },
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Self {
        Self::Refused { stop, report: None }
    }
}

impl Decide for Slimmer {
    type State = State;
    type Work = Packaged;
    type Outcome = Outcome;

    fn service(&self) -> Service {
        Service::Slimmer
    }

    fn route(&self, event: &Event, _: &Config) -> Vec<Key> {
        match &event.body {
            Body::ArtifactPackaged(packaged) => vec![run_key(packaged.run)],
            Body::ArtifactPublished(published) => vec![last_key(&published.release.module)],
            Body::ProfilePublished(profiled) => vec![last_key(&profiled.module)],
            _ => Vec::new(),
        }
    }

    fn route_question(&self, question: &Question, _: &Config) -> Vec<Key> {
        match question {
            Question::Report { run, .. } => vec![run_key(*run)],
            Question::Plan { .. } => Vec::new(),
        }
    }

    fn answer(&self, question: &Question, states: &BTreeMap<Key, State>, _: &Context) -> Reply {
        let Question::Report { run, pool } = question else {
            let detail = "the slimmer answers no such question";
            return Answer::Refused(Stop::new(Reason::OurFault, detail)).into();
        };
        let reports = states.get(&run_key(*run)).map(State::reports);
        let found = reports.and_then(|reports| match pool {
            Some(pool) => reports.get(pool),
            None => reports.values().next(),
        });
        match found {
            Some(digest) => Reply::Fetch(digest.clone()),
            None => {
                let there: Vec<&str> = reports
                    .map(|reports| reports.keys().map(String::as_str).collect())
                    .unwrap_or_default();
                let detail = match (pool, there.as_slice()) {
                    (Some(pool), [_, ..]) => format!(
                        "run {} has no report for pool {pool:?}, but for {}",
                        run.short(),
                        there.join(", ")
                    ),
                    _ => format!("run {} has no report", run.short()),
                };
                Answer::Refused(Stop::new(Reason::NoReport, detail)).into()
            }
        }
    }

    fn decide(
        &self,
        _: &Key,
        state: &State,
        input: &Input<Outcome>,
        context: &Context,
    ) -> Result<Decision<State>, Fault> {
        let same = Decision::to(state.clone());
        if let Input::Event(event) = input {
            return Ok(match &event.body {
                Body::ArtifactPublished(it) => {
                    let last = State {
                        reports: reports_of(&it.release),
                        ..State::default()
                    };
                    Decision::to(state.publish(event.time, it.release.run, last))
                }
                Body::ProfilePublished(it) => {
                    let last = State {
                        profile: Some(it.stored.clone()),
                        ..State::default()
                    };
                    Decision::to(state.publish(event.time, it.run, last))
                }
                Body::ArtifactPackaged(it) if state.packaged.is_none() => {
                    Decision::to(State::of_run(it))
                }
                _ => same,
            });
        }
        let Some(packaged) = state.packaged.as_ref().filter(|_| !state.done) else {
            return Ok(same);
        };
        let outcome = match input {
            Input::Outcome(outcome) | Input::Report(outcome) => outcome.clone(),
            Input::GivenUp { tries, stop } => {
                let lost = || {
                    let detail = format!("slimming ended without a result {tries} times");
                    Stop::new(Reason::OurFault, detail)
                };
                stop.clone().unwrap_or_else(lost).into()
            }
            Input::Event(_) | Input::Command(_) | Input::Due => return Ok(same),
        };
        let scope = Scope::module(
            context.config.team_of_module(&packaged.module),
            &packaged.module,
        );
        let done = |reports| {
            Decision::to(State {
                done: true,
                reports,
                ..state.clone()
            })
        };
        Ok(match outcome {
            Outcome::Slimmed(release) => {
                done(reports_of(&release)).say(scope, Published { release: *release })
            }
            Outcome::Profiled(profiled) => {
                let report = profiled.report.clone();
                let reports = report.map(|report| (profiled.module.clone(), report));
                done(reports.into_iter().collect()).say(scope, *profiled)
            }
            Outcome::Refused { stop, report } => {
                let (pool, digest) = report.clone().unzip();
                let refused = Refused {
                    run: packaged.run,
                    module: packaged.module.clone(),
                    packaged: packaged.digest.clone(),
                    stop,
                    pool,
                    report: digest,
                };
                done(report.into_iter().collect()).say(scope, refused)
            }
        })
    }

    fn work(&self, _: &Key, state: &State) -> Option<Packaged> {
        state.packaged.clone().filter(|_| !state.done)
    }

    /// All that it makes is named by its bytes.
    fn may_begin_early(&self, _: &Key, _: &Packaged) -> bool {
        true
    }

    fn slot(&self, _: &Key, packaged: &Packaged) -> Slot {
        Slot {
            pool: "slim",
            lane: Slot::lane_of(packaged.origin, &packaged.module),
        }
    }

    fn limit(&self, _: &str, _: &Config) -> usize {
        PARALLEL
    }

    fn concerns(&self, _: &Key, state: &State, config: &Config) -> Vec<Concern> {
        let concern = |packaged: &Packaged| Concern {
            scope: Scope::module(config.team_of_module(&packaged.module), &packaged.module),
            what: "slim",
            run: Some(packaged.run),
            ..Concern::default()
        };
        state.packaged.iter().map(concern).collect()
    }

    fn keep(&self, state: &State) -> Keep {
        match state.published {
            Some(_) => Keep::Forever,
            None => Keep::For(KEEP),
        }
    }
}
