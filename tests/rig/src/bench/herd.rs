//! As many simulated bases as one asks for, behind one port: what they cost is not what is measured.
//!
//! In: how many. Out: their addresses, and what each of them runs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use ferry_fake_base::{FakeBase, Options, Port};
use ferry_web::{Ask, HeaderMap, Http};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A base's answer has no limit of its own: who asks has one.
const NO_LIMIT: Duration = Duration::MAX;

/// Simulated bases, gone when dropped.
pub(super) struct Herd {
    bases: Arc<Vec<FakeBase>>,
    url: String,
    server: JoinHandle<()>,
}

impl Herd {
    pub(super) async fn start(count: usize) -> Result<Self> {
        let web = Arc::new(Http::new().context("an HTTP client for downloads")?);
        let base = |number: usize| {
            let options = Options {
                name: name(number),
                ..Options::default()
            };
            FakeBase::inside(options, web.clone())
        };
        let bases: Vec<FakeBase> = (0..count).map(base).collect::<Result<_, _>>()?;
        let bases = Arc::new(bases);
        let router = Router::new()
            .route("/{port}/{base}/{*path}", any(exchange))
            .with_state(bases.clone());
        let listener = TcpListener::bind(ferry_ports::address()?).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { bases, url, server })
    }

    /// Where a base's arklet and its modules answer.
    pub(super) fn addresses(&self, number: usize) -> (String, String) {
        let url = &self.url;
        (
            format!("{url}/arklet/{number}/"),
            format!("{url}/modules/{number}/"),
        )
    }

    /// How many bases run exactly this version of one module.
    pub(super) fn carry(&self, version: &str) -> usize {
        let carries =
            |base: &&FakeBase| matches!(&base.modules()[..], [one] if one.version == version);
        self.bases.iter().filter(carries).count()
    }
}

impl Drop for Herd {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The name of a base.
pub(super) fn name(number: usize) -> String {
    format!("bench-{number:05}")
}

async fn exchange(
    State(bases): State<Arc<Vec<FakeBase>>>,
    Path((port, number, path)): Path<(String, usize, String)>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let Some(base) = bases.get(number) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (port, at) = match port.as_str() {
        "arklet" => (Port::Arklet, &base.arklet_url),
        _ => (Port::Modules, &base.modules_url),
    };
    let query = uri.query().map(|query| format!("?{query}"));
    let url = format!("{at}/{path}{}", query.unwrap_or_default());
    let Ok(url) = url.parse() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let ask = Ask {
        url,
        json: (method == Method::POST).then(|| body.to_vec()),
        headers: HeaderMap::new(),
        timeout: NO_LIMIT,
        body_max: usize::MAX,
    };
    match base.exchange(port, ask).await {
        Ok(answer) => {
            let status = StatusCode::from_u16(answer.status);
            (status.unwrap_or(StatusCode::BAD_GATEWAY), answer.body).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
