//! A gateway on a bus, for tests: started whole, spoken to over HTTP only.
#![allow(dead_code, reason = "each test file uses its own part of it")]

pub mod faulty;
pub mod forge;
pub mod story;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ferry_api::Client;
use ferry_bus::{Batch, Bus, MemoryBus, User, Write, config_store};
use ferry_events::{Body, Event, EventId, PushId, Scope, Service};
use ferry_gateway::{GatewayError, Parts};
use ferry_rig::{hook, wait};
use ferry_runtime::{Clock, Tracer};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a machine that is busy with builds may take for what takes milliseconds.
pub const LIMIT: Duration = Duration::from_secs(20);

pub const SECRET: &[u8] = b"a secret of the tests";
pub const ADMIN: &str = "the admin's token";
pub const VIEWER: &str = "the viewer's token";
pub const OTHER: &str = "the token of another team";

/// The configuration: one repository of each kind that the tests need.
pub fn toml() -> String {
    let hash = ferry_config::hash_token;
    format!(
        r#"
[gateway]
body_limit = "64KiB"
[builder]
artifact_limit = "64KiB"
[tokens.admin]
hash = "{}"
grants = [{{ role = "admin" }}]
[tokens.viewer]
hash = "{}"
grants = [{{ role = "view" }}, {{ role = "operate", environments = ["pre"] }}]
[tokens.other]
hash = "{}"
grants = [{{ role = "admin", modules = ["other-*"] }}]
[teams.shop]
[repositories.hello]
url = "https://git.example/acme/hello.git"
forge = "github"
secret = "file:hook-secret"
team = "shop"
[repositories.cloud]
url = "https://git.example/acme/cloud.git"
forge = "bitbucket"
full_name = "acme/hello"
secret = "file:hook-secret"
[modules.hello]
repository = "hello"
paths = ["src/**", "pom.xml"]
[modules.cloud]
repository = "cloud"
[environments.pre]
[environments.prod]
after = "pre"
[pools.pre]
environment = "pre"
[[pools.pre.bases]]
name = "pre-1"
arklet = "http://127.0.0.1:1238"
url = "http://127.0.0.1:8080"
[pools.prod]
environment = "prod"
[[pools.prod.bases]]
name = "prod-1"
arklet = "http://127.0.0.1:1239"
url = "http://127.0.0.1:8081"
"#,
        hash(ADMIN),
        hash(VIEWER),
        hash(OTHER)
    )
}

/// A gateway that runs; it ends when dropped.
pub struct Gateway {
    pub url: String,
    pub http: reqwest::Client,
    pub data: TempDir,
    drain: CancellationToken,
    task: JoinHandle<Result<bool, GatewayError>>,
}

/// Puts the configuration on a bus.
pub async fn configure(bus: &dyn Bus, text: &str) {
    let loaded = ferry_config::parse(&[("ferry.toml".into(), text.to_owned())]).unwrap();
    let payload = serde_json::to_vec(&loaded.config).unwrap();
    let before = config_store::read(bus)
        .await
        .unwrap()
        .map_or(0, |revision| revision.sequence);
    config_store::put(bus, payload.into(), before)
        .await
        .unwrap();
}

/// A data folder with the webhooks' secret.
pub fn folder() -> TempDir {
    let data = TempDir::new().unwrap();
    std::fs::write(data.path().join("hook-secret"), [SECRET, b"\n"].concat()).unwrap();
    data
}

impl Gateway {
    /// Starts one on a bus of its own, and waits until it is ready.
    pub async fn start(bus: &MemoryBus, text: &str) -> Self {
        configure(&bus.as_user(User::Operator), text).await;
        let gateway = Self::start_in(gateway_of(bus), folder()).await;
        gateway.ready().await;
        gateway
    }

    /// Starts one on a bus, in a folder.
    pub async fn start_in(bus: Arc<dyn Bus>, data: TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let drain = CancellationToken::new();
        let parts = Parts {
            tracer: Tracer::default(),
            bus,
            clock: Clock::wall(),
            data: data.path().to_owned(),
            secrets: data.path().to_owned(),
            listener: Some(listener),
            health: None,
        };
        let task = tokio::spawn(ferry_gateway::run(parts, drain.clone()));
        Self {
            url,
            http: reqwest::Client::new(),
            data,
            drain,
            task,
        }
    }

    /// Ends it, and gives its folder back.
    pub async fn stop(self) -> TempDir {
        self.drain.cancel();
        assert!(self.task.await.unwrap().unwrap(), "the drain was too late");
        self.data
    }

    pub fn client(&self, token: &str) -> Client {
        Client::new(&self.url, Some(token)).unwrap()
    }

    pub async fn ready(&self) {
        let client = self.client(ADMIN);
        until("the gateway to be ready", || async {
            client.ready().await.ok().filter(|ready| ready.ready)
        })
        .await;
    }

    /// Sends a body as GitHub does.
    pub async fn github(&self, delivery: &str, body: &[u8]) -> hook::Answer {
        let (url, sign) = (
            format!("{}/hooks/github", self.url),
            hook::signature(SECRET, body),
        );
        hook::send_raw(&self.http, &url, &sign, delivery, body.to_vec())
            .await
            .unwrap()
    }
}

/// The gateway's own connection, with its permissions.
pub fn gateway_of(bus: &MemoryBus) -> Arc<dyn Bus> {
    Arc::new(bus.as_user(User::Service(Service::Gateway)))
}

pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(path.join(name).with_extension("json")).unwrap()
}

/// The push that an answer names.
pub fn push_of(answer: &serde_json::Value) -> PushId {
    answer["push"].as_str().unwrap().parse().unwrap()
}

/// Waits until `look` finds something.
pub async fn until<T, Fut: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> Fut,
) -> T {
    wait::until(what, LIMIT, || {
        let looking = look();
        async { Ok(looking.await) }
    })
    .await
    .unwrap()
}

/// The events of a kind on the bus.
pub fn events(bus: &MemoryBus, kind: &str) -> Vec<Event> {
    bus.messages("FERRY")
        .unwrap()
        .into_iter()
        .filter(|(_, subject, _)| subject.starts_with("ferry.events."))
        .map(|(_, _, payload)| Event::decode(&payload).unwrap())
        .filter(|event| event.body.kind().short_name() == kind)
        .collect()
}

/// So many seconds after the story begins.
pub fn moment(second: u32) -> ferry_events::Timestamp {
    let begins: ferry_events::Timestamp = "2025-06-01T09:30:00Z".parse().unwrap();
    begins + std::time::Duration::from_secs(second.into())
}

/// An event as a service would say it.
pub fn event(service: Service, scope: Scope, second: u32, body: impl Into<Body>) -> Event {
    let body = body.into();
    let kind = body.kind().short_name();
    Event {
        id: EventId::of(service.name(), "test", u64::from(second), &kind, 0),
        source: service,
        time: moment(second),
        scope,
        cause: None,
        trace: None,
        body,
    }
}

/// Says an event on the bus.
pub async fn say(bus: &dyn Bus, event: &Event) {
    bus.commit(Batch::from(vec![Write::event(event)]))
        .await
        .unwrap();
}
