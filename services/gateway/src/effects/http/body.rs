//! Bodies, within a limit and a deadline, and queries, with clear refusals.
//!
//! In: a request's body or query. Out: bytes or a typed value.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Uri, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// How long the body of a hook or a request may take. A forge gives up after as
/// long.
const DEADLINE: Duration = Duration::from_secs(10);

/// The largest JSON that a person's request may be. They have a few short fields.
const REQUEST_MAX: u64 = 64 * 1024;

/// Refuses what says itself that it is too large, before a byte is read.
pub(super) fn announced(headers: &HeaderMap, what: &str, limit: u64) -> Result<(), Refusal> {
    let given = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|it| it.to_str().ok());
    let length: Option<u64> = given.and_then(|it| it.parse().ok());
    match length {
        Some(length) if length > limit => Err(Refusal::too_large(what, limit)),
        _ => Ok(()),
    }
}

/// The whole body.
pub(super) async fn whole(
    headers: &HeaderMap,
    body: Body,
    what: &str,
    limit: u64,
) -> Result<Bytes, Refusal> {
    announced(headers, what, limit)?;
    let read = async {
        let mut parts = body.into_data_stream();
        let mut whole = BytesMut::new();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| Refusal::bad_request("the body broke off"))?;
            if whole.len() as u64 + part.len() as u64 > limit {
                return Err(Refusal::too_large(what, limit));
            }
            whole.extend_from_slice(&part);
        }
        Ok(whole.freeze())
    };
    tokio::time::timeout(DEADLINE, read)
        .await
        .unwrap_or(Err(Refusal::too_slow(DEADLINE)))
}

/// The body as JSON. An empty one counts as `{}`.
pub(super) async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Refusal> {
    let bytes = whole(headers, body, "the request", REQUEST_MAX).await?;
    let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    serde_json::from_slice(text)
        .map_err(|error| Refusal::bad_request(format!("the request cannot be read: {error}")))
}

/// The query.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Refusal> {
    axum::extract::Query::try_from_uri(uri)
        .map(|query| query.0)
        .map_err(|rejection| {
            let source = std::error::Error::source(&rejection).map(ToString::to_string);
            let reason = source.unwrap_or_else(|| rejection.to_string());
            Refusal::bad_request(format!("the query cannot be read: {reason}"))
        })
}
