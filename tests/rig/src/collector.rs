//! A collector of traces: takes OTLP over HTTP with protobuf and keeps the spans.
//!
//! In: what services send. Out: [`Span`]s. One can be told not to answer until it is let go.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{self, status::StatusCode as SpanStatus},
};
use prost::Message as _;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A span as it came.
#[derive(Clone, Debug)]
pub struct Span {
    /// The `service.name` of who sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace: 32 hexadecimal digits.
    pub trace: String,
    /// Its id: 16 hexadecimal digits.
    pub id: String,
    /// The span above it; none: the trace begins with it.
    pub parent: Option<String>,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// Its attributes, and those of its resource, as text.
    pub attributes: BTreeMap<String, String>,
    /// The spans that it names besides: trace and id.
    pub links: Vec<(String, String)>,
    /// Why it failed, where it did.
    pub error: Option<String>,
}

impl Span {
    /// An attribute; empty where there is none.
    pub fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// A running collector; it ends when it is dropped.
pub struct Collector {
    url: String,
    spans: watch::Receiver<Vec<Span>>,
    /// Requests that came, answered or not.
    asked: watch::Receiver<usize>,
    answers: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Taking {
    spans: watch::Sender<Vec<Span>>,
    asked: watch::Sender<usize>,
    answers: watch::Receiver<bool>,
}

impl Collector {
    /// One that takes what comes.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        Self::begin(true).await
    }

    /// One that takes requests and answers none until it is let go.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn silent() -> Result<Self> {
        Self::begin(false).await
    }

    async fn begin(answering: bool) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr().context("a collector's address")?;
        let (kept, spans) = watch::channel(Vec::new());
        let (counted, asked) = watch::channel(0);
        let (answers, told) = watch::channel(answering);
        let taking = Taking {
            spans: kept,
            asked: counted,
            answers: told,
        };
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::new(taking));
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or(()) });
        Ok(Self {
            url: format!("http://{address}"),
            spans,
            asked,
            answers,
            task,
        })
    }

    /// For `[telemetry] otlp`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on it answers, also what came before.
    pub fn let_go(&self) {
        self.answers.send_replace(true);
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.spans.borrow().clone()
    }

    /// Waits until somebody asked it, whether it answered or not.
    pub async fn is_asked(&self) {
        let mut asked = self.asked.clone();
        // The sender lives as long as the collector.
        let _ = asked.wait_for(|asked| *asked > 0).await;
    }

    /// Waits for spans that are as they should be. The caller's deadline ends it.
    pub async fn until(&self, good: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut spans = self.spans.clone();
        match spans.wait_for(|spans| good(spans)).await {
            Ok(spans) => spans.clone(),
            Err(_) => Vec::new(),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(taking): State<Arc<Taking>>, headers: HeaderMap, body: Bytes) -> Response {
    taking.asked.send_modify(|asked| *asked += 1);
    let mut answers = taking.answers.clone();
    // Its other end lives as long as the collector.
    let _ = answers.wait_for(|answers| *answers).await;
    let kind = headers.get("content-type").and_then(|it| it.to_str().ok());
    let read = ExportTraceServiceRequest::decode(body);
    let (Some("application/x-protobuf"), Ok(request)) = (kind, read) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let spans = request.resource_spans.into_iter().flat_map(|of| {
        let resource = texts(of.resource.map(|it| it.attributes).unwrap_or_default());
        let spans = of.scope_spans.into_iter().flat_map(|it| it.spans);
        spans.map(move |span| read_span(span, resource.clone()))
    });
    let spans: Vec<Span> = spans.collect();
    taking.spans.send_modify(|kept| kept.extend(spans));
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    ([("content-type", "application/x-protobuf")], answer).into_response()
}

fn read_span(span: v1::Span, resource: BTreeMap<String, String>) -> Span {
    let hex = |bytes: &[u8]| hex::encode(bytes);
    let failed = span
        .status
        .as_ref()
        .filter(|status| status.code() == SpanStatus::Error);
    let error = failed.map(|status| status.message.clone());
    let links = span.links.iter();
    Span {
        service: resource.get("service.name").cloned().unwrap_or_default(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: (!span.parent_span_id.is_empty()).then(|| hex(&span.parent_span_id)),
        began: span.start_time_unix_nano,
        ended: span.end_time_unix_nano,
        links: links
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        attributes: resource.into_iter().chain(texts(span.attributes)).collect(),
        error,
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|it| it.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes
        .into_iter()
        .map(|it| (it.key, text(it.value)))
        .collect()
}
