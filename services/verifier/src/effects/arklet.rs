//! Arklet, read only: which modules are there, and how the base does.
//!
//! In: a base's address. Out: what it shows, or why it does not answer.

use std::{sync::Arc, time::Duration};

use ferry_ark::arklet::{Health, HealthQuery, QueryAllBiz, Reply, Request};
use ferry_events::base::ModuleOnBase;
use ferry_web::{Ask, Web};
use url::Url;

/// The longest reply that is read: a thousand modules take a tenth of it.
const REPLY_MAX: usize = 4 << 20;

/// Why there is no answer, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Silent(pub(super) String);

#[derive(Clone)]
pub(super) struct Arklet {
    web: Arc<dyn Web>,
    url: Url,
    timeout: Duration,
}

impl Arklet {
    pub(super) fn new(web: Arc<dyn Web>, url: Url, timeout: Duration) -> Self {
        Self { web, url, timeout }
    }

    async fn call<R: Request + Sync>(&self, request: &R) -> Result<Reply, Silent> {
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
            timeout: self.timeout,
            body_max: REPLY_MAX,
        };
        let answer = self.web.ask(ask).await;
        let answer = answer.map_err(|why| Silent(why.to_string()))?;
        if !answer.whole {
            return Err(Silent(format!("a reply of more than {REPLY_MAX} bytes")));
        }
        if answer.body.is_empty() {
            return Err(Silent("the connection was closed without a reply".into()));
        }
        Reply::decode(&answer.body).map_err(|error| Silent(error.to_string()))
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
