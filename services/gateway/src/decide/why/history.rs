//! What was live of a module, where and when.
//!
//! In: the module's acts, in order. Out: [`PeriodView`]s: a version's time in an environment, from its first wave to
//! what took its place.

use std::collections::{BTreeMap, VecDeque};

use ferry_api::{HistoryView, PeriodEnd, PeriodView, StopView};
use ferry_events::rollout::{Direction, Finished, RolloutOutcome, Service};
use ferry_events::run::RunKind;
use ferry_events::{Body, Digest, Event, RunId, Timestamp};

/// Periods that are shown, the newest: years of a quiet module.
const PERIODS_MAX: usize = 200;
/// Runs and artifacts that are remembered until their rollouts come: more than are on their way at a time.
const REMEMBERED_MAX: usize = 1_000;

/// A history in the making.
#[derive(Debug, Default)]
pub struct History {
    module: String,
    environment: Option<String>,
    over: VecDeque<PeriodView>,
    left_out: u64,
    /// What is live, by environment.
    live: BTreeMap<String, PeriodView>,
    /// What is on its way, by environment.
    coming: BTreeMap<String, PeriodView>,
    who: Remembered<RunId, String>,
    commits: Remembered<Digest, String>,
    of_run: Remembered<RunId, String>,
    repairs: Remembered<RunId, ()>,
    versions: Remembered<(RunId, String), String>,
}

/// A map that forgets what came first.
#[derive(Debug)]
struct Remembered<K, V>(VecDeque<(K, V)>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: PartialEq, V: Clone> Remembered<K, V> {
    fn put(&mut self, key: K, value: V) {
        self.0.retain(|(known, _)| *known != key);
        self.0.push_back((key, value));
        if self.0.len() > REMEMBERED_MAX {
            self.0.pop_front();
        }
    }

    fn get(&self, key: &K) -> Option<V> {
        let mut found = self.0.iter().rev();
        let (_, value) = found.find(|(known, _)| known == key)?;
        Some(value.clone())
    }
}

impl History {
    /// Of a module, in all environments or in one.
    pub fn new(module: &str, environment: Option<&str>) -> Self {
        Self {
            module: module.to_owned(),
            environment: environment.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Takes the next act of the module.
    pub fn take(&mut self, event: &Event) {
        let at = event.time;
        match &event.body {
            Body::ChangeMerged(it) => {
                if let Some(author) = &it.author {
                    self.who.put(it.run, author.clone());
                }
                self.of_run.put(it.run, it.commit.clone());
            }
            Body::RunQueued(it) => {
                if it.kind == RunKind::Repair {
                    self.repairs.put(it.run, ());
                }
                if let Some(author) = &it.author {
                    self.who.put(it.run, author.clone());
                }
            }
            Body::ArtifactPublished(it) => {
                if let Some(commit) = &it.release.commit {
                    self.commits
                        .put(it.release.packaged.clone(), commit.clone());
                }
            }
            Body::RolloutPlanned(it) if it.plan.direction == Direction::Forward => {
                if let Some(version) = &it.version {
                    let key = (it.plan.run, it.plan.environment.clone());
                    self.versions.put(key, version.clone());
                }
            }
            Body::RolloutPlanned(it) if it.plan.direction == Direction::Back => {
                if let Some(coming) = self.coming.get_mut(&it.plan.environment)
                    && coming.run == it.plan.run
                {
                    coming.stop = it.because.as_ref().map(StopView::from);
                }
            }
            Body::WaveStarted(it) if it.direction == Direction::Forward && it.number == 1 => {
                self.begins(it.run, &it.environment, at);
            }
            Body::ServiceDeployed(it) => self.live(it, at),
            Body::ServiceUpgraded(it) => self.live(it, at),
            Body::ServiceRolledback(it) => self.live(it, at),
            Body::RolloutFinished(it) if self.repairs.get(&it.run).is_none() => self.ends(it, at),
            _ => {}
        }
    }

    fn begins(&mut self, run: RunId, environment: &str, at: Timestamp) {
        let key = (run, environment.to_owned());
        let version = self
            .versions
            .get(&key)
            .unwrap_or_else(|| "unknown".to_owned());
        let period = PeriodView {
            environment: environment.to_owned(),
            version,
            packaged: None,
            commit: self.of_run.get(&run),
            run,
            by: self.who.get(&run),
            since: at,
            verified: None,
            until: None,
            end: PeriodEnd::RollingOut,
            ended_by: None,
            stop: None,
        };
        self.coming.insert(environment.to_owned(), period);
    }

    /// Something is verified. Of a rollout that went back by itself the run is the one that failed: what was live
    /// stays.
    fn live(&mut self, it: &Service, at: Timestamp) {
        let coming = self.coming.get(&it.environment);
        let Some(coming) =
            coming.filter(|coming| coming.run == it.run && coming.version == it.version)
        else {
            return;
        };
        let mut period = PeriodView {
            packaged: Some(it.packaged.clone()),
            verified: Some(at),
            end: PeriodEnd::Live,
            ..coming.clone()
        };
        period.commit = self.commits.get(&it.packaged).or(period.commit);
        self.coming.remove(&it.environment);
        if let Some(before) = self.live.insert(it.environment.clone(), period) {
            self.push(PeriodView {
                until: Some(at),
                end: PeriodEnd::Replaced,
                ended_by: Some(it.run),
                ..before
            });
        }
    }

    fn ends(&mut self, it: &Finished, at: Timestamp) {
        let coming = self.coming.get(&it.environment);
        if coming.is_none_or(|coming| coming.run != it.run) {
            return;
        }
        let Some(coming) = self.coming.remove(&it.environment) else {
            return;
        };
        let end = match it.outcome {
            RolloutOutcome::RolledBack => PeriodEnd::RolledBack,
            RolloutOutcome::Broken => PeriodEnd::Broken,
            RolloutOutcome::Superseded => PeriodEnd::Superseded,
            // It was live before it was asked for, or touched nothing.
            RolloutOutcome::Verified | RolloutOutcome::Stopped => return,
        };
        self.push(PeriodView {
            until: Some(at),
            end,
            // Why it went back, rather than why it did not come back everywhere.
            stop: coming.stop.clone().or(it.stop.as_ref().map(StopView::from)),
            ..coming
        });
    }

    fn push(&mut self, period: PeriodView) {
        if !self.shows(&period) {
            return;
        }
        self.over.push_back(period);
        if self.over.len() > PERIODS_MAX {
            self.over.pop_front();
            self.left_out += 1;
        }
    }

    fn shows(&self, period: &PeriodView) -> bool {
        let wanted = self.environment.as_ref();
        wanted.is_none_or(|wanted| *wanted == period.environment)
    }

    /// The history, as it stands.
    pub fn told(self) -> HistoryView {
        let now = self.live.values().chain(self.coming.values());
        let mut periods: Vec<PeriodView> = now.filter(|it| self.shows(it)).cloned().collect();
        periods.extend(self.over);
        periods.sort_by(|one, other| {
            let key = |it: &PeriodView| (it.since, it.environment.clone());
            key(other).cmp(&key(one))
        });
        HistoryView {
            module: self.module,
            periods,
            left_out: self.left_out,
        }
    }
}
