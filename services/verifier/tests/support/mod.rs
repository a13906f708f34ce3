//! What the verifier's tests share: requests, a configuration, a line with one base.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ferry_ark::arklet::{Command, InstallBiz, UninstallBiz};
use ferry_bus::{Bus, MemoryBus, Start, User, Write, config_store};
use ferry_config::{Base, Config, Pool};
use ferry_events::{
    Body, Digest, Event, EventId, Kind, PlanId, RunId, Scope, Service, TaskId, Timestamp,
    fact::{BaseRecord, Left},
    subject,
    verify::{Finished, Probe, Requested},
};
use ferry_fake_base::{FakeBase, FakeJar};
use ferry_runtime::{Hands, Running, Settings};
use ferry_verifier::{VerifierDecide, VerifierEffects};
use futures::StreamExt;
use uuid::Uuid;

pub const ENVIRONMENT: &str = "pre";
pub const MODULE: &str = "hello";
pub const BIZ: &str = "hello-biz";
pub const BASE: &str = "pre-1";
/// How long a test waits for what must come.
pub const WAIT: Duration = Duration::from_secs(20);

pub fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn plan(name: &str) -> PlanId {
    Digest::of(name.as_bytes())
}

pub fn probe() -> Probe {
    Probe {
        path: "/hello/".into(),
        status: 200,
        contains: None,
        timeout_ms: 500,
        deadline_ms: 600,
        interval_ms: 20,
    }
}

pub fn requested(
    version: Option<&str>,
    revision: u64,
    probe: Option<Probe>,
    soak_ms: u64,
) -> Requested {
    let plan = plan("p");
    Requested {
        observation: Uuid::from_u128(7),
        task: TaskId::of(&plan, BASE),
        plan,
        run: RunId(Uuid::nil()),
        module: MODULE.into(),
        environment: ENVIRONMENT.into(),
        base: BASE.into(),
        biz: BIZ.into(),
        version: version.map(Into::into),
        revision,
        probe,
        soak_ms,
    }
}

pub fn event(number: u64, body: impl Into<Body>) -> Event {
    let body = body.into();
    let kind = body.kind().short_name();
    Event {
        id: EventId::of("test", "test", number, &kind, 0),
        source: Service::Scheduler,
        time: start(),
        scope: Scope::module(None, MODULE).within(ENVIRONMENT),
        cause: None,
        body,
    }
}

pub fn left(version: Option<&str>, revision: u64, busy: bool) -> BaseRecord {
    let left = Left {
        biz: BIZ.into(),
        version: version.map(Into::into),
        revision,
    };
    BaseRecord {
        busy,
        modules: BTreeMap::from([(MODULE.to_owned(), left)]),
    }
}

pub fn base_at(name: &str, arklet: &str, url: &str) -> Base {
    Base {
        name: name.into(),
        arklet: arklet.parse().unwrap(),
        url: url.parse().unwrap(),
        zone: "default".into(),
    }
}

/// A configuration with these bases, looked at quickly.
pub fn config(bases: Vec<Base>) -> Config {
    let pool = Pool {
        environment: ENVIRONMENT.into(),
        base_jar: None,
        bases_file: None,
        drain: None,
        bases,
    };
    let mut config = Config {
        pools: BTreeMap::from([("one".to_owned(), pool)]),
        ..Config::default()
    };
    config.verifier.poll = Duration::from_millis(50);
    config.verifier.health_timeout = Duration::from_millis(300);
    config
}

/// One base, one verifier, one bus.
pub struct Line {
    pub bus: MemoryBus,
    pub base: FakeBase,
    pub folder: tempfile::TempDir,
    running: Option<Running>,
}

impl Line {
    pub async fn start() -> Self {
        let base = FakeBase::start(ferry_fake_base::Options::default())
            .await
            .unwrap();
        let url = base.modules_url.clone();
        Self::at(base, &url).await
    }

