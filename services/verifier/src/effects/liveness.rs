//! Looks at every configured base again and again, each on its own, and reports what it saw.
//!
//! In: the configuration's bases. Out: reports; the decisions drop those that show nothing new. A base that
//! does not answer in time has missed a look, whatever keeps it: frozen, dead, unreachable.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ferry_config::Config;
use ferry_events::{Timestamp, base::Seen};
use ferry_runtime::{Clock, Feeder, Key};
use ferry_web::Web;
use tokio::{task::AbortHandle, time::Instant};
use tracing::{debug, warn};
use url::Url;

use super::{
    arklet::{Arklet, Silent},
    fact,
};
use crate::decide::{Looked, Missed, Outcome, VerifierDecide, Watch};

/// A base as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Configured {
    name: String,
    pool: String,
    environment: String,
    zone: String,
    arklet: Url,
}

fn configured(config: &Config) -> Vec<Configured> {
    let of = |(pool, base): (&str, &ferry_config::Base)| Configured {
        name: base.name.clone(),
        pool: pool.to_owned(),
        environment: config
            .pools
            .get(pool)
            .map(|pool| pool.environment.clone())
            .unwrap_or_default(),
        zone: base.zone.clone(),
        arklet: base.arklet.clone(),
    };
    config.bases().into_iter().map(of).collect()
}

/// A watcher's task, ended when dropped.
struct Watcher {
    base: Configured,
    task: AbortHandle,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// When looks may begin: so many in a second, whoever's they are, first come first served.
#[derive(Default)]
struct Pace {
    next: Mutex<Option<Instant>>,
}

impl Pace {
    async fn turn(&self, pause: Duration) {
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = next.unwrap_or(now).max(now);
            *next = Some(at + pause);
            at
        };
        if at > now {
            tokio::time::sleep_until(at).await;
        }
    }
}

/// The looks at all bases, and the further ones at those that missed one: a base that is dead is not told late
/// because there are many others.
#[derive(Default)]
struct Paces {
    all: Pace,
    missed: Pace,
}

/// Keeps one watcher for each configured base, until it is dropped itself.
pub(super) async fn watch(web: Arc<dyn Web>, clock: Clock, mut feeder: Feeder<VerifierDecide>) {
    let mut watchers: BTreeMap<String, Watcher> = BTreeMap::new();
    let paces = Arc::new(Paces::default());
    loop {
        let bases = configured(&feeder.config()).into_iter();
        let bases: BTreeMap<String, Configured> =
            bases.map(|base| (base.name.clone(), base)).collect();
        watchers.retain(|name, watcher| bases.get(name) == Some(&watcher.base));
        for base in bases.into_values() {
            if watchers.contains_key(&base.name) {
                continue;
            }
            let task = tokio::spawn(look_again(
                web.clone(),
                clock.clone(),
                feeder.clone(),
                base.clone(),
                paces.clone(),
            ));
            watchers.insert(
                base.name.clone(),
                Watcher {
                    base,
                    task: task.abort_handle(),
                },
            );
        }
        feeder.config_changed().await;
    }
}

async fn look_again(
    web: Arc<dyn Web>,
    clock: Clock,
    feeder: Feeder<VerifierDecide>,
    base: Configured,
    paces: Arc<Paces>,
) {
    let key = Key::new("base", &[&base.name]);
    let mut watch = Watch::default();
    let mut last_seen: Option<Timestamp> = None;
    loop {
        let settings = feeder.config().verifier.clone();
        let pace = match watch.is_silent() {
            true => &paces.missed,
            false => &paces.all,
        };
        pace.turn(settings.pause()).await;
        let next = Instant::now() + settings.poll;
        let arklet = Arklet::new(web.clone(), base.arklet.clone(), settings.health_timeout);
        let looked = tokio::try_join!(arklet.health(), arklet.modules());
        let report = match looked {
            Ok((health, modules)) => {
                let now = clock.now();
                last_seen = Some(now);
                let fact = match watch.looked(&modules) {
                    false => None,
                    true => match fact::read(feeder.hands(), &base.name).await {
                        Ok(fact) => Some(fact),
                        Err(error) => {
                            debug!(base = base.name, %error, "drift cannot be told now");
                            None
                        }
                    },
                };
                let drift = fact.as_ref().and_then(|fact| watch.compare(fact));
                let revisions = fact
                    .map(|fact| fact.modules.into_iter())
                    .into_iter()
                    .flatten()
                    .map(|(module, left)| (module, left.revision))
                    .collect();
                let seen = Seen {
                    base: base.name.clone(),
                    pool: base.pool.clone(),
                    environment: base.environment.clone(),
                    zone: base.zone.clone(),
                    modules,
                    metaspace_used: health.metaspace.map(|metaspace| metaspace.used),
                    metaspace_committed: health.metaspace.map(|metaspace| metaspace.committed),
                    metaspace_max: health.metaspace.and_then(|metaspace| metaspace.max),
                    at: now,
                    revisions,
                    sighting: 0,
                };
                Some(Outcome::Looked(Box::new(Looked { seen, drift })))
            }
            Err(Silent(why)) => {
                let misses = watch.missed();
                debug!(base = base.name, misses, why, "a look was missed");
                let missed = || Missed {
                    base: base.name.clone(),
                    pool: base.pool.clone(),
                    environment: base.environment.clone(),
                    last_seen,
                    why,
                };
                (misses >= settings.lost_after).then(|| Outcome::Missed(Box::new(missed())))
            }
        };
        if let Some(report) = report
            && let Err(fault) = feeder.report(&key, report).await
        {
            warn!(base = base.name, %fault, "what was seen could not be told");
        }
        tokio::time::sleep_until(next).await;
    }
}
