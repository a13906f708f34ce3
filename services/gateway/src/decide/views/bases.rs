//! Bases as the verifier's events tell them.
//!
//! In: events, the configuration. Out: [`BaseView`]s of the configured bases.

use std::collections::BTreeMap;

use ferry_api::{BaseState, BaseView, Metaspace};
use ferry_config::Config;
use ferry_events::{Body, Event, Timestamp, base};

/// What was last seen of each base.
#[derive(Debug, Default)]
pub(super) struct Bases(BTreeMap<String, Last>);

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
                let last = self.0.entry(it.base.clone()).or_default();
                last.lost = true;
                last.at = it.last_seen.or(last.at);
                last.why = Some(it.why.clone());
            }
            _ => {}
        }
    }

    fn seen(&mut self, it: &base::Seen) {
        let last = Last {
            lost: false,
            at: Some(it.at),
            seen: Some(it.clone()),
            why: None,
        };
        self.0.insert(it.base.clone(), last);
    }

    pub(super) fn views(&self, config: &Config) -> Vec<BaseView> {
        let view = |(pool, base): (&str, &ferry_config::Base)| {
            let last = self.0.get(&base.name);
            let seen = last.and_then(|last| last.seen.as_ref());
            let environment = config.pools.get(pool).map(|pool| pool.environment.clone());
            BaseView {
                name: base.name.clone(),
                pool: pool.to_owned(),
                environment: environment.unwrap_or_default(),
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
            }
        };
        config.bases().into_iter().map(view).collect()
    }
}
