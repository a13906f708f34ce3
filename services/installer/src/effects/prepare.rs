//! Before anything is touched: what the base shows, what still may arrive there, and the jars in hand.
//!
//! In: a task and the unsettled intents of others. Out: the module's versions, or why the task ends here.

use std::time::Duration;

use ferry_config::Installer;
use ferry_events::{
    Reason, Stop,
    task::{Requested, Want},
};
use ferry_runtime::{Done, Failure};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Arklet, CacheError, CallError, InstallerEffects, cache::with_file, fence, millis,
    patience::patiently,
};
use crate::decide::{ActEnd, Intent, Prepared, PreparedEnd, Present, Recorded};

/// How long the artifact server may take to listen after the service's start.
const LISTEN_LIMIT: Duration = Duration::from_secs(10);
/// How long after a burn the base is looked at again: two requests at the very same moment can both be
/// taken, and then the other one shows by then.
const LOOK_AFTER_BURN: Duration = Duration::from_millis(50);

impl InstallerEffects {
    pub(super) async fn prepare(
        &self,
        arklet: &Arklet,
        task: &Requested,
        unsettled: &[Intent],
        installer: &Installer,
    ) -> Done<Prepared> {
        let began = Instant::now();
        let mut prepared = Prepared {
            end: PreparedEnd::Outdated,
            settled: false,
            observe_ms: 0,
            fetch_ms: None,
        };
        let fenced = fence::wait_in_force(&self.hands, &task.module, &task.environment, &task.plan);
        if !fenced.await {
            return prepared.into();
        }
        // The jar comes while the base is looked at; it is waited for only where it is wanted then.
        let looks = self.settle_and_observe(arklet, task, unsettled, installer);
        let jars = self.jars(task);
        tokio::pin!(looks, jars);
        let mut come = None;
        let seen = loop {
            tokio::select! {
                biased;
                seen = &mut looks => break seen,
                got = &mut jars, if come.is_none() => come = Some(got),
            }
        };
        prepared.observe_ms = millis(began.elapsed());
        let seen = match seen {
            Ok(seen) => seen,
            Err(stop) => {
                prepared.end = PreparedEnd::Failed { stop, seen: None };
                return prepared.into();
            }
        };
        prepared.settled = true;
        if is_right(task, &seen) {
            prepared.end = PreparedEnd::Ready {
                seen,
                restorable: false,
            };
            return prepared.into();
        }
        let began = Instant::now();
        let jars = match come {
            Some(jars) => jars,
            None => jars.await,
        };
        prepared.end = match jars {
            Ok(restorable) => PreparedEnd::Ready { seen, restorable },
            // The store is silent and nothing was touched: no reason yet to turn a rollout back.
            Err(Failure::Again(stop)) => return Done::Again(stop),
            Err(failure) => PreparedEnd::Failed {
                stop: failure.into_stop(),
                seen: Some(seen),
            },
        };
        if task.want.is_some() {
            prepared.fetch_ms = Some(millis(began.elapsed()));
        }
        prepared.into()
    }

    /// Makes sure that nothing of an earlier task can arrive any more, then looks. What the base has taken
    /// and not ended is waited for, because its effect would come after those of this task: as long as one
    /// installation may take. What hangs for longer is left; a look finds what it does in the end.
    async fn settle_and_observe(
        &self,
        arklet: &Arklet,
        task: &Requested,
        unsettled: &[Intent],
        installer: &Installer,
    ) -> Result<Vec<Present>, Stop> {
        let until = Instant::now() + installer.install_timeout;
        for intent in unsettled {
            patiently(self.silence, &task.base, || settle(arklet, intent))
                .await
                .map_err(|error| error.stop())?;
            let left = until.saturating_duration_since(Instant::now());
            match self.follow(arklet, intent, left).await {
                ActEnd::Late { stop, .. } => {
                    warn!(base = task.base, request = %intent.request, why = stop.detail, "what was asked before hangs; it is left");
                }
                ActEnd::Silent { stop } => return Err(stop),
                ActEnd::Done { .. }
                | ActEnd::Failed { .. }
                | ActEnd::Untold { .. }
                | ActEnd::Void { .. }
                | ActEnd::Outdated => {}
            }
        }
        patiently(self.silence, &task.base, || arklet.observe(&task.biz))
            .await
            .map_err(|error| error.stop())
    }

    /// The wanted jar in hand and checked; then whether the one to put back is.
    async fn jars(&self, task: &Requested) -> Result<bool, Failure> {
        let Some(want) = &task.want else {
            return Ok(false);
        };
        let mut served = self.served.subscribe();
        let listens = async { served.wait_for(Option::is_some).await.is_ok() };
        if !tokio::time::timeout(LISTEN_LIMIT, listens)
            .await
            .unwrap_or(false)
        {
            let why = "the installer's artifact server does not listen; its log says why";
            return Err(Failure::OurFault(why.to_owned()));
        }
        self.jar(task, want).await?;
        let Some(restore) = &task.restore else {
            return Ok(false);
        };
        match self.cache.fetch(&restore.digest).await {
            Ok(_) => Ok(true),
            // A jar that is gone for good must not block what comes after it.
            Err(CacheError::Missing(why) | CacheError::Damaged(why)) => {
                info!(
                    base = task.base,
                    module = task.module,
                    why,
                    "nothing can be put back if this fails"
                );
                Ok(false)
            }
            Err(error) => Err(error.failure()),
        }
    }

    async fn jar(&self, task: &Requested, want: &Want) -> Result<(), Failure> {
        let jar = self
            .cache
            .fetch(&want.digest)
            .await
            .map_err(|error| error.failure())?;
        let found = with_file(jar, super::cache::identity)
            .await
            .map_err(|error| Failure::OurFault(error.to_string()))??;
        let (name, version) = found;
        if name != task.biz || version != want.version {
            let why = format!(
                "the jar {} is {name} {version}, not {} {}",
                want.digest.short(),
                task.biz,
                want.version
            );
            return Err(Stop::new(Reason::JarRefused, why).into());
        }
        Ok(())
    }
}

/// Whether the base is exactly as the task wants it.
fn is_right(task: &Requested, seen: &[Present]) -> bool {
    match (&task.want, seen) {
        (None, []) => true,
        (Some(want), [one]) => one.state.is_active() && one.version == want.version,
        _ => false,
    }
}

/// Makes an intent's request id useless, unless the base has taken it already. Then its effect shows, or
/// will, and nothing more can come of it.
pub(super) async fn settle(arklet: &Arklet, intent: &Intent) -> Result<Recorded, CallError> {
    let known = arklet.recorded(intent.request).await?;
    if known != Recorded::Unknown {
        return Ok(known);
    }
    info!(request = %intent.request, step = intent.step.as_str(), "a request id is used up");
    arklet.burn(&intent.biz, intent.request).await?;
    tokio::time::sleep(LOOK_AFTER_BURN).await;
    arklet.recorded(intent.request).await
}
