//! Watching a stream in order, for ever.
//!
//! In: a stream, filters and a start. Out: each message once, in order, across reconnections.
//!
//! An ephemeral push consumer with flow control, made anew from the next sequence whenever the
//! connection breaks, a heartbeat is missing or a number is left out. Push, because a pull consumer
//! needs the right to take messages of every consumer of the stream.

use std::time::{Duration, Instant};

use async_nats::{Message as NatsMessage, StatusCode, Subscriber, jetstream};
use ferry_events::subject::STREAM;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Deserialize;
use serde_json::json;

use super::{
    link::Link,
    wire::{self, ApiError},
};
use crate::{BusError, Message, Start, packed::unpack};

/// How often the server says that the watch still stands.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// After this much silence the watch is made anew: two heartbeats are missing.
const SILENT: Duration = Duration::from_secs(5);
/// The pause after a failure to make it anew, so that a refusal is not asked for in a loop.
const PAUSE: Duration = Duration::from_millis(500);
/// How long the server keeps a watch that nobody listens to.
const INACTIVE: Duration = Duration::from_secs(10);

pub(super) async fn watch(
    link: Link,
    context: jetstream::Context,
    stream: String,
    filters: Vec<String>,
    start: Start,
) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
    let watcher = Watcher::new(link, context, stream, filters, start).await?;
    Ok(stream::unfold(watcher, |mut watcher| async {
        let item = watcher.next().await;
        Some((item, watcher))
    })
    .boxed())
}

/// The same, until all is seen that there was.
pub(super) async fn past(
    link: Link,
    context: jetstream::Context,
    stream: String,
    filters: Vec<String>,
    start: Start,
) -> Result<BoxStream<'static, Result<Message, BusError>>, BusError> {
    let watcher = Watcher::new(link, context, stream, filters, start).await?;
    Ok(stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        let item = watcher.left().await?;
        let more = match &item {
            Ok(message) => message.pending > 0,
            Err(_) => true,
        };
        Some((item, more.then_some(watcher)))
    })
    .boxed())
}

struct Watcher {
    link: Link,
    context: jetstream::Context,
    stream: String,
    filters: Vec<String>,
    /// Where the next consumer begins.
    start: Start,
    open: Option<Open>,
}

struct Open {
    messages: Subscriber,
    epoch: u64,
    /// Of the consumer's last message: its own count, without a gap.
    counted: u64,
    heard: Instant,
    /// How many messages there were when it was opened.
    pending: u64,
}

#[derive(Deserialize)]
struct Created {
    error: Option<ApiError>,
    delivered: Option<Delivered>,
    #[serde(default)]
    num_pending: u64,
}

#[derive(Deserialize)]
struct Delivered {
    stream_seq: u64,
    #[serde(default)]
    consumer_seq: u64,
}

impl Watcher {
    /// One that stands already.
    async fn new(
        link: Link,
        context: jetstream::Context,
        stream: String,
        filters: Vec<String>,
        start: Start,
    ) -> Result<Self, BusError> {
        let mut watcher = Self {
            link,
            context,
            stream,
            filters,
            start,
            open: None,
        };
        watcher.open = Some(watcher.open().await?);
        Ok(watcher)
    }

