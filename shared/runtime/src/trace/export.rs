//! Spans on their way to a collector: beside the work, never in its way.
//!
//! In: spans that are over; where the configuration or the environment says that a collector is. Out: OTLP over
//! HTTP with protobuf, in batches; and how many got there and how many were lost. A collector that is slow or away
//! loses spans and nothing else: the queue has an end, and nobody waits for room in it.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ferry_config::Telemetry;
use ferry_events::Service;
use opentelemetry::KeyValue;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout, timeout_at},
};
use tracing::{debug, info, warn};
use uuid::Uuid;

/// Spans that wait for the collector: those of some hundred runs, a few MiB. OpenTelemetry's own default is 2048.
const QUEUE: usize = 8192;
/// Spans sent at a time; OpenTelemetry's own default.
const BATCH: usize = 512;
/// How long a span waits for others to be sent with it: people look at a trace sooner than with its default of 5 s.
const LINGER: Duration = Duration::from_secs(1);
/// How long the collector may take for a batch; OpenTelemetry's own default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a service that ends waits for its last spans: little of what a drain may take.
const LAST: Duration = Duration::from_secs(1);
/// Of a collector's answer; it says that it took the batch.
const ANSWER_MAX: usize = 64 * 1024;

/// Takes the spans of a service. Clones are the same one; the default takes none and costs nothing.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    on: AtomicBool,
    queue: mpsc::Sender<Item>,
    target: watch::Sender<Option<Target>>,
    counts: Arc<Counting>,
}

enum Item {
    Span(Box<SpanData>),
    /// Sends what waits, and tells when that is over.
    Flush(oneshot::Sender<()>),
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Where OpenTelemetry's own variables say.
    Environment,
    /// Where the configuration says, with the path of traces.
    At(String),
}

impl Target {
    /// Where spans go, by a process's environment and the configuration; none: nowhere.
    fn of(variable: impl Fn(&str) -> Option<String>, telemetry: &Telemetry) -> Option<Self> {
        let value = |name: &str| variable(name).map(|value| value.trim().to_owned());
        let set = |name: &str| value(name).is_some_and(|value| !value.is_empty());
        let is = |name: &str, wanted: &str| {
            value(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        };
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        if set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") || set("OTEL_EXPORTER_OTLP_ENDPOINT") {
            return Some(Self::Environment);
        }
        let url = telemetry.otlp.as_ref()?;
        let url = url.as_str().trim_end_matches('/');
        Some(Self::At(format!("{url}/v1/traces")))
    }
}

#[derive(Default)]
struct Counting {
    sent: AtomicU64,
    full: AtomicU64,
    failed: AtomicU64,
    /// Whether it was said already that spans are lost.
    said: AtomicBool,
}

/// How many spans there were since the service began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// A collector took them.
    pub sent: u64,
    /// Lost, because too many waited.
    pub full: u64,
    /// Lost, because the collector did not take them.
    pub failed: u64,
}

impl Counts {
    /// As Prometheus reads it (text format 0.0.4).
    pub fn metrics(self) -> String {
        let Self { sent, full, failed } = self;
        format!(
            "# HELP ferry_spans_sent_total Spans that a collector took.\n\
             # TYPE ferry_spans_sent_total counter\n\
             ferry_spans_sent_total {sent}\n\
             # HELP ferry_spans_lost_total Spans that no collector got.\n\
             # TYPE ferry_spans_lost_total counter\n\
             ferry_spans_lost_total{{why=\"queue-full\"}} {full}\n\
             ferry_spans_lost_total{{why=\"not-taken\"}} {failed}\n"
        )
    }
}

impl Counting {
    /// Says it once, until spans get there again.
    fn lost(&self, why: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            warn!(
                why,
                "spans are lost; nothing else is. Look at [telemetry] otlp and its collector"
            );
        }
    }

    fn arrived(&self, spans: u64) {
        self.sent.fetch_add(spans, Ordering::Relaxed);
        if self.said.swap(false, Ordering::Relaxed) {
            let lost = self.full.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed);
            info!(lost, "the collector takes spans again");
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tracer")
    }
}

