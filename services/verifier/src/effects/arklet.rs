//! Arklet, read only: which modules are there, and how the base does.
//!
//! In: a base's address. Out: what it shows, or why it does not answer.

use std::time::Duration;

use ferry_ark::arklet::{Health, HealthQuery, QueryAllBiz, Reply, Request};
use ferry_events::base::ModuleOnBase;
use url::Url;

/// The longest reply that is read: a thousand modules take a tenth of it.
const REPLY_MAX: usize = 4 << 20;

/// Why there is no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Silent(pub(super) String);

#[derive(Clone)]
pub(super) struct Arklet {
    http: reqwest::Client,
    url: Url,
    timeout: Duration,
}

/// The innermost cause: reqwest's own words only repeat the address.
pub(super) fn cause(error: &reqwest::Error, timeout: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {}", humantime::format_duration(timeout));
    }
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

impl Arklet {
    pub(super) fn new(http: reqwest::Client, url: Url, timeout: Duration) -> Self {
        Self { http, url, timeout }
    }

    async fn call<R: Request + Sync>(&self, request: &R) -> Result<Reply, Silent> {
        let silent = |error: reqwest::Error| Silent(cause(&error, self.timeout));
        let mut url = self.url.clone();
        url.set_path(&format!(
            "{}{}",
            url.path().trim_end_matches('/'),
            R::COMMAND.path()
        ));
        let mut response = self
            .http
            .post(url)
            .timeout(self.timeout)
            .json(request)
            .send()
            .await
            .map_err(silent)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(silent)? {
            body.extend_from_slice(&chunk);
            if body.len() > REPLY_MAX {
                return Err(Silent(format!("a reply of more than {REPLY_MAX} bytes")));
            }
        }
        if body.is_empty() {
            return Err(Silent("the connection was closed without a reply".into()));
        }
        Reply::decode(&body).map_err(|error| Silent(error.to_string()))
    }

    /// All modules, sorted.
    pub(super) async fn modules(&self) -> Result<Vec<ModuleOnBase>, Silent> {
        let reply = self.call(&QueryAllBiz {}).await?;
        let all = reply.bizs().ok_or_else(|| {
            Silent(
                reply
                    .reason()
                    .unwrap_or_else(|| "the reply holds no list of modules".into()),
            )
        })?;
        let mut modules: Vec<ModuleOnBase> = all
            .into_iter()
            .map(|one| ModuleOnBase {
                name: one.name,
                version: one.version,
                state: one.state.to_string(),
            })
            .collect();
        modules.sort();
        Ok(modules)
    }

    /// How the base does.
    pub(super) async fn health(&self) -> Result<Health, Silent> {
        let reply = self.call(&HealthQuery::default()).await?;
        reply.health().ok_or_else(|| {
            Silent(
                reply
                    .reason()
                    .unwrap_or_else(|| "the reply holds no health".into()),
            )
        })
    }
}
