//! One HTTP exchange with something outside of Ferry: a base's arklet, a module, a load balancer.
//!
//! In: what is asked, with a time limit. Out: what was answered, or why nothing was. Behind one trait, so
//! that a simulation can stand in for the network. A reply is a hint: what was asked may have happened
//! though no reply came.

mod http;

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

pub use http::Http;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Where.
    pub url: Url,
    /// A JSON body for a POST; none: a GET.
    pub json: Option<Vec<u8>>,
    /// Headers. One that is sensitive is not shown. Without a content type a body is `application/json`.
    pub headers: HeaderMap,
    /// By when the whole answer must be there.
    pub timeout: Duration,
    /// How many bytes of the body are read.
    pub body_max: usize,
}

impl Ask {
    /// The same, with a body of another type.
    #[must_use]
    pub fn typed(mut self, content_type: &'static str) -> Self {
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self
    }

    /// The same, with a bearer token, which is not shown.
    ///
    /// # Errors
    /// When it holds what no header can, such as a line break.
    pub fn bearing(mut self, token: &[u8]) -> Result<Self, NotAHeader> {
        let mut value =
            HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| NotAHeader)?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(self)
    }
}

/// A text that cannot stand in a header. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds a line break or something else that no HTTP header can")]
pub struct NotAHeader;

/// What is asked of something that is no base, in its own way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, as `GET`.
    pub method: &'static str,
    /// Where.
    pub url: Url,
    /// Headers. One that is sensitive is not shown.
    pub headers: HeaderMap,
    /// The body.
    pub body: Option<Body>,
    /// By when the whole answer must be there.
    pub timeout: Duration,
    /// How many bytes of the answer's body are read.
    pub body_max: usize,
}

/// A body and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Its type, as `application/json`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl From<Ask> for Request {
    fn from(ask: Ask) -> Self {
        let body = ask.json.map(|bytes| Body {
            content_type: "application/json".to_owned(),
            bytes,
        });
        Self {
            method: if body.is_some() { "POST" } else { "GET" },
            url: ask.url,
            headers: ask.headers,
            body,
            timeout: ask.timeout,
            body_max: ask.body_max,
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Where a redirect leads; it is not followed.
    pub location: Option<String>,
    /// The body, at most [`Ask::body_max`] bytes.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// Why there is no answer. What was asked may have happened all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It did not come in time.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// No connection, or one that broke.
    #[error("{0}")]
    Broken(String),
}

/// The way outside.
#[async_trait]
pub trait Web: Send + Sync {
    /// One exchange.
    ///
    /// # Errors
    /// See [`Unanswered`].
    async fn ask(&self, ask: Ask) -> Result<Answer, Unanswered>;

    /// One exchange with something that is no base.
    ///
    /// # Errors
    /// See [`Unanswered`].
    async fn send(&self, request: Request) -> Result<Answer, Unanswered>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_shown_without_its_value() {
        let ask = Ask {
            url: "http://balancer.example/".parse().expect("an address"),
            json: None,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(1),
            body_max: 1,
        };
        let request = Request::from(ask.bearing(b"hush").expect("a header"));
        let shown = format!("{request:?}");
        assert!(shown.contains("\"authorization\": Sensitive"), "{shown}");
        assert!(
            !shown.contains("hush") && !shown.contains("104, 117, 115, 104"),
            "{shown}"
        );
    }
}