impl Tracer {
    /// Begins to take spans of a service, once [`Self::configure`] has said where they go. Within a runtime of tokio.
    pub fn start(service: Service) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        let (target, targets) = watch::channel(None);
        let counts = Arc::new(Counting::default());
        let resource = resource(service);
        tokio::spawn(run(items, targets, resource, counts.clone()));
        Self(Some(Arc::new(Inner {
            on: AtomicBool::new(false),
            queue,
            target,
            counts,
        })))
    }

    /// Says where spans go: where the environment of this process says, else where the configuration does.
    pub fn configure(&self, telemetry: &Telemetry) {
        let Some(inner) = &self.0 else { return };
        let target = Target::of(|name| std::env::var(name).ok(), telemetry);
        inner.on.store(target.is_some(), Ordering::Relaxed);
        inner.target.send_if_modified(|known| {
            let other = *known != target;
            *known = target;
            other
        });
    }

    /// Whether spans go anywhere.
    pub fn is_on(&self) -> bool {
        let on = |inner: &Arc<Inner>| inner.on.load(Ordering::Relaxed);
        self.0.as_ref().is_some_and(on)
    }

    /// Takes a span, or loses it.
    pub(super) fn take(&self, span: SpanData) {
        let Some(inner) = self.0.as_ref().filter(|_| self.is_on()) else {
            return;
        };
        if inner.queue.try_send(Item::Span(Box::new(span))).is_err() {
            inner.counts.full.fetch_add(1, Ordering::Relaxed);
            inner
                .counts
                .lost("more of them wait for the collector than the queue holds");
        }
    }

    /// How many spans there were.
    pub fn counts(&self) -> Counts {
        let Some(inner) = &self.0 else {
            return Counts::default();
        };
        Counts {
            sent: inner.counts.sent.load(Ordering::Relaxed),
            full: inner.counts.full.load(Ordering::Relaxed),
            failed: inner.counts.failed.load(Ordering::Relaxed),
        }
    }

    /// Sends what waits before the process ends; waits a second for it and no longer.
    pub async fn flush(&self) {
        let Some(inner) = self.0.as_ref().filter(|_| self.is_on()) else {
            return;
        };
        let (done, told) = oneshot::channel();
        let flushed = async {
            // What is not sent is lost with the process, as is whoever waits here.
            if inner.queue.send(Item::Flush(done)).await.is_ok() {
                let _ = told.await;
            }
        };
        if timeout(LAST, flushed).await.is_err() {
            debug!("the last spans did not get to the collector in time");
        }
    }
}

/// What every span of this process has. OpenTelemetry's own variables stand over Ferry's words.
fn resource(service: Service) -> Resource {
    let own = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", format!("ferry-{service}")),
        KeyValue::new("service.namespace", "ferry"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance().to_string()),
    ]);
    let own = own.build();
    let asked = Resource::builder().build();
    let unknown = |key: &opentelemetry::Key, value: &opentelemetry::Value| {
        key.as_str() == "service.name" && value.as_str().starts_with("unknown_service")
    };
    let asked = asked
        .iter()
        .filter(|(key, value)| !unknown(key, value))
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let all: Vec<KeyValue> = own
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
        .chain(asked)
        .collect();
    Resource::builder_empty().with_attributes(all).build()
}

/// Tells replicas apart.
#[allow(
    clippy::disallowed_methods,
    reason = "a process has no cause to derive its name from"
)]
fn instance() -> Uuid {
    Uuid::new_v4()
}

/// Sends for as long as anybody may give a span.
async fn run(
    mut items: mpsc::Receiver<Item>,
    targets: watch::Receiver<Option<Target>>,
    resource: Resource,
    counts: Arc<Counting>,
) {
    let mut exporter: Option<Exporter> = None;
    loop {
        let (batch, told) = gather(&mut items).await;
        let target = targets.borrow().clone();
        if exporter.as_ref().map(|it| &it.target) != target.as_ref() {
            exporter = target.and_then(|target| Exporter::new(target, &resource, &counts));
        }
        let spans = batch.len() as u64;
        if spans > 0 {
            let sent = match &exporter {
                Some(exporter) => exporter.send(batch).await,
                None => Err("there is nowhere to send them".into()),
            };
            match sent {
                Ok(()) => counts.arrived(spans),
                Err(why) => {
                    counts.failed.fetch_add(spans, Ordering::Relaxed);
                    counts.lost(&why);
                }
            }
        }
        match told {
            Told::Go => {}
            Told::Flushed(done) => drop(done.send(())),
            Told::End => return,
        }
    }
}

