//! Reading without a consumer: the last message of a subject from the leader, and many messages in
//! batches by direct get (ADR-31). A user who may only do this can neither take another's messages
//! nor have any sent anywhere.
//!
//! In: a stream and a subject. Out: messages, in order.

use async_nats::{HeaderMap, Message, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{
    link::{Link, REQUEST_TIMEOUT},
    wire::{self, ApiError, NO_MESSAGE},
};
use crate::BusError;

/// How many messages one request asks for: enough that round trips do not matter, few enough that a
/// reconnection repeats little.
const PAGE: usize = 512;
/// How many bytes one request asks for: a few of the largest messages, so that they fit the
/// subscription's buffer whatever their number.
const PAGE_BYTES: usize = 8 << 20;

/// A message as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub subject: String,
    pub sequence: u64,
    pub headers: HeaderMap,
    pub payload: Bytes,
}

#[derive(Deserialize)]
struct GetAnswer {
    message: Option<Raw>,
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct Raw {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

/// The last message on a subject, from the stream's leader.
pub(super) async fn last(
    link: &Link,
    stream: &str,
    subject: &str,
) -> Result<Option<Stored>, BusError> {
    get(link, stream, &json!({ "last_by_subj": subject })).await
}

/// The oldest message on a subject, from the stream's leader.
pub(super) async fn first(
    link: &Link,
    stream: &str,
    subject: &str,
) -> Result<Option<Stored>, BusError> {
    get(link, stream, &json!({ "seq": 1, "next_by_subj": subject })).await
}

/// The message with a sequence, from the stream's leader.
pub(super) async fn at(
    link: &Link,
    stream: &str,
    sequence: u64,
) -> Result<Option<Stored>, BusError> {
    get(link, stream, &json!({ "seq": sequence })).await
}

async fn get(
    link: &Link,
    stream: &str,
    request: &serde_json::Value,
) -> Result<Option<Stored>, BusError> {
    let what = format!("stream {stream}");
    let request = request.to_string();
    let answer = link
        .request(
            &format!("$JS.API.STREAM.MSG.GET.{stream}"),
            None,
            request.into(),
        )
        .await?;
    let answer: GetAnswer = wire::parse(&what, &answer)?;
    if let Some(error) = answer.error {
        return if error.err_code == NO_MESSAGE {
            Ok(None)
        } else {
            Err(error.into_bus_error(&what))
        };
    }
    let Some(raw) = answer.message else {
        return Ok(None);
    };
    let decode = |text: &str| {
        BASE64_STANDARD.decode(text).map_err(|error| {
            BusError::Unavailable(format!("{what}: an answer that is not understood: {error}"))
        })
    };
    Ok(Some(Stored {
        subject: raw.subject,
        sequence: raw.seq,
        headers: parse_headers(&decode(&raw.hdrs)?),
        payload: decode(&raw.data)?.into(),
    }))
}

/// The sequence of the newest message that a stream ever took, from its leader.
pub(super) async fn end(link: &Link, stream: &str) -> Result<u64, BusError> {
    #[derive(Deserialize)]
    struct Info {
        error: Option<ApiError>,
        state: Option<State>,
    }
    #[derive(Deserialize)]
    struct State {
        last_seq: u64,
    }
    let what = format!("stream {stream}");
    let subject = format!("$JS.API.STREAM.INFO.{stream}");
    let answer = link.request(&subject, None, "".into()).await?;
    let info: Info = wire::parse(&what, &answer)?;
    match (info.error, info.state) {
        (Some(error), _) => Err(error.into_bus_error(&what)),
        (None, Some(state)) => Ok(state.last_seq),
        (None, None) => Err(BusError::Unavailable(format!(
            "{what}: an answer without its state"
        ))),
    }
}

/// Headers as they stand in the store: a version line, then `Name: value` lines.
fn parse_headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in String::from_utf8_lossy(bytes).split("\r\n").skip(1) {
        if let Some((name, value)) = line.split_once(':') {
            headers.append(name.trim(), value.trim());
        }
    }
    headers
}

/// Every message of a stream that a filter names, in order, page by page.
pub(super) struct Pages<'a> {
    link: &'a Link,
    stream: &'a str,
    filter: &'a str,
    next: u64,
    done: bool,
}

impl<'a> Pages<'a> {
    pub fn new(link: &'a Link, stream: &'a str, filter: &'a str) -> Self {
        Self {
            link,
            stream,
            filter,
            next: 1,
            done: false,
        }
    }

    /// The next messages; none: there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<Stored>>, BusError> {
        if self.done {
            return Ok(None);
        }
        let page = self.fetch().await?;
        match page.last() {
            None => {
                self.done = true;
                Ok(None)
            }
            Some(last) => {
                self.next = last.sequence + 1;
                Ok(Some(page))
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Stored>, BusError> {
        let link = self.link;
        let epoch = link.ready(REQUEST_TIMEOUT).await?;
        let refusals = link.refusals();
        let subject = format!("$JS.API.DIRECT.GET.{}", self.stream);
        let request = json!({
            "seq": self.next,
            "next_by_subj": self.filter,
            "batch": PAGE,
            "max_bytes": PAGE_BYTES,
        });
        let inbox = link.inbox();
        let mut answers = link
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|e| BusError::Unavailable(e.to_string()))?;
        link.client
            .publish_with_reply(subject.clone(), inbox, request.to_string().into())
            .await
            .map_err(|error| super::commit::not_sent(&subject, &error))?;
        let read = async {
            let mut page = Vec::new();
            loop {
                // The limit is between two messages: a large page may take longer as a whole.
                let message = match timeout(REQUEST_TIMEOUT, answers.next()).await {
                    Ok(Some(message)) => message,
                    Ok(None) => return Err(BusError::Unavailable("the client ended".into())),
                    Err(_) => {
                        return Err(BusError::Unavailable(format!(
                            "no answer within {REQUEST_TIMEOUT:?}"
                        )));
                    }
                };
                match message.status.map(|status| status.as_u16()) {
                    // End of batch; nothing found.
                    Some(204 | 404) => return Ok(page),
                    Some(503) => {
                        return Err(BusError::Unavailable(format!(
                            "nobody answers for stream {}",
                            self.stream
                        )));
                    }
                    Some(status) => {
                        let why = message.description.unwrap_or_default();
                        return Err(BusError::Refused(format!(
                            "direct get of {}: {status} {why}",
                            self.stream
                        )));
                    }
                    None => page.push(stored(message)?),
                }
            }
        };
        // Ten times the limit of one answer: what takes longer than 20 s a page is as good as silent.
        link.guard(epoch, &[&subject], refusals, REQUEST_TIMEOUT * 10, read)
            .await
    }
}

fn stored(message: Message) -> Result<Stored, BusError> {
    let headers = message.headers.unwrap_or_default();
    let get = |name: header::HeaderName| {
        headers
            .get_last(name)
            .map(|value| value.as_str().to_owned())
    };
    let subject = get(header::NATS_SUBJECT);
    let sequence = get(header::NATS_SEQUENCE).and_then(|text| text.parse().ok());
    match (subject, sequence) {
        (Some(subject), Some(sequence)) => Ok(Stored {
            subject,
            sequence,
            headers,
            payload: message.payload,
        }),
        _ => Err(BusError::Unavailable(
            "a message of a direct get without its subject or sequence".into(),
        )),
    }
}
