//! A client of the gateway's API.
//!
//! In: the gateway's address, a token. Out: a method for each call; errors that
//! name cause and next step.

mod error;
mod stream;

use std::time::Duration;

use ferry_events::{CommandId, PushId, RunId};
use futures::Stream;
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

pub use error::ClientError;

use crate::{
    AuditQuery, BaseRequest, BaseView, CanQuery, CanView, CloseRequest, CommandAnswer, CommandView,
    DeployQuery, EventsQuery, Health, HistoryQuery, HistoryView, LetterSummary, LetterView,
    LettersQuery, LineView, LogLine, LogView, ModuleView, PlanQuery, PlanView, PushView, Ready,
    ReportQuery, ReportView, RollbackRequest, RolloutRequest, RunRequest, RunSummary, RunView,
    RunsQuery, StreamedEvent, StretchRequest, WhyQuery, WhyView,
};

/// How long a connection may take. A gateway on the other side of the world
/// answers in under a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call that only reads or asks may take: every answer of the API is
/// made from memory, or after one commit on the bus.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a story may take: the gateway reads it from the bus, at worst months of a busy module.
const STORY_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the upload of a jar may take: 512 MiB over 10 Mbit/s.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The gateway sends a comment on every stream at least each 15 s: with three
/// missed the connection is dead, though nobody said so.
const SILENCE: Duration = Duration::from_secs(45);

/// A client of one gateway. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// For streams: they last, but are never silent for long.
    streams: reqwest::Client,
    url: Url,
    token: Option<String>,
}

