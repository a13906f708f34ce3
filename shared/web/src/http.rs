//! The real network.
//!
//! In: an [`Ask`] or a [`Request`]. Out: the answer. No proxy, no redirects, no connection kept: arklet
//! closes each, and a probe shall meet a module as a new visitor does.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;

use crate::{Answer, Ask, Request, Unanswered, Web};

/// How long a connection may take to be made. Bases are near; a stopped one accepts all the same.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// HTTP over the network.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

impl Http {
    /// A client.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> reqwest::Result<Self> {
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map(Self)
    }
}

#[async_trait]
impl Web for Http {
    async fn ask(&self, ask: Ask) -> Result<Answer, Unanswered> {
        self.send(ask.into()).await
    }

    async fn send(&self, ask: Request) -> Result<Answer, Unanswered> {
        let broken = |error: reqwest::Error| match error.is_timeout() && !error.is_connect() {
            true => Unanswered::TimedOut(ask.timeout),
            false => Unanswered::Broken(cause(&error)),
        };
        let refused = |what: String| Unanswered::Broken(what);
        let method = Method::from_bytes(ask.method.as_bytes())
            .map_err(|error| refused(error.to_string()))?;
        let mut request = self.0.request(method, ask.url.clone());
        if let Some(body) = &ask.body {
            request = request
                .header("content-type", body.content_type.as_str())
                .body(body.bytes.clone());
        }
        // These stand over what goes before.
        let request = request.headers(ask.headers).timeout(ask.timeout);
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get("location")
            .and_then(|to| to.to_str().ok())
            .map(str::to_owned);
        let (mut body, mut whole) = (Vec::new(), true);
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > ask.body_max {
                body.truncate(ask.body_max);
                whole = false;
                break;
            }
        }
        Ok(Answer {
            status,
            location,
            body,
            whole,
        })
    }
}

/// The innermost cause: reqwest's own words only repeat the address.
fn cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
