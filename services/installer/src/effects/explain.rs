//! Installs by a synchronous call, to learn why the version does not start.
//!
//! In: an intent that follows a failure without a cause. Out: what the base shows, and the cause. Arklet
//! takes no request id for such a call, so what fences it is the address of its jar: it is served only
//! while this very intent is in hand.

use ferry_events::{
    Reason, Stop,
    task::{Requested, Want},
};
use ferry_runtime::Job;
use tokio::time::Instant;
use tracing::info;

use super::{
    Arklet, InstallerEffects,
    act::{LOOK_LATE, late},
    fence, limit_of,
    patience::patiently,
    redact::redact,
};
use crate::decide::{ActEnd, Intent, Present, Work, is_download};

impl InstallerEffects {
    pub(super) async fn explain(
        &self,
        arklet: &Arklet,
        job: &Job<Work>,
        task: &Requested,
        intent: &Intent,
        want: &Want,
    ) -> ActEnd {
        let limit = limit_of(&intent.change, &job.config.installer);
        let Some(url) = self.artifact(job, task, intent, want) else {
            return self.not_serving(arklet, intent).await;
        };
        let began = Instant::now();
        let mut cause = None;
        // Whoever takes this over does not ask again: the call may have been made.
        if job.attempt == 1 {
            let (module, environment) = (&task.module, &task.environment);
            if !fence::wait_in_force(&self.hands, module, environment, &intent.plan).await {
                return ActEnd::Outdated;
            }
            info!(
                base = task.base,
                module, "the base is asked why the module does not start"
            );
            match arklet
                .install_and_wait(&intent.biz, &want.version, &url, limit)
                .await
            {
                Ok(reply) => cause = reply.reason().map(|why| redact(&why)),
                Err(error) => info!(base = task.base, %error, "no reply; looking what came of it"),
            }
        }
        let seen = loop {
            let seen =
                match patiently(self.silence, &task.base, || arklet.observe(&intent.biz)).await {
                    Ok(seen) => seen,
                    Err(error) => return ActEnd::Silent { stop: error.stop() },
                };
            if !is_starting(&seen, &want.version) {
                break seen;
            }
            if began.elapsed() >= limit {
                let stop = late(intent, &seen, limit);
                return ActEnd::Late { stop, seen };
            }
            tokio::time::sleep(LOOK_LATE).await;
        };
        let is_there = |one: &Present| one.state.is_active() && one.version == want.version;
        match cause {
            _ if seen.iter().any(is_there) => ActEnd::Done { seen },
            Some(why) if is_download(&why) && !self.fetched.has(intent.request) => {
                let why = format!("the base could not fetch the jar: {why}");
                ActEnd::Void { why, seen }
            }
            Some(why) => {
                let stop = Stop::new(Reason::InstallFailed, why);
                ActEnd::Failed { stop, seen }
            }
            None => ActEnd::Untold { seen },
        }
    }
}

fn is_starting(seen: &[Present], version: &str) -> bool {
    let starting = |one: &Present| one.state == ferry_ark::BizState::Resolved;
    seen.iter()
        .any(|one| one.version == version && starting(one))
}
