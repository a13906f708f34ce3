//! Carries out one intent: settle what was begun, fence, call, then look until it is over.
//!
//! In: an intent that stands in the committed record. Out: what the base shows. The reply to the call
//! decides nothing.

use std::time::Duration;

use chrono::TimeDelta;
use ferry_events::{
    Reason, Stop,
    task::{Requested, Want},
};
use ferry_runtime::Job;
use tokio::time::Instant;
use tracing::{debug, info};

use super::{
    Arklet, Grant, InstallerEffects, fence, limit_of,
    patience::{patience, patiently},
    prepare::settle,
};
use crate::decide::{
    ActEnd, Aim, Change, Intent, Look, Present, Recorded, Verdict, Work, is_download, judge,
};

/// The shortest pause between two looks: an uninstall takes 20 ms.
const LOOK_SOON: Duration = Duration::from_millis(5);
/// The longest: a look costs a starting base two connections.
pub(super) const LOOK_LATE: Duration = Duration::from_millis(50);

/// A look, and since when it has been the same.
struct Steady {
    look: Option<Look>,
    since: Instant,
}

impl Steady {
    fn new() -> Self {
        Self {
            look: None,
            since: Instant::now(),
        }
    }

    fn take(&mut self, look: Look) -> (&Look, Duration) {
        if self.look.as_ref() != Some(&look) {
            self.since = Instant::now();
        }
        (self.look.insert(look), self.since.elapsed())
    }
}

impl InstallerEffects {
    pub(super) async fn act(
        &self,
        arklet: &Arklet,
        job: &Job<Work>,
        task: &Requested,
        intent: &Intent,
    ) -> ActEnd {
        let limit = limit_of(&intent.change, &job.config.installer);
        if let Change::Explain { want } = &intent.change {
            return self.explain(arklet, job, task, intent, want).await;
        }
        if job.attempt > 1 {
            // Someone was at it before, and may be still: frozen between fence and call.
            info!(base = task.base, request = %intent.request, "an intent is settled");
            match patiently(self.silence, &intent.request.to_string(), || {
                settle(arklet, intent)
            })
            .await
            {
                Ok(Recorded::Unknown) => {
                    let stop = Stop::new(
                        Reason::InstallUnclear,
                        "the base does not keep used request ids",
                    );
                    return ActEnd::Silent { stop };
                }
                Ok(_) => return self.follow(arklet, intent, limit).await,
                Err(error) => return ActEnd::Silent { stop: error.stop() },
            }
        }
        let url = match &intent.change {
            Change::Uninstall { .. } => None,
            Change::Install { want } | Change::Explain { want } => {
                match self.artifact(job, task, intent, want) {
                    Some(url) => Some((want, url)),
                    None => return self.not_serving(arklet, intent).await,
                }
            }
        };
        if !fence::wait_in_force(&self.hands, &task.module, &task.environment, &intent.plan).await {
            return self.outdated(arklet, intent, limit).await;
        }
        let asked = Instant::now();
        let called = match url {
            None => {
                arklet
                    .uninstall(&intent.biz, intent.version(), intent.request)
                    .await
            }
            Some((want, url)) => {
                arklet
                    .install(&intent.biz, &want.version, &url, intent.request)
                    .await
            }
        };
        match &called {
            Ok(reply) => {
                debug!(base = task.base, request = %intent.request, code = %reply.code, "asked")
            }
            Err(error) => {
                info!(base = task.base, request = %intent.request, %error, "no reply; looking what came of it");
            }
        }
        let installs = matches!(intent.change, Change::Install { .. });
        if installs && called.is_ok() {
            tokio::time::sleep(self.paces.too_early(&intent.biz).min(limit)).await;
        }
        let end = self.follow(arklet, intent, limit).await;
        if installs && matches!(end, ActEnd::Done { .. }) {
            self.paces.took(&intent.biz, asked.elapsed());
        }
        end
    }