    async fn open(&mut self) -> Result<Open, BusError> {
        let epoch = self.link.ready(SILENT).await?;
        if let Start::At(sequence) = self.start
            && self.stream == STREAM
        {
            // Beyond its end the server would wait in silence, and leave out what comes until there.
            crate::contract::within(sequence, super::direct::end(&self.link, STREAM).await?)?;
        }
        let inbox = self.link.inbox();
        let messages = self
            .link
            .client
            .subscribe(inbox.clone())
            .await
            .map_err(|error| BusError::Unavailable(error.to_string()))?;
        let mut config = json!({
            "deliver_subject": inbox,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "filter_subjects": self.filters,
            "flow_control": true,
            "idle_heartbeat": HEARTBEAT.as_nanos() as u64,
            "inactive_threshold": INACTIVE.as_nanos() as u64,
            "mem_storage": true,
            "num_replicas": 1,
            "deliver_policy": match self.start {
                Start::First => "all",
                Start::LastPerSubject => "last_per_subject",
                Start::At(_) => "by_start_sequence",
                Start::Since(_) => "by_start_time",
                Start::New => "new",
            },
        });
        if let Start::At(sequence) = self.start {
            config["opt_start_seq"] = json!(sequence.max(1));
        }
        if let Start::Since(at) = self.start {
            config["opt_start_time"] = json!(at.to_rfc3339());
        }
        let what = format!("stream {}", self.stream);
        let request =
            json!({ "stream_name": self.stream, "config": config, "action": "create" }).to_string();
        // The form without a name: with it nobody else's consumer can be touched.
        let subject = format!("$JS.API.CONSUMER.CREATE.{}", self.stream);
        let created: Created = wire::parse(
            &what,
            &self.link.request(&subject, None, request.into()).await?,
        )?;
        if let Some(error) = created.error {
            return Err(error.into_bus_error(&what));
        }
        if let (Start::New, Some(delivered)) = (self.start, &created.delivered) {
            self.start = Start::At(delivered.stream_seq + 1);
        }
        // What is on its way already is not pending any more.
        let on_its_way = created
            .delivered
            .map_or(0, |delivered| delivered.consumer_seq);
        Ok(Open {
            messages,
            epoch,
            counted: 0,
            heard: Instant::now(),
            pending: created.num_pending + on_its_way,
        })
    }

    /// The next message of those that there are; none: all were seen.
    async fn left(&mut self) -> Option<Result<Message, BusError>> {
        let seen_all = |open: &Open| open.counted == 0 && open.pending == 0;
        loop {
            if self.open.as_ref().is_some_and(seen_all) {
                return None;
            }
            if let Some(item) = self.step().await {
                return Some(item);
            }
        }
    }

    async fn next(&mut self) -> Result<Message, BusError> {
        loop {
            if let Some(item) = self.step().await {
                return item;
            }
        }
    }

    /// Opens the watch where it is not, or takes what comes; none: nothing to hand out yet.
    async fn step(&mut self) -> Option<Result<Message, BusError>> {
        let Some(open) = &mut self.open else {
            match self.open().await {
                Ok(open) => self.open = Some(open),
                Err(BusError::Unavailable(why)) => {
                    tracing::debug!(stream = self.stream, why, "a watch waits for the bus");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    tokio::time::sleep(PAUSE).await;
                    return Some(Err(error));
                }
            }
            return None;
        };
        let left = SILENT.saturating_sub(open.heard.elapsed());
        let message = tokio::select! {
            biased;
            message = open.messages.next() => message,
            () = self.link.lost(open.epoch) => None,
            () = tokio::time::sleep(left) => None,
        };
        let Some(message) = message else {
            self.open = None;
            return None;
        };
        open.heard = Instant::now();
        self.take(message).await.transpose()
    }

    async fn take(&mut self, message: NatsMessage) -> Result<Option<Message>, BusError> {
        match message.status {
            None | Some(StatusCode::OK) => {}
            Some(StatusCode::IDLE_HEARTBEAT) => {
                // Flow control asks by its reply subject, or by a heartbeat's header when that was missed.
                let stalled = message
                    .headers
                    .as_ref()
                    .and_then(|headers| headers.get("Nats-Consumer-Stalled"));
                if let Some(reply) = message
                    .reply
                    .clone()
                    .or_else(|| stalled.map(|s| s.as_str().into()))
                {
                    // Not sent: the stream stalls, the heartbeat tells of it, and this is done again.
                    let _ = self.link.client.publish(reply, "".into()).await;
                }
                return Ok(None);
            }
            Some(status) => {
                tracing::debug!(stream = self.stream, %status, "a watch ended and is made anew");
                self.open = None;
                return Ok(None);
            }
        }
        let message = jetstream::Message {
            message,
            context: self.context.clone(),
        };
        let Ok(info) = message.info() else {
            return Ok(None);
        };
        let open = self
            .open
            .as_mut()
            .expect("a message comes from an open watch");
        if info.consumer_sequence != open.counted + 1 {
            self.open = None;
            return Ok(None);
        }
        open.counted += 1;
        self.start = Start::At(info.stream_sequence + 1);
        let at = wire::moment(info.published.unix_timestamp_nanos());
        let (sequence, pending) = (info.stream_sequence, info.pending);
        Ok(Some(Message {
            subject: message.subject.to_string(),
            sequence,
            payload: unpack(message.payload.clone())?,
            at,
            pending,
        }))
    }
}
