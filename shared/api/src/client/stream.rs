//! Server-sent events, taken up again where they broke.
//!
//! In: a request for a stream. Out: its events; errors only where trying again
//! cannot help, or where the gateway has been silent for too long.

use std::pin::Pin;
use std::time::Duration;

use eventsource_stream::{Event as Message, EventStreamError, Eventsource as _};
use futures::{Stream, StreamExt as _};
use reqwest::RequestBuilder;

use super::{Client, ClientError};
use crate::event::END;
use crate::{LogLine, StreamedEvent};

/// First pause before the stream is asked for again; doubles up to
/// [`RETRY_MOST`]. A gateway that restarts is back within a second.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause: a person who waits notices no difference.
const RETRY_MOST: Duration = Duration::from_secs(2);
/// So many attempts in a row without an answer are a failure to be told:
/// together about 15 seconds.
const RETRY_COUNT: u32 = 11;

type Messages =
    Pin<Box<dyn Stream<Item = Result<Message, EventStreamError<reqwest::Error>>> + Send>>;

/// One stream over as many connections as it takes.
struct Resumed {
    client: Client,
    request: RequestBuilder,
    open: Option<Messages>,
    last: Option<String>,
    failures: u32,
    over: bool,
}

impl Resumed {
    fn new(client: Client, request: RequestBuilder) -> Self {
        Self {
            client,
            request,
            open: None,
            last: None,
            failures: 0,
            over: false,
        }
    }

    async fn connect(&mut self) -> Result<Messages, ClientError> {
        let mut request = self
            .request
            .try_clone()
            .expect("a GET has no body that is a stream");
        if let Some(last) = &self.last {
            request = request.header("Last-Event-ID", last);
        }
        let response = self.client.send(request).await?;
        let response = self.client.checked(response).await?;
        Ok(Box::pin(response.bytes_stream().eventsource()))
    }

    /// The next message; nothing at the end of the stream.
    async fn next(&mut self) -> Option<Result<Message, ClientError>> {
        while !self.over {
            let Some(open) = &mut self.open else {
                match self.connect().await {
                    Ok(messages) => self.open = Some(messages),
                    Err(error) => {
                        self.failures += 1;
                        if !error.is_passing() || self.failures >= RETRY_COUNT {
                            self.over = true;
                            return Some(Err(error));
                        }
                        pause(self.failures).await;
                    }
                }
                continue;
            };
            match open.next().await {
                Some(Ok(message)) => {
                    self.failures = 0;
                    if message.event == END {
                        self.over = true;
                        continue;
                    }
                    if !message.id.is_empty() {
                        self.last = Some(message.id.clone());
                    }
                    return Some(Ok(message));
                }
                None | Some(Err(_)) => {
                    self.open = None;
                    self.failures += 1;
                    pause(self.failures).await;
                }
            }
        }
        None
    }

    fn decoded<T: 'static>(
        self,
        decode: impl Fn(Message) -> Result<T, serde_json::Error> + Send + Clone + 'static,
    ) -> impl Stream<Item = Result<T, ClientError>> + Send {
        futures::stream::unfold(self, move |mut this| {
            let decode = decode.clone();
            async move {
                let message = match this.next().await? {
                    Ok(message) => message,
                    Err(error) => return Some((Err(error), this)),
                };
                let url = this.client.url.to_string();
                let item = decode(message).map_err(|source| ClientError::NotFerry {
                    url,
                    source: Some(source),
                });
                Some((item, this))
            }
        })
    }
}

async fn pause(failures: u32) {
    let doubled = RETRY_FIRST.saturating_mul(1 << failures.min(5));
    tokio::time::sleep(doubled.min(RETRY_MOST)).await;
}

/// The stream of events.
pub(super) fn events(
    client: Client,
    request: RequestBuilder,
) -> impl Stream<Item = Result<StreamedEvent, ClientError>> + Send {
    Resumed::new(client, request).decoded(|message| {
        Ok(StreamedEvent {
            sequence: message.id.parse().unwrap_or_default(),
            kind: message.event,
            event: serde_json::from_str(&message.data)?,
        })
    })
}

/// The stream of a log's lines.
pub(super) fn lines(
    client: Client,
    request: RequestBuilder,
) -> impl Stream<Item = Result<LogLine, ClientError>> + Send {
    Resumed::new(client, request).decoded(|message| serde_json::from_str(&message.data))
}
