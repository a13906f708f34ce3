//! Refusals as responses.
//!
//! In: what went wrong. Out: `application/problem+json` with the right status.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ferry_api::Problem;

/// After how many seconds to come again when the bus or the inbox had no room: a
/// short outage is over by then, and a long one is not made worse.
const RETRY_AFTER: &str = "5";

/// A request that is refused.
#[derive(Debug)]
pub struct Refusal {
    problem: Box<Problem>,
    header: Option<(HeaderName, &'static str)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            problem: Box::new(Problem {
                status: status.as_u16(),
                title: status.canonical_reason().unwrap_or("Refused").to_owned(),
                code: code.to_owned(),
                detail: detail.into(),
                next: None,
            }),
            header: None,
        }
    }

    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.problem.next = Some(next.into());
        self
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(super) fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "no-route",
            "there is nothing at this address",
        )
    }

    pub(super) fn wrong_method() -> Self {
        let detail = "this address does not take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub(super) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "token-unknown", detail)
            .next("send `Authorization: Bearer TOKEN` with a token whose hash stands in [tokens]")
            .with(header::WWW_AUTHENTICATE, "Bearer")
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-granted", detail)
            .next("ask for a grant in [tokens] of ferry.toml")
    }

    /// The answer is the same for what is not there and for what must not be seen.
    pub(super) fn not_found(what: &str, name: &str) -> Self {
        let shown: String = name.chars().take(80).collect();
        let code = format!(
            "unknown-{}",
            what.replace([',', ' '], "-").replace("--", "-")
        );
        Self::new(
            StatusCode::NOT_FOUND,
            &code,
            format!("there is no {what} {shown:?}"),
        )
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.problem.status == StatusCode::NOT_FOUND.as_u16()
    }

    pub(super) fn too_large(what: &str, limit: u64) -> Self {
        let limit = ferry_config::text::size::format(limit);
        let detail = format!("{what} is larger than the limit of {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    pub(super) fn too_slow(limit: Duration) -> Self {
        let detail = format!("the body did not come within {limit:?}");
        Self::new(StatusCode::REQUEST_TIMEOUT, "too-slow", detail)
    }

    /// Nothing was taken: the same request may work soon.
    pub(super) fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
            .with(header::RETRY_AFTER, RETRY_AFTER)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(*self.problem)).into_response();
        let kind = HeaderValue::from_static(ferry_api::problem::CONTENT_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
