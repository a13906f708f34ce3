//! What the verifier's tests share: requests, a configuration, a line with one base.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ferry_ark::arklet::{Command, InstallBiz, UninstallBiz};
use ferry_bus::{Bus, MemoryBus, Start, User, Write, config_store};
use ferry_config::{Base, Config, Pool};
use ferry_events::{
    Body, Digest, Event, EventId, Kind, PlanId, RunId, Scope, Service, TaskId, Timestamp,
    fact::{BaseRecord, Left},
    gate, subject,
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

/// A gate that is waited for from now on, for a while that a test does not see the end of.
pub fn question(name: &str, ask: gate::Ask) -> gate::Requested {
    let plan = plan("p");
    let point = gate::Point::After(1);
    gate::Requested {
        gate: gate::gate_id(&plan, point, name),
        run: RunId(Uuid::nil()),
        plan,
        module: MODULE.into(),
        environment: ENVIRONMENT.into(),
        version: "1".into(),
        name: name.into(),
        point,
        what: "what is waited for".into(),
        ask,
        since: start(),
        until: start() + chrono::TimeDelta::days(365_000),
        opens: None,
    }
}

/// The same, with so many milliseconds from now on.
pub fn within(millis: i64, question: gate::Requested) -> gate::Requested {
    let since = ferry_runtime::Clock::wall().now();
    let until = since + chrono::TimeDelta::milliseconds(millis);
    gate::Requested {
        since,
        until,
        ..question
    }
}

pub fn finished(question: &gate::Requested) -> gate::Finished {
    gate::Finished {
        gate: question.gate,
        run: question.run,
        plan: question.plan.clone(),
        module: question.module.clone(),
        environment: question.environment.clone(),
        name: question.name.clone(),
        point: question.point,
        outcome: gate::Outcome::Promoted,
        by: Vec::new(),
        why: None,
        stop: None,
    }
}

/// At most 0.5, three times.
pub fn metric(url: &str) -> gate::Ask {
    gate::Ask::Metric {
        url: url.into(),
        query: "sum(errors)".into(),
        min: None,
        max: Some("0.5".into()),
        interval_ms: 20,
        count: 3,
    }
}

pub fn check(url: &str) -> gate::Ask {
    gate::Ask::Check {
        url: url.into(),
        interval_ms: 20,
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
        trace: None,
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
        base: None,
        base_jar: None,
        bases_file: None,
        drain: None,
        metaspace_growth: 0,
        metaspace_mark: None,
        restart: None,
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
    apart: Option<tokio::runtime::Runtime>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.crash();
    }
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
            apart: None,
        };
        line.configure(vec![base_at(BASE, &line.base.arklet_url, url)])
            .await;
        line
    }

    pub async fn configure(&self, bases: Vec<Base>) {
        self.configure_as(&config(bases)).await;
    }

    pub async fn configure_as(&self, config: &Config) {
        let json = serde_json::to_vec(config).unwrap();
        let before = config_store::read(&self.bus)
            .await
            .unwrap()
            .map_or(0, |revision| revision.sequence);
        config_store::put(&self.bus, json.into(), before)
            .await
            .unwrap();
    }

    pub async fn run(&mut self) {
        self.running = Some(self.verifier(Settings::default()).await);
    }

    /// Runs it where [`Line::crash`] can end it, with claims that nobody waits long for.
    pub async fn run_apart(&mut self) {
        let settings = Settings {
            lease: Duration::from_millis(500),
            sweep: Duration::from_millis(100),
            ..Settings::default()
        };
        let apart = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        self.running = Some(apart.spawn(self.verifier(settings)).await.unwrap());
        self.apart = Some(apart);
    }

    /// Ends what [`Line::run_apart`] began, as a killed process ends.
    pub fn crash(&mut self) {
        if let Some(apart) = self.apart.take() {
            apart.shutdown_background();
        }
    }

    fn verifier(&self, settings: Settings) -> impl Future<Output = Running> + use<> {
        let bus: Arc<dyn Bus> = Arc::new(self.bus.as_user(User::Service(Service::Verifier)));
        let effects = VerifierEffects::new(Hands::new(bus.clone()))
            .unwrap()
            .with_secrets(self.folder.path().to_owned());
        ferry_runtime::run(VerifierDecide, effects, bus, settings)
    }

    /// Waits until a gate is over in the verifier's record.
    pub async fn over(&self, gate: &gate::Requested) {
        let subject = subject::state(Service::Verifier, &format!("gate.{}", gate.gate));
        let wait = async {
            loop {
                let record = self.bus.read(&subject).await.unwrap();
                let over = |payload: &[u8]| String::from_utf8_lossy(payload).contains("\"over\"");
                if record.is_some_and(|record| over(&record.payload)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(WAIT, wait).await.expect("over");
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
        self.say(&event(1, requested.clone())).await;
    }

    pub async fn say(&self, event: &Event) {
        let write = Write::event(event);
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
