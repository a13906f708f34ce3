//! One collector: where it is, and how spans get there.
//!
//! In: the configuration and the environment; batches of spans. Out: OTLP over HTTP with protobuf; or why a batch
//! was not taken.

use std::{
    sync::{Arc, Mutex, PoisonError},
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
use tracing::info;
use uuid::Uuid;

use crate::messages::chain;

/// How long the collector may take for a batch; OpenTelemetry's own default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Of a collector's answer; it says that it took the batch.
const ANSWER_MAX: usize = 64 * 1024;

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Where OpenTelemetry's own variables say.
    Environment,
    /// Where the configuration says, with the path of traces.
    At(String),
}

impl Target {
    /// Where spans go, by a process's environment and the configuration; none: nowhere.
    pub(super) fn of(
        variable: impl Fn(&str) -> Option<String>,
        telemetry: &Telemetry,
    ) -> Option<Self> {
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

/// What every span of this process has. OpenTelemetry's own variables stand over Ferry's words.
pub(super) fn resource(service: Service) -> Resource {
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

/// An exporter to one collector.
pub(super) struct Exporter {
    pub(super) target: Target,
    exporter: opentelemetry_otlp::SpanExporter,
    client: Client,
}

impl Exporter {
    /// One to a collector; why there is none, where its address is wrong.
    pub(super) fn new(target: Target, resource: &Resource) -> Result<Self, String> {
        let client = Client::new().map_err(|error| error.to_string())?;
        let builder = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_protocol(Protocol::HttpBinary);
        let built = match &target {
            Target::Environment => builder.build(),
            Target::At(url) => builder.with_endpoint(url).build(),
        };
        let mut exporter = built.map_err(|error| error.to_string())?;
        exporter.set_resource(resource);
        info!(to = ?target, "spans are sent");
        Ok(Self {
            target,
            exporter,
            client,
        })
    }

    /// Sends a batch; or why the collector did not take it.
    pub(super) async fn send(&self, batch: Vec<SpanData>) -> Result<(), String> {
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
            let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
            *broken = Some(chain(&**error).join(": "));
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
