//! What is live of each module in each environment.
//!
//! In: events, the configuration. Out: [`ModuleView`]s.

use std::collections::BTreeMap;

use ferry_api::{LiveView, ModuleView};
use ferry_config::Config;
use ferry_events::base::Drifted;
use ferry_events::rollout::{self, RolloutOutcome};
use ferry_events::run::RunKind;
use ferry_events::{Body, Digest, Event, RunId, Timestamp, base};
use serde::{Deserialize, Serialize};

/// What is live of a module in an environment. Kept on the bus too, because the
/// events that it follows from are kept for a month only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The stream's sequence of the event that it follows from.
    pub sequence: u64,
    /// The module.
    pub module: String,
    /// The environment.
    pub environment: String,
    /// What is live; nothing: nothing is.
    pub service: Option<rollout::Service>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The commit that it was built from, where one is known.
    pub commit: Option<String>,
    /// Whether it is verified on every base.
    pub verified: bool,
}

/// Versions, drift, and which commit an artifact was built from.
#[derive(Debug, Default)]
pub(super) struct Live {
    there: BTreeMap<(String, String), Record>,
    changing: BTreeMap<(String, String), RunId>,
    /// By module and base.
    drifted: BTreeMap<(String, String), Drifted>,
    commits: super::Kept<Digest, String>,
    /// Runs that are repairs.
    repairs: super::Kept<RunId, ()>,
}

impl Live {
    pub(super) fn apply(&mut self, sequence: u64, event: &Event) {
        let at = event.time;
        match &event.body {
            Body::ArtifactPackaged(it) => {
                if let Some(commit) = &it.commit {
                    self.commits.put(it.digest.clone(), commit.clone());
                }
            }
            Body::RolloutPlanned(it) => {
                let key = (it.plan.module.clone(), it.plan.environment.clone());
                self.changing.insert(key, it.plan.run);
            }
            Body::RunQueued(it) if it.kind == RunKind::Repair => {
                self.repairs.put(it.run, ());
            }
            Body::RolloutFinished(it) => {
                let key = (it.module.clone(), it.environment.clone());
                if self.changing.get(&key) == Some(&it.run) {
                    self.changing.remove(&key);
                }
                // A repair that fails says so on its bases; what was decided is live all the same.
                if it.outcome == RolloutOutcome::Broken && self.repairs.get(&it.run).is_none() {
                    let record = self.record(sequence, &it.module, &it.environment);
                    record.verified = false;
                }
            }
            Body::ServiceDeployed(it) => self.live(sequence, it, at),
            Body::ServiceUpgraded(it) => self.live(sequence, it, at),
            Body::ServiceRolledback(it) => self.live(sequence, it, at),
            Body::ModuleDrifted(it) => {
                self.drifted
                    .insert((it.module.clone(), it.base.clone()), (**it).clone());
            }
            Body::TaskFinished(it) if it.stop.is_none() => {
                self.drifted.remove(&(it.module.clone(), it.base.clone()));
            }
            Body::BaseJoined(it) => self.mended(it),
            Body::BaseChanged(it) => self.mended(it),
            _ => {}
        }
    }

    /// Takes a record that was kept; the stream's own events count more.
    pub(super) fn recall(&mut self, record: Record) {
        let key = (record.module.clone(), record.environment.clone());
        self.there.entry(key).or_insert(record);
    }

    /// The records, to be kept.
    pub(super) fn records(&self) -> impl Iterator<Item = &Record> {
        self.there.values()
    }

    /// Forgets drift that a base's own report shows to be over.
    fn mended(&mut self, seen: &base::Seen) {
        self.drifted.retain(|(_, base), drift| {
            *base != seen.base
                || drift.wanted.as_ref().is_none_or(|wanted| {
                    !seen.modules.iter().any(|module| module.version == *wanted)
                })
        });
    }

    fn record(&mut self, sequence: u64, module: &str, environment: &str) -> &mut Record {
        let key = (module.to_owned(), environment.to_owned());
        let record = self.there.entry(key).or_insert_with(|| Record {
            module: module.to_owned(),
            environment: environment.to_owned(),
            ..Record::default()
        });
        record.sequence = sequence;
        record
    }

    fn live(&mut self, sequence: u64, it: &rollout::Service, at: Timestamp) {
        let built = self.commits.get(&it.packaged).cloned();
        let record = self.record(sequence, &it.module, &it.environment);
        let same = record
            .service
            .as_ref()
            .is_some_and(|was| was.packaged == it.packaged);
        // The build may be longer ago than the stream remembers.
        record.commit = built.or_else(|| record.commit.take().filter(|_| same));
        record.service = Some(it.clone());
        record.since = Some(at);
        record.verified = true;
    }

    pub(super) fn view(&self, config: &Config, name: &str) -> Option<ModuleView> {
        let module = config.module(name)?;
        let environments = config
            .environments_of_module(name)
            .into_iter()
            .map(|environment| self.live_view(name, environment))
            .collect();
        Some(ModuleView {
            name: name.to_owned(),
            repository: module.repository.clone(),
            team: config.team_of_module(name).map(ToOwned::to_owned),
            environments,
        })
    }

    fn live_view(&self, module: &str, environment: &str) -> LiveView {
        let key = (module.to_owned(), environment.to_owned());
        let record = self.there.get(&key);
        let service = record.and_then(|record| record.service.as_ref());
        let drifted = self
            .drifted
            .values()
            .filter(|drift| drift.module == module && drift.environment == environment);
        LiveView {
            environment: environment.to_owned(),
            version: service.map(|it| it.version.clone()),
            commit: record.and_then(|record| record.commit.clone()),
            packaged: service.map(|it| it.packaged.clone()),
            verified: record.is_some_and(|record| record.verified),
            run: service.map(|it| it.run),
            since: record.and_then(|record| record.since),
            changing: self.changing.get(&key).copied(),
            drifted: drifted.cloned().collect(),
        }
    }
}
