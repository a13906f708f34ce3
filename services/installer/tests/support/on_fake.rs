//! One installer and one bus, over a base in this process that lies when it is told to.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use ferry_ark::BizState;
use ferry_config::Config;
use ferry_events::{
    Reason, TaskId,
    task::{Finished, Want},
};
use ferry_fake_base::{Entry, FakeBase, FakeJar, Faults};

use super::{
    BIZ, config,
    line::{Line, WAIT},
};

/// A task in hand whose install the base has begun and cannot end.
pub struct Hanging {
    /// What was on the base before, and is to be restored.
    pub before: Want,
    pub task: TaskId,
    /// The request id of the install.
    pub request: String,
}

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
        self.store(&web(version), version).await
    }

    /// Version 1 is on the base, version 2 is asked for, and its install hangs by this fault.
    pub async fn hanging(
        &mut self,
        jar: impl Fn(&str) -> FakeJar,
        fault: impl FnOnce(&mut Faults),
    ) -> Hanging {
        let before = self.store(&jar("1"), "1").await;
        let done = self.deploy("one", Some(before.clone()), None).await;
        assert_eq!(done.stop, None);
        let two = self.store(&jar("2"), "2").await;
        self.base.faults().set(fault);
        let task = self.ask("two", Some(two), Some(before.clone())).await;
        let request = self.asked(task).await;
        Hanging {
            before,
            task,
            request,
        }
    }

    /// Waits until the base was asked for the first install of a task.
    pub async fn asked(&self, task: TaskId) -> String {
        let request = task.request("install", 1).to_string();
        let asked = |entry: &Entry| entry.request_id.as_deref() == Some(&*request);
        self.base
            .ledger()
            .wait_for(WAIT, asked)
            .await
            .expect("the install is asked for");
        request
    }

    /// An honest base again, which comes to the end of what it had begun.
    pub async fn let_go(&self, request: &str) -> Entry {
        self.base.faults().clear();
        let ended = self.base.ledger().wait_ended(WAIT, request).await;
        ended.expect("what was begun ends")
    }

    /// The way back of a rollout, or a repair: whatever is there makes way.
    pub async fn goes_back(&mut self, before: Want) {
        let back = self.deploy("back", Some(before), None).await;
        assert_eq!((back.stop.as_ref(), self.on_base()), (None, active("1")));
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

/// A jar with a path on the web.
pub fn web(version: &str) -> FakeJar {
    FakeJar::new(BIZ, version).web("hello")
}

pub fn reason(finished: &Finished) -> Option<Reason> {
    finished.stop.as_ref().map(|stop| stop.reason)
}

pub fn active(version: &str) -> Vec<String> {
    vec![format!("{BIZ} {version} {}", BizState::Activated)]
}
