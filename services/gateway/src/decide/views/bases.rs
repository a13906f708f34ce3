//! Bases as the verifier's events tell them, beside what the scheduler's facts say that they should run.
//!
//! In: events, facts, the configuration. Out: [`BaseView`]s of the configured bases.

use std::collections::BTreeMap;

use ferry_api::{
    BaseState, BaseView, Metaspace, RepairView, RestartState, RestartView, StopView, WantedView,
};
use ferry_config::Config;
use ferry_events::fact::{Owed, Wanted};
use ferry_events::{Body, Event, Timestamp, base, restart};

/// What was last seen of each base, and what each should run.
#[derive(Debug, Default)]
pub(super) struct Bases {
    last: BTreeMap<String, Last>,
    /// Those that are to be restarted, or whose last restart failed.
    restarts: BTreeMap<String, RestartView>,
    /// By module and environment.
    wanted: BTreeMap<(String, String), Wanted>,
}

#[derive(Debug, Default)]
struct Last {
    lost: bool,
    seen: Option<base::Seen>,
    at: Option<Timestamp>,
    why: Option<String>,
}

impl Bases {
    pub(super) fn apply(&mut self, event: &Event) {
        match &event.body {
            Body::BaseJoined(it) => self.seen(it),
            Body::BaseChanged(it) => self.seen(it),
            Body::BaseLost(it) => {
                let last = self.last.entry(it.base.clone()).or_default();
                last.lost = true;
                last.at = it.last_seen.or(last.at);
                last.why = Some(it.why.clone());
            }
            Body::RestartListed(it) => {
                let before = self.restarts.remove(&it.base);
                let view = RestartView {
                    state: RestartState::Listed,
                    since: it.since,
                    why: Some(it.cause.to_string()),
                    driven: it.driven,
                    stop: before.and_then(|before| before.stop),
                };
                self.restarts.insert(it.base.clone(), view);
            }
            Body::RestartAsked(it) => self.restarting(&it.turn, RestartState::Asked, event.time),
            Body::RestartRequested(it) => {
                self.restarting(&it.turn, RestartState::Restarting, event.time);
            }
            Body::RestartFinished(it) if it.stop.is_none() => {
                self.restarting(&it.turn, RestartState::Settling, event.time);
            }
            Body::RestartOver(it) => {
                let before = self.restarts.remove(&it.base);
                if it.outcome == restart::Outcome::Failed {
                    let view = RestartView {
                        state: RestartState::Failed,
                        since: event.time,
                        why: before.and_then(|before| before.why),
                        driven: true,
                        stop: it.stop.as_ref().map(StopView::from),
                    };
                    self.restarts.insert(it.base.clone(), view);
                }
            }
            _ => {}
        }
    }

    /// A base has its turn.
    fn restarting(&mut self, turn: &restart::Turn, state: RestartState, since: Timestamp) {
        let before = self.restarts.remove(&turn.base);
        let view = RestartView {
            state,
            since,
            why: before.and_then(|before| before.why),
            driven: true,
            stop: None,
        };
        self.restarts.insert(turn.base.clone(), view);
    }

    fn seen(&mut self, it: &base::Seen) {
        let last = Last {
            lost: false,
            at: Some(it.at),
            seen: Some(it.clone()),
            why: None,
        };
        self.last.insert(it.base.clone(), last);
    }

    pub(super) fn wants(&mut self, wanted: Wanted) {
        let key = (wanted.module.clone(), wanted.environment.clone());
        self.wanted.insert(key, wanted);
    }

    /// What a base should run of each module that was decided on there.
    fn wanted_on(
        &self,
        config: &Config,
        base: &str,
        pool: &str,
        environment: &str,
    ) -> Vec<WantedView> {
        let there: &[base::ModuleOnBase] = self
            .last
            .get(base)
            .and_then(|last| last.seen.as_ref())
            .map_or(&[], |seen| &seen.modules);
        self.wanted
            .values()
            .filter(|it| it.environment == environment)
            .filter(|it| {
                let pools = config.pools_of_module(&it.module);
                pools.iter().any(|(name, _)| *name == pool)
            })
            .map(|it| {
                let wanted = it.versions.get(pool).cloned();
                let actual: Vec<base::ModuleOnBase> = there
                    .iter()
                    .filter(|one| one.name == it.biz)
                    .cloned()
                    .collect();
                let agrees = match (&wanted, actual.as_slice()) {
                    (None, []) => true,
                    (Some(wanted), [one]) => one.version == *wanted && one.state == "activated",
                    _ => false,
                };
                let repair = it.owed.get(base).map(repair);
                WantedView {
                    module: it.module.clone(),
                    wanted,
                    actual,
                    agrees,
                    rollout: it.rollout,
                    // During a rollout every base that was looked at is looked at again after it.
                    repair: repair.filter(|_| !(agrees && it.rollout.is_some())),
                }
            })
            // Nothing wanted, nothing there, nothing to tell.
            .filter(|it| it.wanted.is_some() || !it.agrees || it.repair.is_some())
            .collect()
    }

    pub(super) fn views(&self, config: &Config) -> Vec<BaseView> {
        let view = |(pool, base): (&str, &ferry_config::Base)| {
            let last = self.last.get(&base.name);
            let seen = last.and_then(|last| last.seen.as_ref());
            let environment = config
                .pools
                .get(pool)
                .map(|pool| pool.environment.clone())
                .unwrap_or_default();
            BaseView {
                name: base.name.clone(),
                pool: pool.to_owned(),
                wanted: self.wanted_on(config, &base.name, pool, &environment),
                environment,
                zone: base.zone.clone(),
                url: base.url.to_string(),
                state: match last {
                    None => BaseState::Unknown,
                    Some(last) if last.lost => BaseState::Lost,
                    Some(_) => BaseState::Joined,
                },
                modules: seen.map(|seen| seen.modules.clone()).unwrap_or_default(),
                metaspace: seen.and_then(|seen| {
                    Some(Metaspace {
                        used: seen.metaspace_used?,
                        max: seen.metaspace_max,
                    })
                }),
                last_seen: last.and_then(|last| last.at),
                why: last.and_then(|last| last.why.clone()),
                held: None,
                restart: self.restarts.get(&base.name).cloned(),
            }
        };
        config.bases().into_iter().map(view).collect()
    }
}

fn repair(owed: &Owed) -> RepairView {
    RepairView {
        since: owed.since,
        run: owed.repair,
        repairs: owed.repairs,
        next: owed.next,
        stop: owed.stop.as_ref().map(Into::into),
    }
}