/// Why a batch is whole.
enum Told {
    Go,
    Flushed(oneshot::Sender<()>),
    End,
}

/// A first span, and those that come soon after it.
async fn gather(items: &mut mpsc::Receiver<Item>) -> (Vec<SpanData>, Told) {
    let mut batch = Vec::new();
    let mut until = None;
    while batch.len() < BATCH {
        let item = match until {
            None => items.recv().await,
            Some(until) => match timeout_at(until, items.recv()).await {
                Ok(item) => item,
                Err(_) => break,
            },
        };
        match item {
            Some(Item::Span(span)) => batch.push(*span),
            Some(Item::Flush(done)) => return (batch, Told::Flushed(done)),
            None => return (batch, Told::End),
        }
        until = until.or_else(|| Some(Instant::now() + LINGER));
    }
    (batch, Told::Go)
}

/// An exporter to one collector.
struct Exporter {
    target: Target,
    exporter: opentelemetry_otlp::SpanExporter,
    client: Client,
}

impl Exporter {
    fn new(target: Target, resource: &Resource, counts: &Counting) -> Option<Self> {
        let client = match Client::new() {
            Ok(client) => client,
            Err(error) => {
                counts.lost(&error.to_string());
                return None;
            }
        };
        let builder = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary);
        let built = match &target {
            Target::Environment => builder.build(),
            Target::At(url) => builder.with_endpoint(url).build(),
        };
        match built {
            Ok(mut exporter) => {
                exporter.set_resource(resource);
                info!(to = ?target, "spans are sent");
                Some(Self {
                    target,
                    exporter,
                    client,
                })
            }
            Err(error) => {
                counts.lost(&error.to_string());
                None
            }
        }
    }

    async fn send(&self, batch: Vec<SpanData>) -> Result<(), String> {
        let sent = self.exporter.export(batch).await;
        sent.map_err(|error| match self.client.broken() {
            Some(why) => format!("{error}: {why}"),
            None => error.to_string(),
        })
    }
}

/// The HTTP that the exporter speaks with: no redirects; the environment's proxies, as any client outside of a
/// private network.
#[derive(Clone, Debug)]
struct Client {
    http: reqwest::Client,
    /// Why the last request broke: the exporter's own error does not say.
    broken: Arc<Mutex<Option<String>>>,
}

impl Client {
    fn new() -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self {
            http,
            broken: Arc::default(),
        })
    }

    fn broken(&self) -> Option<String> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.take()
    }

    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut answer = self.http.execute(request.try_into()?).await?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            *headers = std::mem::take(answer.headers_mut());
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_MAX {
                return Err("the collector's answer has no end".into());
            }
        }
        Ok(response.body(body.into())?)
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request).await;
        if let Err(error) = &answer {
            let chain: Vec<String> = std::iter::successors(
                Some(&**error as &(dyn std::error::Error + 'static)),
                |error| error.source(),
            )
            .map(ToString::to_string)
            .collect();
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            *broken = Some(chain.join(": "));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(variables: &[(&str, &str)], otlp: Option<&str>) -> Option<Target> {
        let telemetry = Telemetry {
            otlp: otlp.map(|url| url.parse().unwrap()),
        };
        let variable = |name: &str| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        };
        Target::of(variable, &telemetry)
    }

    #[test]
    fn the_environment_stands_over_the_configuration() {
        let (here, there) = (
            Some("http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        );
        let at = |url: &str| Some(Target::At(url.to_owned()));
        assert_eq!(target(&[], None), None);
        assert_eq!(target(&[], here), at("http://127.0.0.1:4318/v1/traces"));
        let below = Some("https://c/otlp/");
        assert_eq!(target(&[], below), at("https://c/otlp/v1/traces"));
        assert_eq!(target(&[there], here), Some(Target::Environment));
        assert_eq!(target(&[there], None), Some(Target::Environment));
        let empty = ("OTEL_EXPORTER_OTLP_ENDPOINT", " ");
        assert_eq!(target(&[empty], None), None);
        for off in [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_TRACES_EXPORTER", "none"),
        ] {
            assert_eq!(target(&[there, off], here), None, "{off:?}");
        }
    }
}
