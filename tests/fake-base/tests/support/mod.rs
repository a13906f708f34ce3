//! What the tests of the fake base share: a client that speaks as Ferry does.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::time::Duration;

use ferry_ark::arklet::{
    InstallBiz, ProcessRecord, QueryBizOps, RecordOutcome, Reply, Request, UninstallBiz,
};
use ferry_fake_base::{FakeBase, FakeJar, Options};

/// Nothing here takes longer unless it hangs.
pub const SOON: Duration = Duration::from_secs(20);
/// How often a state is looked at while a test waits for it.
pub const POLL_EVERY: Duration = Duration::from_millis(2);
/// Long enough to be sure that no answer is coming, short enough for a test.
pub const NO_ANSWER: Duration = Duration::from_millis(400);

/// A base, a client for it and a folder for jars.
pub struct Rig {
    pub base: FakeBase,
    pub http: reqwest::Client,
    pub folder: tempfile::TempDir,
}

impl Rig {
    pub async fn honest() -> Self {
        Self::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Self {
        Self {
            base: FakeBase::start(options).await.unwrap(),
            http: client(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes the jar and gives its `file://` address.
    pub fn jar(&self, jar: &FakeJar) -> String {
        jar_url(self.folder.path(), jar)
    }

    pub async fn try_ask<R: Request>(&self, request: &R) -> Result<Reply, reqwest::Error> {
        let body = serde_json::to_string(request).unwrap();
        self.try_post(&R::COMMAND.path(), body).await
    }

    pub async fn ask<R: Request>(&self, request: &R) -> Reply {
        self.try_ask(request).await.unwrap()
    }

    pub async fn try_post(&self, path: &str, body: String) -> Result<Reply, reqwest::Error> {
        let url = format!("{}{path}", self.base.arklet_url);
        let reply = self.http.post(url).body(body).send().await?;
        assert_eq!(reply.status(), 200, "arklet answers 200 whatever happened");
        let bytes = reply.bytes().await?;
        if bytes.is_empty() {
            panic!("a reply without a body");
        }
        Ok(Reply::decode(&bytes).unwrap())
    }

    /// Installs synchronously.
    pub async fn install(&self, jar: &FakeJar) -> Reply {
        self.ask(&InstallBiz {
            biz_name: Some("any".to_owned()),
            biz_version: Some(jar_key(jar)),
            biz_url: Some(self.jar(jar)),
            ..InstallBiz::default()
        })
        .await
    }

    pub async fn uninstall(&self, name: &str, version: &str) -> Reply {
        self.ask(&UninstallBiz::synchronous(name, version)).await
    }

    /// Asks for the record until it is over.
    pub async fn outcome(&self, id: &str) -> RecordOutcome {
        let over = async {
            loop {
                let outcome = self.record(id).await.outcome();
                if outcome != RecordOutcome::Running {
                    return outcome;
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        tokio::time::timeout(SOON, over).await.unwrap()
    }

    pub async fn record(&self, id: &str) -> ProcessRecord {
        self.ask(&QueryBizOps::of(id))
            .await
            .process_record()
            .unwrap()
    }

    /// GETs a path of the modules' port.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.base.modules_url);
        let reply = self.http.get(url).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    /// `name version state` of each module.
    pub fn modules(&self) -> Vec<String> {
        let modules = self.base.modules();
        modules
            .iter()
            .map(|module| format!("{} {} {}", module.name, module.version, module.state))
            .collect()
    }
}

/// Without redirects and proxies; with the time-out that every client of
/// arklet needs.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(SOON)
        .build()
        .unwrap()
}

pub fn jar_url(folder: &Path, jar: &FakeJar) -> String {
    format!("file://{}", jar.write(folder).unwrap().display())
}

/// Distinct per jar, so that synchronous installs do not share a lock.
fn jar_key(jar: &FakeJar) -> String {
    format!("{}", jar.bytes().len())
}
