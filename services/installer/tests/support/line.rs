//! One installer and one bus, for a base of any kind.

use std::{sync::Arc, time::Duration};

use ferry_bus::{Bus, MemoryBus, Start, User, Write, config_store};
use ferry_config::Config;
use ferry_events::{
    Body, Event, Service, TaskId,
    fact::BaseRecord,
    subject,
    task::{Finished, Requested, Want},
};
use ferry_fake_base::FakeJar;
use ferry_installer::{InstallerDecide, InstallerEffects};
use ferry_runtime::{Clock, Hands, Running, Settings};
use futures::StreamExt;

use super::{BASE, BIZ, event, in_force, plan, store, task};

/// How long a test waits for what must come.
pub const WAIT: Duration = Duration::from_secs(60);
/// How long a silent base is waited for here.
pub const SILENCE: Duration = Duration::from_millis(800);

/// One installer and one bus.
pub struct Line {
    pub bus: MemoryBus,
    pub number: u64,
    pub data: tempfile::TempDir,
    clock: Clock,
    pub services: Vec<Running>,
}

impl Line {
    pub async fn start(config: &Config) -> Self {
        Self::with_clock(config, Clock::wall()).await
    }

    /// With another clock for the expiry of addresses.
    pub async fn with_clock(config: &Config, clock: Clock) -> Self {
        let bus = MemoryBus::default();
        let json = serde_json::to_vec(config).unwrap();
        config_store::put(&bus, json.into(), 0).await.unwrap();
        let data = tempfile::tempdir().unwrap();
        let mut line = Self {
            bus,
            number: 0,
            data,
            clock,
            services: Vec::new(),
        };
        line.run(Settings::default()).await;
        line
    }

    /// One more installer.
    pub async fn run(&mut self, settings: Settings) {
        let bus: Arc<dyn Bus> = Arc::new(self.bus.as_user(User::Service(Service::Installer)));
        let folder = self.data.path().join(self.services.len().to_string());
        let effects = InstallerEffects::new(Hands::new(bus.clone()), &folder)
            .unwrap()
            .with_silence_limit(SILENCE)
            .with_clock(self.clock.clone());
        self.services
            .push(ferry_runtime::run(InstallerDecide, effects, bus, settings).await);
    }

    /// Stores a jar.
    pub async fn store(&self, jar: &FakeJar, version: &str) -> Want {
        self.store_bytes(&jar.bytes(), version).await
    }

    pub async fn store_bytes(&self, bytes: &[u8], version: &str) -> Want {
        store(&self.bus, self.data.path(), bytes, version).await
    }

    /// Puts a plan in force and asks for its task, as the scheduler does it: in one batch.
    pub async fn ask(&mut self, name: &str, want: Option<Want>, restore: Option<Want>) -> TaskId {
        self.ask_of(BIZ, name, want, restore).await
    }

    async fn ask_of(
        &mut self,
        biz: &str,
        name: &str,
        want: Option<Want>,
        restore: Option<Want>,
    ) -> TaskId {
        let plan = plan(name);
        let task = Requested {
            biz: biz.to_owned(),
            ..task(BASE, &plan, want, restore)
        };
        let id = task.task;
        self.number += 1;
        let writes = vec![
            in_force(Some(&plan)),
            Write::event(&event(self.number, task)),
        ];
        self.bus.commit(writes.into()).await.unwrap();
        id
    }

    /// The same for a module that the base knows under another name, to its end.
    pub async fn deploy_biz(
        &mut self,
        biz: &str,
        name: &str,
        want: Option<Want>,
        restore: Option<Want>,
    ) -> Finished {
        let task = self.ask_of(biz, name, want, restore).await;
        self.finished(task).await
    }

    pub async fn finished(&self, task: TaskId) -> Finished {
        let filter = subject::events_of(ferry_events::Kind::TaskFinished);
        let mut events = self
            .bus
            .watch(subject::STREAM, vec![filter], Start::First)
            .await
            .unwrap();
        let wait = async {
            loop {
                let message = events.next().await.unwrap().unwrap();
                if let Body::TaskFinished(it) = Event::decode(&message.payload).unwrap().body
                    && it.task == task
                {
                    return *it;
                }
            }
        };
        tokio::time::timeout(WAIT, wait)
            .await
            .expect("the task ends")
    }

    pub async fn deploy(
        &mut self,
        name: &str,
        want: Option<Want>,
        restore: Option<Want>,
    ) -> Finished {
        let task = self.ask(name, want, restore).await;
        self.finished(task).await
    }

    pub async fn fact(&self) -> BaseRecord {
        let record = self
            .bus
            .read(&subject::base_fact("pre-1"))
            .await
            .unwrap()
            .unwrap();
        serde_json::from_slice(&record.payload).unwrap()
    }
}
