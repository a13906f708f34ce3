//! Arklet over HTTP: one connection a call, because it closes each; every call with a time-out, because
//! some are never answered.
//!
//! In: typed requests. Out: replies, or why there is none. A reply is a hint: look afterwards.

use std::{sync::Arc, time::Duration};

use ferry_ark::arklet::{
    HealthQuery, InstallBiz, QueryAllBiz, QueryBizOps, RecordOutcome, Reply, ReplyCode, ReplyError,
    Request, UninstallBiz,
};
use ferry_events::{Reason, Stop};
use ferry_web::{Ask, Unanswered, Web};
use url::Url;
use uuid::Uuid;

use super::redact::redact;
use crate::decide::{Look, Present, Recorded};

/// The longest reply that is read: a thousand modules take a tenth of it.
const REPLY_MAX: usize = 4 << 20;
/// The prefix of a version that no module has, under which request ids are used up.
const BURN: &str = "burnt-by-ferry-";

/// Why a call has no reply. What was asked may have happened all the same.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection, or one that broke.
    #[error("{0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// Something answered that is not arklet.
    #[error(transparent)]
    NotArklet(#[from] ReplyError),
}

impl CallError {
    /// The stop of a task that met it for too long.
    pub fn stop(&self) -> Stop {
        let reason = match self {
            Self::TimedOut(_) => Reason::BaseTimeout,
            Self::Unreachable(_) | Self::NotArklet(_) => Reason::BaseUnreachable,
        };
        Stop::new(reason, self.to_string())
    }
}

/// One base's arklet.
#[derive(Clone)]
pub struct Arklet {
    web: Arc<dyn Web>,
    url: Url,
    timeout: Duration,
}

impl Arklet {
    /// Arklet at an address.
    pub fn new(web: Arc<dyn Web>, url: Url, timeout: Duration) -> Self {
        Self { web, url, timeout }
    }

    async fn call<R: Request + Sync>(&self, request: &R) -> Result<Reply, CallError> {
        self.call_within(self.timeout, request).await
    }

    async fn call_within<R: Request + Sync>(
        &self,
        timeout: Duration,
        request: &R,
    ) -> Result<Reply, CallError> {
        let mut url = self.url.clone();
        url.set_path(&format!(
            "{}{}",
            url.path().trim_end_matches('/'),
            R::COMMAND.path()
        ));
        let ask = Ask {
            url,
            json: Some(serde_json::to_vec(request).expect("a request is always JSON")),
            headers: Default::default(),
            timeout,
            body_max: REPLY_MAX,
        };
        let answer = self.web.ask(ask).await.map_err(|why| match why {
            Unanswered::TimedOut(limit) => CallError::TimedOut(limit),
            Unanswered::Broken(why) => CallError::Unreachable(why),
        })?;
        if !answer.whole {
            let why = format!("a reply of more than {REPLY_MAX} bytes");
            return Err(CallError::Unreachable(why));
        }
        if answer.body.is_empty() {
            let why = "the connection was closed without a reply";
            return Err(CallError::Unreachable(why.into()));
        }
        Ok(Reply::decode(&answer.body)?)
    }

    /// The versions of a module.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn observe(&self, biz: &str) -> Result<Vec<Present>, CallError> {
        let reply = self.call(&QueryAllBiz {}).await?;
        let all = reply.bizs().ok_or_else(|| {
            CallError::Unreachable(
                reply
                    .reason()
                    .unwrap_or_else(|| "no list of modules".into()),
            )
        })?;
        let mut seen: Vec<Present> = all
            .into_iter()
            .filter(|one| one.name == biz)
            .map(|one| Present {
                version: one.version,
                state: one.state,
                web: one.web_context_path.is_some(),
            })
            .collect();
        seen.sort();
        Ok(seen)
    }

    /// Metaspace that the base has taken from the system, in bytes, where it tells.
    pub async fn metaspace(&self) -> Option<u64> {
        let reply = self.call(&HealthQuery::default()).await.ok()?;
        Some(reply.health()?.metaspace?.committed)
    }

    /// What the base remembers of a request.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn recorded(&self, request: Uuid) -> Result<Recorded, CallError> {
        let reply = self.call(&QueryBizOps::of(request.to_string())).await?;
        let Some(record) = reply.process_record() else {
            // Seen on 2.1.6: the record is there, but its exception cannot be written as JSON.
            return Ok(match reply.code {
                ReplyCode::CmdProcessInternalError => Recorded::Untold,
                _ => Recorded::Unknown,
            });
        };
        if record
            .biz_version
            .as_deref()
            .is_some_and(|version| version.starts_with(BURN))
        {
            return Ok(Recorded::Burnt);
        }
        Ok(match record.outcome() {
            RecordOutcome::Running => Recorded::Running,
            RecordOutcome::Succeeded => Recorded::Succeeded,
            RecordOutcome::Failed(why) => Recorded::Failed(redact(&why)),
            RecordOutcome::Refused(why) => Recorded::Refused(redact(&why)),
        })
    }

    /// One look: the module's versions, and what the base remembers of the request.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn look(&self, biz: &str, request: Uuid) -> Result<Look, CallError> {
        // The memory first: what is shown is then the newer of the two.
        let recorded = self.recorded(request).await?;
        Ok(Look {
            seen: self.observe(biz).await?,
            recorded,
        })
    }

    /// Asks for an installation. Always named, versioned and asynchronous: any other way stalls the base.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn install(
        &self,
        biz: &str,
        version: &str,
        url: &Url,
        request: Uuid,
    ) -> Result<Reply, CallError> {
        self.call(&InstallBiz::asynchronous(
            biz,
            version,
            url.as_str(),
            request.to_string(),
        ))
        .await
    }

    /// Installs by a call that waits for the outcome: its reply tells every cause. It holds one of the
    /// base's event loops meanwhile, so it is for what an asynchronous one cannot tell.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn install_and_wait(
        &self,
        biz: &str,
        version: &str,
        url: &Url,
        within: Duration,
    ) -> Result<Reply, CallError> {
        let install = InstallBiz {
            biz_name: Some(biz.to_owned()),
            biz_version: Some(version.to_owned()),
            biz_url: Some(url.to_string()),
            ..InstallBiz::default()
        };
        self.call_within(within, &install).await
    }

    /// Asks for an uninstallation, asynchronous.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn uninstall(
        &self,
        biz: &str,
        version: &str,
        request: Uuid,
    ) -> Result<Reply, CallError> {
        self.call(&UninstallBiz::asynchronous(
            biz,
            version,
            request.to_string(),
        ))
        .await
    }

    /// Uses a request id up: whatever comes later under it is refused by the base.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn burn(&self, biz: &str, request: Uuid) -> Result<Reply, CallError> {
        let version = format!("{BURN}{request}");
        self.call(&UninstallBiz::asynchronous(
            biz,
            version,
            request.to_string(),
        ))
        .await
    }
}