    /// With the modules' own HTTP at another address.
    pub async fn at(base: FakeBase, url: &str) -> Self {
        let bus = MemoryBus::default();
        let line = Self {
            base,
            bus,
            folder: tempfile::tempdir().unwrap(),
            running: None,
        };
        line.configure(vec![base_at(BASE, &line.base.arklet_url, url)])
            .await;
        line
    }

    pub async fn configure(&self, bases: Vec<Base>) {
        let json = serde_json::to_vec(&config(bases)).unwrap();
        let before = config_store::read(&self.bus)
            .await
            .unwrap()
            .map_or(0, |revision| revision.sequence);
        config_store::put(&self.bus, json.into(), before)
            .await
            .unwrap();
    }

    pub async fn run(&mut self) {
        let bus: Arc<dyn Bus> = Arc::new(self.bus.as_user(User::Service(Service::Verifier)));
        let effects = VerifierEffects::new(Hands::new(bus.clone())).unwrap();
        self.running =
            Some(ferry_runtime::run(VerifierDecide, effects, bus, Settings::default()).await);
    }

    pub async fn install(&self, jar: &FakeJar, version: &str) {
        let file = jar.write(self.folder.path()).unwrap();
        let url = url::Url::from_file_path(file).unwrap();
        let install = InstallBiz {
            biz_name: Some(BIZ.into()),
            biz_version: Some(version.into()),
            biz_url: Some(url.into()),
            ..InstallBiz::default()
        };
        self.ask(Command::InstallBiz, &install).await;
    }

    pub async fn web(&self, version: &str) {
        self.install(&FakeJar::new(BIZ, version).web("hello"), version)
            .await;
    }

    pub async fn uninstall(&self, version: &str) {
        self.ask(
            Command::UninstallBiz,
            &UninstallBiz::synchronous(BIZ, version),
        )
        .await;
    }

    async fn ask(&self, command: Command, body: &impl serde::Serialize) {
        let url = format!("{}{}", self.base.arklet_url, command.path());
        reqwest::Client::new()
            .post(url)
            .json(body)
            .send()
            .await
            .unwrap();
    }

    pub async fn fact(&self, record: &BaseRecord) {
        let fact = Write::fact(
            subject::base_fact(BASE),
            serde_json::to_vec(record).unwrap(),
        );
        self.bus.commit(vec![fact].into()).await.unwrap();
    }

    pub async fn observe(&self, requested: &Requested) {
        let write = Write::event(&event(1, requested.clone()));
        self.bus.commit(vec![write].into()).await.unwrap();
    }

    /// The first event of a kind that fits.
    pub async fn wait(&self, kind: Kind, fits: impl Fn(&Body) -> bool) -> Body {
        let filter = subject::events_of(kind);
        let mut events = self
            .bus
            .watch(subject::STREAM, vec![filter], Start::First)
            .await
            .unwrap();
        let wait = async {
            loop {
                let message = events.next().await.unwrap().unwrap();
                let body = Event::decode(&message.payload).unwrap().body;
                if fits(&body) {
                    return body;
                }
            }
        };
        tokio::time::timeout(WAIT, wait)
            .await
            .unwrap_or_else(|_| panic!("no {kind:?}"))
    }

    pub async fn verdict(&self) -> Finished {
        match self.wait(Kind::ObservationFinished, |_| true).await {
            Body::ObservationFinished(it) => *it,
            other => panic!("{other:?}"),
        }
    }

    /// The kinds of all events that the verifier said, in order.
    pub fn said(&self) -> Vec<String> {
        let events = self.bus.messages(subject::STREAM).unwrap();
        let events = events
            .iter()
            .filter(|(_, subject, _)| subject.starts_with("ferry.events."));
        let events = events.map(|(_, _, payload)| Event::decode(payload).unwrap());
        events
            .filter(|event| event.source == Service::Verifier)
            .map(|event| event.body.kind().short_name())
            .collect()
    }
}
