//! Durable pull consumers.
//!
//! In: a stream and the name of a consumer on it. Out: deliveries as soon as there are any.
//!
//! Nothing is fetched before it is asked for, so that a replica in trouble holds back nothing but
//! what it has in hand, and counts of deliveries say what they mean. While it waits, one request for
//! one message stands at the server: it is answered the moment a message is stored. What more there
//! is comes with a second request that does not wait.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::{self, AckKind, message::Acker},
};
use async_trait::async_trait;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;

use super::{
    link::{Link, REQUEST_TIMEOUT},
    wire::{self, ApiError},
};
use crate::{Ack, BusError, Consumer, Delivery};

/// How long a request for one message stands before it is renewed.
const WAIT: Duration = Duration::from_secs(30);
/// How often the server says that it still waits.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// After this much silence the request is given up: two heartbeats are missing.
const SILENT: Duration = Duration::from_secs(5);

/// A durable consumer.
pub(super) struct PullConsumer {
    link: Link,
    context: jetstream::Context,
    stream: &'static str,
    name: String,
    inbox: String,
    answers: Subscriber,
    requests: u64,
    open: Option<Open>,
    /// What has arrived and was not handed out; survives a `next` that is dropped.
    buffer: VecDeque<Delivery>,
    /// The last request found nothing more.
    dry: bool,
}

/// The request that is under way.
#[derive(Clone, Copy)]
struct Open {
    id: u64,
    epoch: u64,
    /// Waits for one message, rather than asking for what is there.
    waits: bool,
    left: usize,
    heard: Instant,
}

enum Heard {
    Messages,
    Ended,
}

impl PullConsumer {
    pub async fn open(
        link: &Link,
        context: &jetstream::Context,
        stream: &'static str,
        name: String,
    ) -> Result<Self, BusError> {
        #[derive(Deserialize)]
        struct Info {
            error: Option<ApiError>,
        }
        let subject = format!("$JS.API.CONSUMER.INFO.{stream}.{name}");
        let what = format!("consumer {name} of {stream}");
        let info: Info = wire::parse(&what, &link.request(&subject, None, "".into()).await?)?;
        if let Some(error) = info.error {
            return Err(error.into_bus_error(&what));
        }
        let inbox = link.inbox();
        let answers = link
            .client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|error| BusError::Unavailable(error.to_string()))?;
        Ok(Self {
            link: link.clone(),
            context: context.clone(),
            stream,
            name,
            inbox,
            answers,
            requests: 0,
            open: None,
            buffer: VecDeque::new(),
            dry: false,
        })
    }

    async fn ask(&mut self, waits: bool, count: usize) -> Result<(), BusError> {
        let epoch = self.link.ready(SILENT).await?;
        self.requests += 1;
        let request = if waits {
            json!({ "batch": count, "expires": WAIT.as_nanos() as u64, "idle_heartbeat": HEARTBEAT.as_nanos() as u64 })
        } else {
            json!({ "batch": count, "no_wait": true })
        };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.name);
        let reply = format!("{}.{}", self.inbox, self.requests);
        self.link
            .client
            .publish_with_reply(subject.clone(), reply, request.to_string().into())
            .await
            .map_err(|error| super::commit::not_sent(&subject, &error))?;
        self.open = Some(Open {
            id: self.requests,
            epoch,
            waits,
            left: count,
            heard: Instant::now(),
        });
        Ok(())
    }

    /// Waits for one answer to the open request.
    async fn hear(&mut self, open: Open) -> Result<Heard, BusError> {
        let limit = if open.waits { SILENT } else { REQUEST_TIMEOUT };
        let link = self.link.clone();
        let left = limit.saturating_sub(open.heard.elapsed());
        let message = tokio::select! {
            biased;
            message = self.answers.next() => message,
            () = link.lost(open.epoch) => {
                // The server has forgotten the request with the connection.
                self.open = None;
                return Ok(Heard::Ended);
            }
            () = tokio::time::sleep(left) => {
                self.open = None;
                let text = format!("consumer {} of {} is silent for {limit:?}", self.name, self.stream);
                return Err(BusError::Unavailable(text));
            }
        };
        let Some(message) = message else {
            self.open = None;
            return Err(BusError::Unavailable("the client ended".into()));
        };
        self.take(open, message)
    }

    fn take(&mut self, mut open: Open, message: Message) -> Result<Heard, BusError> {
        match message.status {
            None | Some(StatusCode::OK) => {
                let (delivery, pending) = self.delivery(message)?;
                // What is delivered again comes first and is not counted as pending.
                let last = pending == 0 && delivery.delivered == 1;
                self.buffer.push_back(delivery);
                // Its subject is the stream's, so it counts for this request even where it is late for
                // another; then the rest comes while the next one is heard.
                open.left -= 1;
                open.heard = Instant::now();
                self.open = (open.left > 0 && !last).then_some(open);
                self.dry = last;
                Ok(Heard::Messages)
            }
            // What an earlier request had left to say: its status comes to its own inbox.
            Some(_) if message.subject.as_str() != format!("{}.{}", self.inbox, open.id) => {
                Ok(Heard::Messages)
            }
            Some(StatusCode::IDLE_HEARTBEAT) => {
                open.heard = Instant::now();
                self.open = Some(open);
                Ok(Heard::Messages)
            }
            Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => {
                self.open = None;
                self.dry = true;
                Ok(Heard::Ended)
            }
            Some(status) => {
                self.open = None;
                let text = message.description.unwrap_or_default();
                let what = format!("consumer {} of {}", self.name, self.stream);
                Err(if text.contains("Consumer Deleted") {
                    BusError::Missing(what)
                } else {
                    BusError::Unavailable(format!("{what}: {status} {text}"))
                })
            }
        }
    }

    fn delivery(&self, message: Message) -> Result<(Delivery, u64), BusError> {
        let message = jetstream::Message {
            message,
            context: self.context.clone(),
        };
        let (sequence, delivered, pending, published) = message
            .info()
            .map(|info| {
                (
                    info.stream_sequence,
                    info.delivered,
                    info.pending,
                    info.published,
                )
            })
            .map_err(|error| {
                BusError::Unavailable(format!("a delivery that is not understood: {error}"))
            })?;
        let (message, acker) = message.split();
        let delivery = Delivery {
            subject: message.subject.into_string(),
            sequence,
            payload: message.payload,
            at: wire::moment(published.unix_timestamp_nanos()),
            delivered: u64::try_from(delivered).unwrap_or(1),
            ack: Box::new(JetAck(acker)),
        };
        Ok((delivery, pending))
    }
}

