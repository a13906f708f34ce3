//! A load balancer that knows which bases are out, and fails when it is told to.
//!
//! In: `POST /BASE/drain`, `POST /BASE/undrain`, `GET /BASE`. Out: what it was asked, and what a base showed then.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use tokio::sync::Notify;

/// What it does wrong.
#[derive(Default)]
pub struct Wrong {
    /// It answers this to a drain.
    pub drain: Option<StatusCode>,
    /// It answers this to an undrain.
    pub undrain: Option<StatusCode>,
    /// So many checks still see a connection after a drain.
    pub lingering: u32,
    /// The answer to a drain waits for a word.
    pub holds: bool,
}

#[derive(Default)]
struct Inner {
    out: BTreeSet<String>,
    lingers: u32,
    calls: Vec<String>,
    authorization: BTreeSet<String>,
    wrong: Wrong,
    watch: Option<String>,
}

/// The load balancer.
#[derive(Clone)]
pub struct Balancer {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    /// A held drain has come in, and may be answered.
    pub came: Arc<Notify>,
    pub go: Arc<Notify>,
}

impl Balancer {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let balancer = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            inner: Arc::default(),
            came: Arc::default(),
            go: Arc::default(),
        };
        let routes = Router::new()
            .route("/{base}/drain", post(drain))
            .route("/{base}/undrain", post(undrain))
            .route("/{base}", get(look))
            .with_state(balancer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        balancer
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn set(&self, change: impl FnOnce(&mut Wrong)) {
        change(&mut self.inner().wrong);
    }

    /// What is answered here is written beside each call from now on.
    pub fn watch(&self, url: String) {
        self.inner().watch = Some(url);
    }

    /// The calls that were done so far.
    pub fn calls(&self) -> Vec<String> {
        self.inner().calls.clone()
    }

    pub fn is_out(&self, base: &str) -> bool {
        self.inner().out.contains(base)
    }

    /// Somebody else puts a base back.
    pub fn put_back(&self, base: &str) {
        assert!(self.inner().out.remove(base), "{base} is not out");
    }

    /// The values of `authorization` that were sent.
    pub fn authorization(&self) -> BTreeSet<String> {
        self.inner().authorization.clone()
    }

    fn take(&self, headers: &HeaderMap) {
        let value = headers.get("authorization").map(|it| it.to_str().unwrap());
        let value = value.unwrap_or("none").to_owned();
        self.inner().authorization.insert(value);
    }

    async fn done(&self, what: &str) {
        let watched = self.inner().watch.clone();
        let shown = match watched {
            Some(url) => format!(
                ": {}",
                reqwest::get(url).await.unwrap().text().await.unwrap()
            ),
            None => String::new(),
        };
        self.inner().calls.push(format!("{what}{shown}"));
    }
}

async fn drain(
    State(balancer): State<Balancer>,
    Path(base): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    balancer.take(&headers);
    if let Some(status) = balancer.inner().wrong.drain {
        let heard = headers.get("authorization").map(|it| it.to_str().unwrap());
        return (status, format!("no server {base} for {heard:?}"));
    }
    {
        let mut inner = balancer.inner();
        inner.lingers = inner.wrong.lingering;
        inner.out.insert(base);
    }
    balancer.done("drain").await;
    if balancer.inner().wrong.holds {
        balancer.came.notify_one();
        balancer.go.notified().await;
    }
    (StatusCode::NO_CONTENT, String::new())
}

async fn undrain(
    State(balancer): State<Balancer>,
    Path(base): Path<String>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    balancer.take(&headers);
    if let Some(status) = balancer.inner().wrong.undrain {
        return (status, "it is away".into());
    }
    balancer.inner().out.remove(&base);
    balancer.done("undrain").await;
    (StatusCode::NO_CONTENT, String::new())
}

async fn look(
    State(balancer): State<Balancer>,
    Path(base): Path<String>,
    headers: HeaderMap,
) -> String {
    balancer.take(&headers);
    let mut inner = balancer.inner();
    let connections = u32::from(inner.lingers > 0);
    inner.lingers = inner.lingers.saturating_sub(1);
    let state = if inner.out.contains(&base) {
        "out"
    } else {
        "up"
    };
    format!("connections: {connections}\nstate: {state}\n")
}