    /// The plan changed since the intent was committed. A call of whoever had it in hand before a drain may
    /// still be on its way, so its id is used up all the same.
    async fn outdated(&self, arklet: &Arklet, intent: &Intent, limit: Duration) -> ActEnd {
        match patiently(self.silence, &intent.request.to_string(), || {
            settle(arklet, intent)
        })
        .await
        {
            Ok(Recorded::Burnt) => ActEnd::Outdated,
            Ok(_) => self.follow(arklet, intent, limit).await,
            Err(error) => ActEnd::Silent { stop: error.stop() },
        }
    }

    pub(super) async fn not_serving(&self, arklet: &Arklet, intent: &Intent) -> ActEnd {
        let why = "the installer's artifact server does not listen; its log says why";
        match arklet.observe(&intent.biz).await {
            Ok(seen) => ActEnd::Void {
                why: why.to_owned(),
                seen,
            },
            Err(error) => ActEnd::Silent { stop: error.stop() },
        }
    }

    /// The address of a jar, signed for this intent.
    pub(super) fn artifact(
        &self,
        job: &Job<Work>,
        task: &Requested,
        intent: &Intent,
        want: &Want,
    ) -> Option<url::Url> {
        let served = self.served.borrow().clone()?;
        let ttl = TimeDelta::from_std(job.config.installer.url_ttl).unwrap_or(TimeDelta::MAX);
        let grant = Grant {
            task: task.task.0,
            request: intent.request,
            plan: task.plan.clone(),
            base: task.base.clone(),
            module: task.module.clone(),
            environment: task.environment.clone(),
            expires: (self.clock.now() + ttl).timestamp(),
        };
        Some(self.signer.url(&served, &want.digest, &grant))
    }

    /// Looks until the change is over; at the deadline once more.
    pub(super) async fn follow(&self, arklet: &Arklet, intent: &Intent, limit: Duration) -> ActEnd {
        let aim = match &intent.change {
            Change::Uninstall { version } => Aim::Gone(version),
            Change::Install { want } | Change::Explain { want } => Aim::Active(&want.version),
        };
        let began = Instant::now();
        let mut steady = Steady::new();
        let mut patience = patience(self.silence, &intent.request.to_string());
        loop {
            let last = began.elapsed() >= limit;
            let look = match arklet.look(&intent.biz, intent.request).await {
                Ok(look) => look,
                Err(error) => match patience.pause().filter(|_| !last) {
                    Some(pause) => {
                        debug!(request = %intent.request, %error, "the base is silent");
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    None => return ActEnd::Silent { stop: error.stop() },
                },
            };
            patience.renew();
            let (look, still) = steady.take(look);
            let seen = look.seen.clone();
            match judge(aim, look, still) {
                Verdict::Done => return ActEnd::Done { seen },
                // The jar did not reach the base: that says nothing of the module.
                Verdict::Failed(stop)
                    if is_download(&stop.detail) && !self.fetched.has(intent.request) =>
                {
                    let why = format!("the base could not fetch the jar: {}", stop.detail);
                    return ActEnd::Void { why, seen };
                }
                Verdict::Failed(stop) => return ActEnd::Failed { stop, seen },
                Verdict::Untold => return ActEnd::Untold { seen },
                Verdict::Void(why) => return ActEnd::Void { why, seen },
                Verdict::Burn => {
                    match patiently(self.silence, &intent.request.to_string(), || {
                        settle(arklet, intent)
                    })
                    .await
                    {
                        Ok(_) => {}
                        Err(error) => return ActEnd::Silent { stop: error.stop() },
                    }
                }
                Verdict::Wait => {}
            }
            if last {
                return ActEnd::Late {
                    stop: late(intent, &look.seen, limit),
                    seen,
                };
            }
            tokio::time::sleep((began.elapsed() / 20).clamp(LOOK_SOON, LOOK_LATE)).await;
        }
    }
}

pub(super) fn late(intent: &Intent, seen: &[Present], limit: Duration) -> Stop {
    let version = intent.version();
    let state = seen.iter().find(|present| present.version == version);
    let shown = state.map_or_else(
        || "not there".to_owned(),
        |present| present.state.to_string(),
    );
    let what = intent.step.as_str();
    Stop::new(
        Reason::BaseTimeout,
        format!(
            "{what} of {version} is not over after {}; it is {shown}",
            humantime::format_duration(limit)
        ),
    )
}