#[async_trait]
impl Consumer for PullConsumer {
    async fn next(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        let max = max.max(1);
        loop {
            match self.open {
                None if !self.buffer.is_empty() && (self.dry || self.buffer.len() >= max) => {
                    let count = self.buffer.len().min(max);
                    return Ok(self.buffer.drain(..count).collect());
                }
                None => {
                    let waits = self.dry && self.buffer.is_empty();
                    let count = if waits { 1 } else { max - self.buffer.len() };
                    self.ask(waits, count).await?;
                }
                // A request that waits may still stand from a call that was dropped.
                Some(open) => match self.hear(open).await {
                    Ok(Heard::Messages | Heard::Ended) => {}
                    // What has arrived is handed out; the error comes again.
                    Err(error) if self.buffer.is_empty() => return Err(error),
                    Err(_) => self.dry = true,
                },
            }
        }
    }
}

struct JetAck(Acker);

impl JetAck {
    async fn send(&self, kind: AckKind) -> Result<(), BusError> {
        // Not confirmed by the server: a lost ack means one more delivery, which finds its work done.
        self.0
            .ack_with(kind)
            .await
            .map_err(|error| BusError::Unavailable(error.to_string()))
    }
}

#[async_trait]
impl Ack for JetAck {
    async fn ack(&self) -> Result<(), BusError> {
        self.send(AckKind::Ack).await
    }

    async fn nak(&self, delay: Duration) -> Result<(), BusError> {
        self.send(AckKind::Nak((!delay.is_zero()).then_some(delay)))
            .await
    }

    async fn progress(&self) -> Result<(), BusError> {
        self.send(AckKind::Progress).await
    }

    async fn term(&self) -> Result<(), BusError> {
        self.send(AckKind::Term).await
    }
}
