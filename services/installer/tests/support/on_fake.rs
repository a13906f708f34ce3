//! One installer and one bus, over a base in this process that lies when it is told to.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use ferry_ark::BizState;
use ferry_config::Config;
use ferry_events::{
    Reason,
    task::{Finished, Want},
};
use ferry_fake_base::{FakeBase, FakeJar};

use super::{BIZ, config, line::Line};

/// One base that lies, one installer, one bus.
pub struct OnFake {
    pub line: Line,
    pub base: FakeBase,
}

impl Deref for OnFake {
    type Target = Line;
    fn deref(&self) -> &Line {
        &self.line
    }
}

impl DerefMut for OnFake {
    fn deref_mut(&mut self) -> &mut Line {
        &mut self.line
    }
}

impl OnFake {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let base = FakeBase::start(ferry_fake_base::Options::default())
            .await
            .unwrap();
        let mut config = config(&[("pre-1", &base.arklet_url, &base.modules_url)]);
        config.installer.request_timeout = Duration::from_millis(300);
        config.installer.install_timeout = Duration::from_secs(3);
        config.installer.uninstall_timeout = Duration::from_secs(3);
        change(&mut config);
        let line = Line::start(&config).await;
        Self { line, base }
    }

    pub async fn web(&self, version: &str) -> Want {
        self.store(&FakeJar::new(BIZ, version).web("hello"), version)
            .await
    }

    pub fn on_base(&self) -> Vec<String> {
        let modules = self.base.modules();
        modules
            .iter()
            .map(|module| format!("{} {} {}", module.name, module.version, module.state))
            .collect()
    }

    pub async fn answer(&self) -> (u16, String) {
        let url = format!("{}/hello/", self.base.modules_url);
        let reply = reqwest::get(url).await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    /// Changes that the base made, in order, without its restarts.
    pub fn effects(&self) -> Vec<String> {
        let entries = self.base.ledger().entries();
        let changes = entries.iter().filter(|entry| entry.effect);
        changes
            .map(|entry| {
                format!(
                    "{} {}",
                    entry.command.as_str(),
                    entry.version.as_deref().unwrap_or("?")
                )
            })
            .collect()
    }
}

pub fn reason(finished: &Finished) -> Option<Reason> {
    finished.stop.as_ref().map(|stop| stop.reason)
}

pub fn active(version: &str) -> Vec<String> {
    vec![format!("{BIZ} {version} {}", BizState::Activated)]
}