// The token must not be seen.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client for the gateway at `url`, with a bearer token where there is one.
    ///
    /// # Errors
    /// When `url` is no http(s) address.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let bad = |reason: String| ClientError::BadAddress {
            url: url.to_owned(),
            reason,
        };
        let mut base = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(bad("it begins with neither http:// nor https://".to_owned()));
        }
        // A gateway behind a prefix: joining drops the last part unless it ends so.
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let builder = || reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT);
        let broken = |source| ClientError::Broken { source };
        let http = builder().build().map_err(broken)?;
        let streams = builder().read_timeout(SILENCE).build().map_err(broken)?;
        Ok(Self {
            http,
            streams,
            url: base,
            token: token.map(ToOwned::to_owned),
        })
    }

    /// The gateway's address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// `GET /healthz`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get(&["healthz"], &()).await
    }

    /// `GET /readyz`, also when it is not ready.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ready(&self) -> Result<Ready, ClientError> {
        let request = self.request(Method::GET, &["readyz"]).timeout(CALL_TIMEOUT);
        let response = self.send(request).await?;
        self.body(response).await
    }

    /// `GET /pushes/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn push(&self, id: PushId) -> Result<PushView, ClientError> {
        self.get(&["pushes", &id.to_string()], &()).await
    }

    /// `GET /runs`, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn runs(&self, query: &RunsQuery) -> Result<Vec<RunSummary>, ClientError> {
        self.get(&["runs"], query).await
    }

    /// `GET /runs/{id}`. The first digits are enough where they are one run's.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn run(&self, id: &str) -> Result<RunView, ClientError> {
        self.get(&["runs", id], &()).await
    }

    /// `GET /runs/{id}/log`: the log so far.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn log(&self, run: RunId) -> Result<LogView, ClientError> {
        self.get(&["runs", &run.to_string(), "log"], &()).await
    }

    /// `GET /runs/{id}/log?follow=true`: each line as it is written; ends when
    /// the build has. A broken connection is taken up again where it broke.
    pub fn follow_log(
        &self,
        run: RunId,
    ) -> impl Stream<Item = Result<LogLine, ClientError>> + Send + use<> {
        let request = self
            .request_of(
                &self.streams,
                Method::GET,
                &["runs", &run.to_string(), "log"],
            )
            .query(&crate::LogQuery { follow: true });
        stream::lines(self.clone(), request)
    }

    /// `GET /bases`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn bases(&self) -> Result<Vec<BaseView>, ClientError> {
        self.get(&["bases"], &()).await
    }

    /// `POST /bases/{base}/hold`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn hold_base(
        &self,
        base: &str,
        ask: &BaseRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["bases", base, "hold"], ask).await
    }

    /// `POST /bases/{base}/release`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release_base(
        &self,
        base: &str,
        ask: &BaseRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["bases", base, "release"], ask).await
    }

    /// `POST /bases/{base}/restart`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn restart_base(
        &self,
        base: &str,
        ask: &BaseRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["bases", base, "restart"], ask).await
    }

    /// `GET /modules`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn modules(&self) -> Result<Vec<ModuleView>, ClientError> {
        self.get(&["modules"], &()).await
    }

    /// `GET /modules/{module}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn module(&self, module: &str) -> Result<ModuleView, ClientError> {
        self.get(&["modules", module], &()).await
    }

    /// `GET /modules/{module}/plan`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn plan(&self, module: &str, query: &PlanQuery) -> Result<PlanView, ClientError> {
        self.get(&["modules", module, "plan"], query).await
    }

    /// `GET /runs/{id}/report`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn report(&self, id: &str, query: &ReportQuery) -> Result<ReportView, ClientError> {
        self.get(&["runs", id, "report"], query).await
    }

    /// `GET /events`: events as they happen. A broken connection is taken up
    /// again after the last event that came; without `once` it never ends.
    pub fn events(
        &self,
        query: &EventsQuery,
    ) -> impl Stream<Item = Result<StreamedEvent, ClientError>> + Send + use<> {
        let request = self
            .request_of(&self.streams, Method::GET, &["events"])
            .query(query);
        stream::events(self.clone(), request)
    }

    /// `GET /why/{id}`: of a run, the first digits of its id are enough where they are one run's.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn why(&self, id: &str, query: &WhyQuery) -> Result<WhyView, ClientError> {
        self.read(&["why", id], query, STORY_TIMEOUT).await
    }

    /// `GET /modules/{module}/history`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn history(
        &self,
        module: &str,
        query: &HistoryQuery,
    ) -> Result<HistoryView, ClientError> {
        let path = ["modules", module, "history"];
        self.read(&path, query, STORY_TIMEOUT).await
    }

    /// `GET /audit`: the acts that are kept, one by one. A broken connection is taken up again after the last one
    /// that came.
    pub fn audit(
        &self,
        query: &AuditQuery,
    ) -> impl Stream<Item = Result<StreamedEvent, ClientError>> + Send + use<> {
        let request = self
            .request_of(&self.streams, Method::GET, &["audit"])
            .query(query);
        stream::events(self.clone(), request)
    }

    /// `GET /commands/{id}`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn command(&self, id: CommandId) -> Result<CommandView, ClientError> {
        self.get(&["commands", &id.to_string()], &()).await
    }

    /// `GET /dead`, newest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn letters(&self, query: &LettersQuery) -> Result<Vec<LetterSummary>, ClientError> {
        self.get(&["dead"], query).await
    }

    /// `GET /dead/{id}`. The first digits are enough where they are one letter's.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn letter(&self, id: &str) -> Result<LetterView, ClientError> {
        self.get(&["dead", id], &()).await
    }

    /// `POST /dead/{id}/replay`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn replay_letter(
        &self,
        id: &str,
        ask: &CloseRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["dead", id, "replay"], ask).await
    }

    /// `POST /dead/{id}/drop`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn drop_letter(
        &self,
        id: &str,
        ask: &CloseRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["dead", id, "drop"], ask).await
    }

    /// `POST /runs/{id}/approve`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn approve(
        &self,
        run: &str,
        ask: &RolloutRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["runs", run, "approve"], ask).await
    }

    /// `POST /runs/{id}/promote`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn promote(
        &self,
        run: &str,
        ask: &RolloutRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["runs", run, "promote"], ask).await
    }

    /// `GET /line`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn line(&self) -> Result<LineView, ClientError> {
        self.get(&["line"], &()).await
    }

    /// `POST /line/pause`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn pause(&self, ask: &StretchRequest) -> Result<CommandAnswer, ClientError> {
        self.post(&["line", "pause"], ask).await
    }

    /// `POST /line/resume`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn resume(&self, ask: &StretchRequest) -> Result<CommandAnswer, ClientError> {
        self.post(&["line", "resume"], ask).await
    }

    /// `POST /line/abort`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn abort(&self, ask: &StretchRequest) -> Result<CommandAnswer, ClientError> {
        self.post(&["line", "abort"], ask).await
    }

    /// `GET /can`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn can(&self, query: &CanQuery) -> Result<CanView, ClientError> {
        self.get(&["can"], query).await
    }

    /// `POST /modules/{module}/run`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn run_commit(
        &self,
        module: &str,
        ask: &RunRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["modules", module, "run"], ask).await
    }

    /// `POST /modules/{module}/rollback`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn rollback(
        &self,
        module: &str,
        ask: &RollbackRequest,
    ) -> Result<CommandAnswer, ClientError> {
        self.post(&["modules", module, "rollback"], ask).await
    }

    /// `POST /modules/{module}/deploy`: uploads a jar that was built elsewhere.
    /// `jar` may be bytes or a stream of `size` bytes.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn deploy(
        &self,
        module: &str,
        jar: impl Into<reqwest::Body>,
        size: u64,
        query: &DeployQuery,
    ) -> Result<CommandAnswer, ClientError> {
        let request = self
            .request(Method::POST, &["modules", module, "deploy"])
            .query(query)
            .header(reqwest::header::CONTENT_TYPE, "application/java-archive")
            .header(reqwest::header::CONTENT_LENGTH, size)
            .timeout(UPLOAD_TIMEOUT)
            .body(jar);
        let response = self.send(request).await?;
        self.body(self.checked(response).await?).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.read(path, query, CALL_TIMEOUT).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path).query(query).timeout(limit);
        let response = self.send(request).await?;
        self.body(self.checked(response).await?).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        ask: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self
            .request(Method::POST, path)
            .json(ask)
            .timeout(CALL_TIMEOUT);
        let response = self.send(request).await?;
        self.body(self.checked(response).await?).await
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.request_of(&self.http, method, path)
    }

    /// Each part is escaped: a module's name cannot reach another path.
    fn request_of(&self, http: &reqwest::Client, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.url.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path);
        }
        let request = http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        request
            .send()
            .await
            .map_err(|source| self.unreachable(source))
    }

    fn unreachable(&self, source: reqwest::Error) -> ClientError {
        // Its own text would repeat the address, query and all.
        ClientError::Unreachable {
            url: self.url.to_string(),
            source: source.without_url(),
        }
    }

    /// The response, unless it is a refusal.
    async fn checked(&self, response: Response) -> Result<Response, ClientError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|source| self.unreachable(source))?;
        Err(ClientError::refused(&self.url, status, &body))
    }

    async fn body<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let body = response
            .bytes()
            .await
            .map_err(|source| self.unreachable(source))?;
        serde_json::from_slice(&body).map_err(|source| ClientError::NotFerry {
            url: self.url.to_string(),
            source: Some(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_be_one() {
        for url in [
            "",
            "ferry.example",
            "ftp://ferry.example",
            "mailto:dev@git.example",
        ] {
            let error = Client::new(url, None).unwrap_err();
            assert!(matches!(error, ClientError::BadAddress { .. }), "{error}");
        }
    }

    #[test]
    fn a_path_before_the_gateway_stays_and_names_cannot_leave_theirs() {
        for url in ["http://ferry.example/deep", "http://ferry.example/deep/"] {
            let client = Client::new(url, None).unwrap();
            let request = client
                .request(Method::GET, &["modules", "../runs?x"])
                .build()
                .unwrap();
            assert_eq!(
                request.url().as_str(),
                "http://ferry.example/deep/modules/..%2Fruns%3Fx"
            );
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let client = Client::new("http://ferry.example", Some("hush")).unwrap();
        assert!(!format!("{client:?}").contains("hush"));
    }

    #[tokio::test]
    async fn nobody_there_is_said_in_words() {
        // A port that was just free.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None).unwrap();
        let error = client.modules().await.unwrap_err();
        assert!(error.is_passing());
        let expected = format!("cannot reach the gateway at http://127.0.0.1:{port}/: ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}
